#!/usr/bin/env bash
# How good are the segments of real sections: scores, scorings beside waterz, what faults of a scan cost, and how fast a
# proofreader mends them.
# Usage: run.sh BIN DATA scores|agglomeration|faults|review   (DATA: see tools/test-data.sh)
set -euo pipefail
cd "$(dirname "$0")/../.."
bin=$(realpath "$1") data=$(realpath "$2") what=$3
export PATH="$bin:$PATH"
here=$PWD/.bench
mkdir -p "$here"
python=$(Benchmarks/quality/peers.sh "$here")

. Benchmarks/volume.sh

prepare() { # prepare SET FIRST LAST MODEL VOXEL FAULT: .bench/SET-FAULT with sections, labels and segments
  local folder=$here/$1-$6
  mkdir -p "$folder"
  cut "$data/$1/image.tif" "$2" "$3" "$folder/image.tif"
  cut "$data/$1/labels.tif" "$2" "$3" "$folder/truth.tif"
  rm -rf "$folder/in"
  "$python" Benchmarks/quality/perturb.py "$folder/image.tif" "$folder/truth.tif" "$folder" "$6"
  configure "$folder" "$4" "$5"
  segment "$folder"
}
evaluate() { fgnetd evaluate --config "$1/fgnetd.yaml" "$1/labels.tif"; }

case $what in
  scores)
    prepare ac4 80 100 fgnet-nano.h5 '[30, 6, 6]' clean
    echo "ac4 z 80-99, default model"; evaluate "$here/ac4-clean"
    prepare fib25 128 160 fgnet-nano-isotropic.h5 '[10, 10, 10]' clean
    echo "fib25 z 128-159, isotropic model"; evaluate "$here/fib25-clean"
    ;;
  agglomeration)
    prepare ac4 80 100 fgnet-nano.h5 '[30, 6, 6]' clean
    for how in at-once windows; do
      fgnetd tune --config "$here/ac4-clean/fgnetd.yaml" "$here/ac4-clean/labels.tif" --scorings mean,quantile \
        --quantiles 50,75 --init-with-max true,false $([ $how = at-once ] && echo --at-once) --json >"$here/$how.jsonl"
    done
    "$python" Benchmarks/quality/agglomeration.py "$here/ac4-clean/state/sections/bench" "$here/ac4-clean/labels.tif" \
      "$here/at-once.jsonl" "$here/windows.jsonl"
    ;;
  faults)
    for fault in clean missing blurred shifted darker noisy; do
      prepare ac4 80 100 fgnet-nano.h5 '[30, 6, 6]' "$fault"
      echo "$fault: $(evaluate "$here/ac4-$fault" | head -2 | tr '\n' ' ')"
    done
    ;;
  review)
    need "$data/ac4/image.tif" "$data/ac4/labels.tif"
    prepare ac4 80 100 fgnet-nano.h5 '[30, 6, 6]' clean
    rm -f "$here/review.svg"
    # psql knows the private database's place, and the server runs as long as psql does.
    export review="'$python' Benchmarks/quality/review.py '$here/ac4-clean/state/sections/bench' '$here/ac4-clean/labels.tif' bench '$here/review.svg'"
    fgnetd sql --config "$here/ac4-clean/fgnetd.yaml" -- --quiet -f - <<'SQL'
\setenv PGHOST :HOST
\setenv PGPORT :PORT
\setenv PGUSER :USER
\setenv PGDATABASE :DBNAME
\! eval "$review"
SQL
    [ -s "$here/review.svg" ] || { echo "the review queue was not measured; see above" >&2; exit 1; }
    ;;
  *) echo "there is no benchmark $what" >&2; exit 64 ;;
esac
