# The two commands: `make demo` and `make test`. Everything else serves them or an installation.
SHELL := /bin/bash
BIN = .build/release
DATA ?= ../shared/data

.PHONY: all build demo test test-data fuzz bench-scores bench-agglomeration bench-faults bench-review bench-kernels bench-model bench-memory bench-pipeline bench-post bench-growth bench-db bench-web bench-tiles test-web test-sanitize lint layers dependencies fmt clean install install-files deb test-systemd test-kills soak test-stages bench-stages bench-denoise

all: build

dependencies:
	@tools/install-dependencies.sh

# The Swift runtime is in the programs, so that an installation needs nothing of the build.
build: dependencies
	swift build -c release --static-swift-stdlib

# SECTIONS=folder takes a folder of images; LABELS=folder adds scores.
demo: build
	@tools/demo.sh "$(BIN)" "$(SECTIONS)" "$(LABELS)"

lint:
	swift format lint --strict --recursive Package.swift Sources Tests Benchmarks

layers:
	@tools/check-layers.py

test: dependencies lint layers
	swift build --build-tests
	swift test --skip-build
	tools/faults/full_disks.py .build/debug
	tools/fuzz.sh 4
	@Benchmarks/db/run.sh .build/debug small

# The kernels' tests, each against its plain twin at shapes around every edge, and those of the stages that use them, under AddressSanitizer.
# Swift keeps some things for the life of the process, so leaks are not looked for.
test-sanitize: dependencies
	swift build --sanitize=address --build-tests --scratch-path .build-sanitize
	ASAN_OPTIONS=detect_leaks=0 swift test --sanitize=address --skip-build --scratch-path .build-sanitize \
	  --filter '^(FGNetKernelTests|PluginsTests)\.'

# Every parser of image files under libFuzzer, SECONDS each; with DATA=, real files are seeds too.
fuzz: SECONDS ?= 600
fuzz: dependencies
	tools/fuzz.sh $(SECONDS) $(wildcard $(DATA))

# Checks on real sections, which are not part of the project (tools/test-data.sh says how DATA is laid out).
test-data: build
	@tools/test-data.sh "$(BIN)" "$(DATA)"

# Killed at KILLS random moments, on the sections of a folder SECTIONS or on simulated ones (tools/faults/kills.py).
KILLS ?= 200
test-kills: build
	tools/faults/kills.py $(BIN) $(if $(SECTIONS),--sections "$(SECTIONS)") --kills $(KILLS)

# SECTIONS small simulated sections at a fixed rate, with faults of every kind (tools/faults/soak.py).
soak: build
	tools/faults/soak.py $(BIN) $(if $(SECTIONS),--sections $(SECTIONS)) $(if $(SIZE),--size $(SIZE)) \
	  $(if $(INTERVAL),--interval $(INTERVAL)) $(if $(SEED),--seed $(SEED))

# The examples of stages that need scikit-image, PyTorch and waterz, which are installed in an environment of their own (stages/test.sh).
test-stages: build
	@stages/test.sh "$(BIN)" $(wildcard $(DATA))

# The pages in a real browser, and other programs' clients on the daemon's addresses (tools/test-web.sh). Needs Chromium. PICTURES=folder keeps
# pictures of the pages.
test-web: build
	@tools/test-web.sh "$(BIN)" $(if $(PICTURES),--pictures "$(PICTURES)")

# The pipeline's speed with pages open beside it, against that with nobody looking (Benchmarks/web/run.py). Nothing else may run.
bench-web: build
	@python3 Benchmarks/web/run.py "$(BIN)" $(if $(SECTIONS),--sections $(SECTIONS)) $(if $(SIZE),--size $(SIZE))

# How long tiles of an 8192 x 8192 section take, the first time and again, by layer and level (Benchmarks/web/tiles.py). Nothing else may run.
bench-tiles: build
	@python3 Benchmarks/web/tiles.py "$(BIN)" $(if $(SECTIONS),--sections $(SECTIONS)) $(if $(SIZE),--size $(SIZE))

