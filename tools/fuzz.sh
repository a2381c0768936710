#!/usr/bin/env bash
# Fuzzes every parser of image files with libFuzzer and AddressSanitizer. Usage: fuzz.sh SECONDS [DATA], SECONDS for each of the
# seven corpora. Seeds are made by the project's own writers; with DATA, real files of DATA/formats are seeds too. New inputs are kept in
# .build/fuzz/corpus, what fails in .build/fuzz/faults. Fails on a crash, an input that takes over 10 s, a memory error, or an
# allocation beyond the honest: 160 MiB for inputs of at most 8 KiB, of which a byte may stand for 4096; 2 GiB for 1 MiB with DATA.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=$1
data=${2:-}
out=$PWD/.build/fuzz
mkdir -p "$out/faults" "$out/objects"

# Built apart from the package: SwiftPM would link libFuzzer's main into every program.
build() {
  local sanitize=(-sanitize=address,fuzzer) flags
  read -ra flags <<<"$(pkg-config --cflags hdf5-serial libtiff-4 libpng libdeflate libcrypto)"
  read -ra libraries <<<"$(pkg-config --libs hdf5-serial libtiff-4 libpng libdeflate libcrypto)"
  local swift=(swiftc -O -g -wmo -parse-as-library -swift-version 6 -enable-testing -I "$out/objects" -I Sources/CHDF5
    -I Sources/CCrypto -I "$out/objects/CVolumes" -I "$out/objects/CLinux"
    -enable-upcoming-feature InternalImportsByDefault -enable-upcoming-feature ExistentialAny)
  local flag
  for flag in "${flags[@]}"; do swift+=(-Xcc "$flag"); done
  local module source
  for module in CVolumes CLinux; do
    mkdir -p "$out/objects/$module"
    echo "module $module { umbrella header \"$PWD/Sources/$module/include/$module.h\" export * }" >"$out/objects/$module/module.modulemap"
    for source in Sources/"$module"/*.c; do
      clang -c -O1 -g -fsanitize=address,fuzzer-no-link "${flags[@]}" -I "Sources/$module/include" "$source" \
        -o "$out/objects/$(basename "$source" .c).o"
    done
  done
  "${swift[@]}" "${sanitize[@]}" -module-name Domain -emit-module -emit-module-path "$out/objects/Domain.swiftmodule" \
    -c $(find Sources/Domain -name '*.swift') -o "$out/objects/Domain.o"
  "${swift[@]}" "${sanitize[@]}" -module-name Volumes -emit-module -emit-module-path "$out/objects/Volumes.swiftmodule" \
    -c Sources/Volumes/*.swift -o "$out/objects/Volumes.o"
  # gold warns of symbols of the sanitizer that it does not export.
  "${swift[@]}" "${sanitize[@]}" Tests/Fuzz/FuzzTarget.swift "$out"/objects/*.o "${libraries[@]}" -o "$out/fuzz" \
    2> >(grep -v 'Cannot export local symbol' >&2)
  "${swift[@]}" -sanitize=address -sanitize-coverage=edge,trace-cmp -gnone Tests/Fuzz/SeedMaker.swift \
    Tests/VolumesTests/{Picture,Microscope}Builders.swift "$out"/objects/*.o "${libraries[@]}" -o "$out/seeds" \
    2> >(grep -v 'Cannot export local symbol' >&2)
}
if [ -n "$(find Sources/Domain Sources/Volumes Sources/CVolumes Sources/CLinux Tests/Fuzz Tests/VolumesTests/*Builders.swift tools/fuzz.sh -newer "$out/seeds" 2>&1)" ]; then build; fi
swift build --product fgnet-hdf5 >/dev/null
cp "$(swift build --show-bin-path)/fgnet-hdf5" "$out/"
for format in tiff png mrc dm hdf5 answer labels; do mkdir -p "$out/seed/$format" "$out/corpus/$format"; done
ASAN_OPTIONS=detect_leaks=0 "$out/seeds" "$out/seed"
# Not HDF5: label files are read by commands that end with a fault of the library, not by the daemon.
cp "$out"/seed/{tiff,png}/* "$out/seed/labels/"
limits=(-max_len=8192 -malloc_limit_mb=160 -rss_limit_mb=2048)
if [ -n "$data" ]; then
  limits=(-max_len=1048576 -malloc_limit_mb=2048 -rss_limit_mb=6144)
  for file in "$data"/formats/*; do
    case ${file,,} in
      *.tif | *.tiff) cp -f "$file" "$out/seed/tiff/" ;;
      *.png) cp -f "$file" "$out/seed/png/" ;;
      *.mrc) cp -f "$file" "$out/seed/mrc/" ;;
      *.dm3 | *.dm4) cp -f "$file" "$out/seed/dm/" ;;
      *.h5 | *.hdf5) cp -f "$file" "$out/seed/hdf5/" ;;
    esac
  done
fi
for format in tiff png mrc dm hdf5 answer labels; do
  case $format in answer | labels) target=$format ;; *) target=images ;; esac
  log=$out/$format.log
  # hdf5: every input starts a program, and what that one does wrong is contained by it.
  if ! FGNET_FUZZ=$target "$out/fuzz" "$out/corpus/$format" "$out/seed/$format" -max_total_time="$seconds" "${limits[@]}" \
    -timeout=10 -detect_leaks=1 -print_final_stats=1 \
    -artifact_prefix="$out/faults/$format-" >"$log" 2>&1; then
    tail -40 "$log" >&2
    echo "fuzz: $format fails; the input is in $out/faults" >&2
    exit 1
  fi
  echo "fuzz: $format, $(sed -n 's/stat::number_of_executed_units: *//p' "$log") inputs, $(grep -o 'cov: [0-9]*' "$log" | tail -1)"
done
