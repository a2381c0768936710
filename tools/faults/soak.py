#!/usr/bin/python3
"""Weeks of a microscope in minutes: small simulated sections at a fixed rate, with faults of every kind at random.

    soak.py PROGRAMS [--sections 1000] [--size 96] [--interval 0.4] [--seed 1]

Among the sections: half-written files, files cut short and written again, the same bytes twice, sections replaced by others,
sections that come late, and sections that never come. Beside them: the daemon killed with -9 and started again as systemd
does, the private server stopped and killed. In the end rows and files must be those of an undisturbed run over the same set
of sections, and resident memory and open files must not have grown. A table is printed on the way.
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from bench import Bench, Failure, end, wait_until

# A process is looked at for growth once so many sections have become final in it (what a window of decisions looks at is kept
# in memory, and fills up first), and over at least as many more.
WARM = 80


class Supervisor:
    """Starts the daemon again whenever it ends, and looks at it every half second."""

    def __init__(self, bench, log):
        self.bench, self.log = bench, log
        self.process = None
        self.starts = 0
        self.unwanted = []
        self.killed = set()
        # (start, sections the process has seen, MiB, open files)
        self.samples = []
        self.is_ending = threading.Event()
        self.thread = threading.Thread(target=self.loop)
        self.thread.start()

    def loop(self):
        base = 0
        while not self.is_ending.is_set():
            if self.process is None or self.process.poll() is not None:
                # 69: the server was not there at the start; systemd tries again too.
                if self.process is not None and self.process.pid not in self.killed and self.process.returncode != 69:
                    self.unwanted.append(self.process.returncode)
                self.process = self.bench.start("run", log=self.log)
                self.starts += 1
                base = None
            if self.is_up():
                done = self.bench.counts().get("final", 0)
                base = done if base is None else base
                sample = look(self.process.pid)
                if sample:
                    self.samples.append((self.starts, done - base, *sample))
            self.is_ending.wait(0.5)

    def is_up(self):
        """Whether the daemon that was started last has written its status."""
        return self.process is not None and self.bench.is_served_by(self.process)

    def kill(self):
        """As `kill -9`."""
        process = self.process
        if process is not None and process.poll() is None:
            self.killed.add(process.pid)
            process.kill()

    def stop(self):
        self.is_ending.set()
        self.thread.join()
        return end(self.process, signal.SIGTERM)


def look(pid):
    """Resident MiB and open files of a process."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        resident = next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024
        return resident, len(os.listdir(f"/proc/{pid}/fd"))
    except (OSError, StopIteration):
        return None


