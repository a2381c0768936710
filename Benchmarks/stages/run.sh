#!/usr/bin/env bash
# Stages. Usage: run.sh BIN DATA stages|denoise
#   stages   what a do-nothing stage from outside adds to a section of 1024 x 1024 pixels, as a program and as a shared object
#   denoise  the built-in denoise stages beside OpenCV and scikit-image, and VOI of ac4 z 80-99 with noise of three strengths, with and without them
# PYTHON=... names an interpreter with numpy, scipy, opencv-python-headless, scikit-image, tifffile and h5py; else one is made in .bench.
set -euo pipefail
cd "$(dirname "$0")/../.."
bin=$(realpath "$1") data=$(realpath -m "$2") what=$3
export PATH="$bin:$PATH"
here=$PWD/.bench/stages
mkdir -p "$here"
. Benchmarks/volume.sh

case $what in
  stages)
    count=${SECTIONS:-24}
    if [ "$(cat "$here/in/made" 2>/dev/null)" != "$count" ]; then
      rm -rf "$here/in"
      fgnetd simulate "$here/in" --sections "$count" --size 1024 --no-labels
      echo "$count" >"$here/in/made"
    fi
    cc -O2 -shared -fPIC -I include -o "$here/nothing.so" Benchmarks/stages/nothing.c
    chmod 755 "$here" "$here/nothing.so"
    for how in none program library none program library; do
      folder=$here/$how
      configure "$folder" fgnet-nano.h5 '[30, 6, 6]'
      # Beside the disabled ones of the example.
      case $how in
        program)
          sed -i "s|^  denoise:|  denoise:\n    - name: nothing|" "$folder/fgnetd.yaml"
          printf 'external_stages:\n  - name: nothing\n    kind: denoise\n    command: [/usr/bin/python3, %s]\n    environment: {PYTHONPATH: %s, OMP_NUM_THREADS: "1"}\n' \
            "$PWD/Benchmarks/stages/nothing.py" "$PWD/stages/python" >>"$folder/fgnetd.yaml"
          ;;
        library)
          sed -i "s|^  denoise:|  denoise:\n    - name: nothing|" "$folder/fgnetd.yaml"
          printf 'external_stages: [{name: nothing, kind: denoise, library: %s}]\nstage_folders: [%s]\n' "$here/nothing.so" "$here" >>"$folder/fgnetd.yaml"
          ;;
      esac
      rm -f "$folder/report.jsonl"
      fgnetd ingest --quiet --config "$folder/fgnetd.yaml" --report "$folder/report.jsonl" "$(ls -d "$here/in/image" 2>/dev/null || echo "$here/in")" \
        2>"$folder/log" || { tail -3 "$folder/log" >&2; exit 1; }
      cat "$folder/report.jsonl" | tail -1 >>"$here/$how.runs"
    done
    /usr/bin/python3 Benchmarks/stages/cost.py "$here" "$count"
    rm -f "$here"/*.runs
    ;;
  denoise)
    python=${PYTHON:-$here/python/bin/python}
    if [ ! -x "$python" ]; then
      python3 -m venv "$here/python"
      "$here/python/bin/pip" install --quiet numpy scipy opencv-python-headless scikit-image tifffile imagecodecs h5py
    fi
    "$bin/fgnet-bench" denoise >"$here/own.json"
    "$python" Benchmarks/stages/denoise.py speed "$here/own.json"
    need "$data/ac4/image.tif" "$data/ac4/labels.tif"
    for noise in 0.05 0.1 0.2; do
      folder=$here/noise-$noise
      rm -rf "$folder/in"
      "$python" Benchmarks/stages/denoise.py noise "$data/ac4" "$noise" "$folder"
      for stage in none median nlm clahe; do
        configure "$folder" fgnet-nano.h5 '[30, 6, 6]'
        if [ "$stage" != none ]; then # the stage's line `enabled` comes after its name
          sed -i "/- name: $stage/,/enabled/ s|enabled: false|enabled: true|" "$folder/fgnetd.yaml"
          [ "$stage" != nlm ] || sed -i "s|strength: 0.06|strength: $noise|" "$folder/fgnetd.yaml"
        fi
        segment "$folder"
        echo "noise $noise $stage: $(fgnetd evaluate --config "$folder/fgnetd.yaml" "$folder/labels.tif" | head -2 | tr '\n' ' ')"
      done
    done
    ;;
  *) echo "there is no benchmark $what" >&2; exit 64 ;;
esac
