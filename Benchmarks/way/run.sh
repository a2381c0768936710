#!/usr/bin/env bash
# The whole way of a section, and its parts behind the network. Usage: run.sh BIN DATA pipeline|post|growth
#   pipeline  sections in a folder to rows committed, beside the usual script; SECTIONS=n takes the last n of ac4 z 60-99
#   post      watershed and agglomeration of ac4 z 60-99 beside mahotas, waterz and mwatershed
#   growth    cost of each of SECTIONS=500 simulated sections of SIZE=128 pixels square; needs no DATA
set -euo pipefail
cd "$(dirname "$0")/../.."
bin=$(realpath "$1") data=$(realpath -m "$2") what=$3 model=fgnet-nano.h5
export PATH="$bin:$PATH"
here=$PWD/.bench
mkdir -p "$here"
. Benchmarks/volume.sh

sections() { # sections FIRST LAST FOLDER: FOLDER/in with a file for each section, FOLDER/labels.tif
  need "$data/ac4/image.tif" "$data/ac4/labels.tif"
  rm -rf "$3/in"
  mkdir -p "$3/in"
  "$python" - "$data/ac4" "$@" <<'END'
import sys
import tifffile
data, first, last, folder = sys.argv[1:]
stack = tifffile.imread(f"{data}/image.tif")
for z in range(int(first), int(last)):
    tifffile.imwrite(f"{folder}/in/z{z:04}.tif", stack[z])
tifffile.imwrite(f"{folder}/labels.tif", tifffile.imread(f"{data}/labels.tif")[int(first):int(last)])
END
}

case $what in
  pipeline)
    count=${SECTIONS:-40} folder=$here/pipeline
    [ "$count" -ge 10 ] && [ "$count" -le 40 ] || { echo "SECTIONS must be 10 to 40: a window of the usual script has 18" >&2; exit 64; }
    python=$(Benchmarks/way/peers.sh "$here")
    sections $((100 - count)) 100 "$folder"
    configure "$folder" "$model" '[30, 6, 6]'
    # Three times; the cluster is made before, it is started within the time.
    rm -f "$folder/own.jsonl"
    for _ in 1 2 3; do
      rm -rf "$folder/state" "$folder/report.jsonl"
      fgnetd sql --config "$folder/fgnetd.yaml" -- -qc 'select 1' >/dev/null
      segment "$folder" --report "$folder/report.jsonl"
      tail -1 "$folder/report.jsonl" | tee -a "$folder/own.jsonl" | sed 's/^/# /' >&2
    done
    fgnetd export --config "$folder/fgnetd.yaml" "$folder/segments.h5" >&2
    # psql is there for the sake of the private server, which runs as long as it does.
    PYTHON=$python MODEL=models/$model FOLDER=$folder fgnetd sql --config "$folder/fgnetd.yaml" -- -q <<'END'
\setenv PGHOST :HOST
\setenv PGPORT :PORT
\setenv PGUSER :USER
\setenv PGDATABASE :DBNAME
\! "$PYTHON" Benchmarks/way/usual.py "$MODEL" "$FOLDER" >"$FOLDER/usual.json" || rm -f "$FOLDER/usual.json"
END
    [ -e "$folder/usual.json" ] || { echo "the usual script failed" >&2; exit 1; }
    "$python" Benchmarks/way/pipeline.py "$folder"
    ;;
  post)
    folder=$here/post
    python=$(Benchmarks/way/peers.sh "$here")
    sections 60 100 "$folder"
    configure "$folder" "$model" '[30, 6, 6]'
    segment "$folder"
    "$bin/fgnet-bench" post "models/$model" "$folder/state/sections/bench" "$folder" >"$folder/own.json"
    "$python" Benchmarks/way/post.py "models/$model" "$folder"
    ;;
  growth)
    # The last sections become final without a section's work, so there are some more than are looked at: as many as may wait behind the network.
    more=64
    count=$((${SECTIONS:-500} + more)) size=${SIZE:-128} folder=$here/growth
    [ $((size % 128)) -eq 0 ] || { echo "SIZE must be a multiple of 128: other sections are padded to it" >&2; exit 64; }
    fgnetd ingest --help | grep -q -- --report || { echo "this fgnetd has no ingest --report: build a newer one" >&2; exit 1; }
    if [ "$(cat "$folder/in/made" 2>/dev/null)" != "$count $size" ]; then
      rm -rf "$folder/in"
      fgnetd simulate "$folder/in" --sections "$count" --size "$size" --no-labels
      echo "$count $size" >"$folder/in/made"
    fi
    configure "$folder" "$model" '[30, 6, 6]'
    rm -f "$folder/report.jsonl"
    segment "$folder" --report "$folder/report.jsonl"
    cost=$(fgnetd model info "models/$model" | awk '$1 == "cost" { print $2 }')
    python3 Benchmarks/way/growth.py "$folder" "$size" $((count - more)) "$cost"
    ;;
  *) echo "there is no benchmark $what" >&2; exit 64 ;;
esac
