#!/usr/bin/env bash
# Memory of whole runs on large sections. Usage: run.sh BIN [SIDE SECTIONS LIMIT]...
# Without arguments: three sections of 8192 x 8192 at 4 GiB. Prints, for each: the limit, the most memory the process had at
# a time (VmHWM), and seconds a section.
set -euo pipefail
cd "$(dirname "$0")/../.."
bin=$(realpath "$1")
shift
[ $# -gt 0 ] || set -- 8192 3 4GiB
here=$PWD/.bench/memory
mkdir -p "$here"
printf '%-16s %9s %9s %12s %10s %12s\n' section sections limit 'peak (MiB)' 'of limit' 's a section'
while [ $# -ge 3 ]; do
  side=$1 sections=$2 limit=$3
  shift 3
  run=$here/$side
  rm -rf "$run"
  mkdir -p "$run/in"
  "$bin/fgnetd" simulate "$run/small" --sections "$sections" --size 1024 --tiff --no-labels
  for small in "$run"/small/image/*.tif; do
    python3 Benchmarks/memory/section.py "$small" "$side" "$run/in/$(basename "$small")"
  done
  cat >"$run/fgnetd.yaml" <<YAML
state_directory: $run/state
memory_limit: $limit
volumes:
  - name: large
    folder: $run/in
stages:
  affinity:
    model: $PWD/models/fgnet-nano.h5
YAML
  start=$(date +%s)
  "$bin/fgnetd" ingest --quiet --config "$run/fgnetd.yaml" "$run/in" 2>"$run/log" &
  process=$! peak=0
  # The peak is the process's own; it is read until the process is gone.
  while now=$(awk '/^VmHWM/ { print $2 }' "/proc/$process/status" 2>/dev/null) && [ -n "$now" ]; do
    peak=$now
    sleep 0.5
  done
  wait "$process" || { cat "$run/log" >&2; exit 1; }
  seconds=$(($(date +%s) - start))
  bytes=$("$bin/fgnetd" check-config --verbose --config "$run/fgnetd.yaml" | awk '/^memory_limit/ { print $2 * ($3 == "GiB" ? 1024 : 1) }')
  awk -v side="$side" -v n="$sections" -v limit="$limit" -v peak="$peak" -v most="$bytes" -v s="$seconds" 'BEGIN {
    printf "%-16s %9d %9s %12d %9.0f%% %12.0f\n", side " x " side, n, limit, peak / 1024, peak / 1024 / most * 100, s / n }'
done