# What a stage from outside costs beside the network; what the built-in denoise stages cost and are good for
# (Benchmarks/stages/run.sh).
bench-stages bench-denoise: bench-%: build
	@Benchmarks/stages/run.sh "$(BIN)" "$(DATA)" $*

# Quality of segments on real sections: scores, scorings beside waterz, faults of a scan, what a proofreader gains by the review
# queue (Benchmarks/quality/run.sh).
bench-scores bench-agglomeration bench-faults bench-review: bench-%: build
	@Benchmarks/quality/run.sh "$(BIN)" "$(DATA)" $*

# Speed of the network: each kernel against the machine's peak; the whole beside other runtimes (Benchmarks/speed/run.sh).
bench-kernels bench-model: bench-%: build
	@Benchmarks/speed/run.sh "$(BIN)" $*

# Most memory and time of whole runs on large sections, beside the limit (Benchmarks/memory/run.sh). RUNS="side sections limit ..."
bench-memory: build
	@Benchmarks/memory/run.sh "$(BIN)" $(RUNS)

# The whole way of a section: beside the usual script, behind the network beside its peers, over 500 sections
# (Benchmarks/way/run.sh). SECTIONS=n and SIZE=n for shorter runs.
bench-pipeline bench-post bench-growth: bench-%: build
	@SECTIONS="$(SECTIONS)" SIZE="$(SIZE)" Benchmarks/way/run.sh "$(BIN)" "$(DATA)" $*

# The database at size: 2000 made-up sections of 10 000 fragments, 2 million operations of people (Benchmarks/db/run.sh). Takes
# half an hour or more and 30 GB below .bench; SCALE=0.05 makes less of it.
bench-db: build
	@Benchmarks/db/run.sh "$(BIN)" "$(SCALE)"

fmt:
	swift format --in-place --recursive Package.swift Sources Tests Benchmarks

# An installation. PREFIX holds the programs and the models. DESTDIR is put before every path. An existing configuration is not touched.
PREFIX ?= /usr/local
SYSCONFDIR ?= /etc
UNITDIR ?= /lib/systemd/system
SYSUSERSDIR ?= /usr/lib/sysusers.d

install: build install-files

install-files:
	for program in fgnetd fgnet-watch fgnet-hdf5; do \
	  install -D -m 755 $(if $(STRIP),-s) $(BIN)/$$program $(DESTDIR)$(PREFIX)/bin/$$program; done
	install -D -m 644 include/fgnet_stage.h $(DESTDIR)$(PREFIX)/include/fgnet_stage.h
	install -D -m 644 stages/python/fgnet_stage.py $(DESTDIR)$(PREFIX)/share/fgnetd/stages/fgnet_stage.py
	for model in fgnet-nano fgnet-nano-isotropic; do \
	  install -D -m 644 models/$$model.h5 $(DESTDIR)$(PREFIX)/share/fgnetd/models/$$model.h5; done
	[ -e $(DESTDIR)$(SYSCONFDIR)/fgnetd/fgnetd.yaml ] || sed 's|/usr/local/|$(PREFIX)/|' config/fgnetd.yaml | \
	  install -D -m 644 /dev/stdin $(DESTDIR)$(SYSCONFDIR)/fgnetd/fgnetd.yaml
	sed 's|/usr/local/|$(PREFIX)/|; s|/etc/fgnetd/|$(SYSCONFDIR)/fgnetd/|' systemd/fgnetd.service | \
	  install -D -m 644 /dev/stdin $(DESTDIR)$(UNITDIR)/fgnetd.service
	install -D -m 644 systemd/fgnetd.sysusers $(DESTDIR)$(SYSUSERSDIR)/fgnetd.conf

# The Debian package of this machine's architecture, in DEB.
DEB ?= .build/deb
deb: build
	tools/package/make-deb.sh "$(BIN)" "$(DEB)"

# The package and the unit under a real systemd, in a root of its own that is made once and kept in SYSTEMD_ROOT; as root.
SYSTEMD_ROOT ?= .bench/systemd
test-systemd: deb
	tools/test-systemd.sh "$(DEB)" "$(SYSTEMD_ROOT)"

clean:
	rm -rf .build .build-sanitize .demo .bench