class Microscope:
    """Writes sections into the watched folder, as well and as badly as microscopes and networks do."""

    def __init__(self, bench, images, draw):
        self.bench, self.images, self.draw = bench, images, draw
        self.counts = dict.fromkeys(["half-written", "cut short", "duplicates", "replaced", "late", "missing"], 0)
        self.late = []
        self.missing = []
        self.pending = []

    def put(self, name, data):
        """A whole file, under its name at once."""
        hidden = self.bench.watched / ("." + name)
        hidden.write_bytes(data)
        hidden.rename(self.bench.watched / name)

    def write(self, z):
        """Section `z`, or what becomes of it."""
        for action in self.pending:
            action()
        self.pending = []
        for when, late in list(self.late):
            if z >= when:
                self.late.remove((when, late))
                self.put(self.images[late].name, self.images[late].read_bytes())
        image = self.images[z]
        data = image.read_bytes()
        fate = self.draw.random()
        # The first section fixes the shape; the last ones end the stack.
        if z == 0 or z >= len(self.images) - 3:
            fate = 1
        if fate < 0.02:
            self.counts["half-written"] += 1
            with open(self.bench.watched / image.name, "wb", buffering=0) as file:
                file.write(data[: len(data) // 2])
                time.sleep(0.3)
                file.write(data[len(data) // 2 :])
        elif fate < 0.04:
            self.counts["cut short"] += 1
            self.put(image.name, data[: len(data) // 2])
            self.pending.append(lambda: self.put(image.name, data))
        elif fate < 0.06:
            self.counts["duplicates"] += 1
            self.put(image.name, data)
            (self.bench.watched / "again").mkdir(exist_ok=True)
            shutil.copy(image, self.bench.watched / "again" / image.name)
        elif fate < 0.08:
            self.counts["replaced"] += 1
            self.put(image.name, self.images[z - 1].read_bytes())
            self.pending.append(lambda: self.put(image.name, data))
        elif fate < 0.10:
            self.counts["late"] += 1
            self.late.append((z + self.draw.randrange(2, 30), z))
        elif fate < 0.11:
            self.counts["missing"] += 1
            self.missing.append(z)
        else:
            self.put(image.name, data)

    def finish(self):
        """What is still held back."""
        for action in self.pending:
            action()
        for _, late in self.late:
            self.put(self.images[late].name, self.images[late].read_bytes())
        self.pending, self.late = [], []


def growth(samples):
    """Of the processes that lived long enough: memory and files in the second quarter of their life, and in the last.

    Returns a line and a fault for each that grew."""
    lines, faults = [], []
    for start in sorted({sample[0] for sample in samples}):
        own = [sample for sample in samples if sample[0] == start and sample[1] >= WARM]
        if len(own) < 40 or own[-1][1] < 2 * WARM:
            continue
        quarter = len(own) // 4
        early, late = own[:quarter], own[-quarter:]
        rss = [sorted(s[2] for s in part)[quarter // 2] for part in (early, late)]
        files = [max(s[3] for s in part) for part in (early, late)]
        lines.append(
            f"  process {start}: sections {own[0][1]} to {own[-1][1]}, {rss[0]:.0f} -> {rss[1]:.0f} MiB,"
            f" at most {files[0]} -> {files[1]} open files"
        )
        # A row of the plan is some hundred bytes; a section in memory is more than all of them.
        if rss[1] > 1.1 * rss[0] + 8:
            faults.append(f"process {start} grew from {rss[0]:.0f} to {rss[1]:.0f} MiB")
        if files[1] > files[0] + 4:
            faults.append(f"process {start} had {files[0]} files open, then {files[1]}")
    return lines, faults


def soak(options, here):
    draw = random.Random(options.seed)
    # A hole is given up after so long; what comes later all the same fills it.
    bench = Bench(options.programs, here / "soak", f", missing_after: {max(1, round(15 * options.interval))}s")
    calm = Bench(options.programs, here / "calm")
    # Sections are made while the daemon is at work; each appears by rename.
    simulator = subprocess.Popen(
        [bench.fgnetd, "simulate", here / "made", "--sections", str(options.sections), "--size", str(options.size), "--no-labels"],
        stdout=subprocess.DEVNULL)
    images = [here / f"made/image/{z:04}.png" for z in range(options.sections)]
    microscope = Microscope(bench, images, draw)
    supervisor = Supervisor(bench, here / "log")
    servers = {"stopped": 0, "killed": 0}
    try:
        wait_until(lambda: supervisor.is_up(), 120, "the daemon is not up")
        print("   time  sent  final  starts  MiB  files  server stops+kills", flush=True)
        began = time.monotonic()
        calm_from, calm_to = options.sections // 3, options.sections * 2 // 3
        for z in range(options.sections):
            wait_until(images[z].exists, 120, f"section {z} is not simulated")
            microscope.write(z)
            # A third of the sections goes through one process, so that growth can be seen.
            fault = 1 if calm_from <= z < calm_to else draw.random()
            if fault < 0.04:
                supervisor.kill()
            elif fault < 0.06 and bench.server():
                kind, how = ("stopped", signal.SIGINT) if draw.random() < 0.5 else ("killed", signal.SIGKILL)
                servers[kind] += 1
                os.kill(bench.server(), how)
            if z % 50 == 49:
                last = supervisor.samples[-1] if supervisor.samples else (0, 0, 0, 0)
                print(
                    f"{time.monotonic() - began:7.0f}  {z + 1:4}  {bench.counts().get('final', 0):5}  {supervisor.starts:6}"
                    f"  {last[2]:3.0f}  {last[3]:5}  {servers['stopped']}+{servers['killed']}", flush=True)
            time.sleep(max(0, began + (z + 1) * options.interval - time.monotonic()))
        microscope.finish()
        present = options.sections - len(microscope.missing)

        def is_taken_in():
            counts = bench.counts()
            return sum(counts.get(s, 0) for s in ("received", "provisional", "final")) == present

        wait_until(is_taken_in, 600, f"sections are lost: {present} were sent, the daemon has {bench.counts()}")
        bench.must("finish")
        bench.must("wait", "--final", "--timeout", "1200")
        seconds = time.monotonic() - began
        if supervisor.unwanted:
            raise Failure(f"the daemon ended by itself, with {supervisor.unwanted}; see {here / 'log'}")
        state, left = bench.final_state(), bench.leftovers()
        revisions = bench.sql("select count(*) from section where state = 'superseded'").strip()
        open_rows = bench.sql("select path || ': ' || reason from quarantine where resolved_at is null")
        if supervisor.stop() != 0:
            raise Failure("the daemon did not stop as asked")
    finally:
        end(simulator)
        supervisor.stop()
        bench.stop_server()
    for z, image in enumerate(images):
        if z not in microscope.missing:
            shutil.copy(image, calm.watched)
    calm.ingest()
    if state != calm.final_state():
        raise Failure(f"other labels or rows than in an undisturbed run; see {here}")
    if left:
        raise Failure(f"left behind: {' '.join(left)}")
    if open_rows:
        raise Failure(f"set aside to the end: {open_rows}")
    lines, faults = growth(supervisor.samples)
    print(f"{options.sections} sections in {seconds:.0f} s, seed {options.seed}: " +
          ", ".join(f"{count} {what}" for what, count in microscope.counts.items()) +
          f"; {len(supervisor.killed)} kills, {sum(servers.values())} ends of the server, {revisions} revisions")
    print("growth, second quarter of a process's life and last:")
    print("\n".join(lines) or "  no process lived long enough")
    if faults:
        raise Failure("; ".join(faults))
    if not lines:
        raise Failure("no process lived long enough to see growth; take more --sections")
    print("nothing lost, nothing doubled: the same labels and rows as an undisturbed run")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("programs")
    parser.add_argument("--sections", type=int, default=1000)
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--interval", type=float, default=0.4, help="seconds between two sections")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    here = Path(tempfile.mkdtemp(prefix="fgnetd-soak-"))
    here.chmod(0o755)
    try:
        soak(options, here)
    except Failure as failure:
        print(f"FAILED: {failure}", file=sys.stderr)
        return 1
    shutil.rmtree(here)
    return 0


if __name__ == "__main__":
    sys.exit(main())
