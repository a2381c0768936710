#!/usr/bin/env bash
# The database at size: a made-up history, what commits and questions take in it, and what it takes on disk.
# Usage: run.sh BIN [SCALE|small]
# SCALE 1 (the default): 2000 sections of 10 000 fragments and 50 000 edges, 2 million operations of people. Commits are compared
# with those in a history of 100 sections. `small` is for tests: every step on a few sections, and the lineage replayed.
set -euo pipefail
cd "$(dirname "$0")/../.."
bench=$(realpath "$1")/fgnet-bench-db
scale=${2:-1}
here=$PWD/.bench/db
rm -rf "$here"
mkdir -p "$here"
trap 'rm -rf "$here"' EXIT
if [ "$scale" = small ]; then
  "$bench" make "$here/early" --sections 12 --edits 100 --fragments 400 2>"$here/log" || { cat "$here/log" >&2; exit 1; }
  "$bench" make "$here/late" --sections 40 --edits 400 --fragments 400 2>"$here/log" || { cat "$here/log" >&2; exit 1; }
  "$bench" check "$here/late"
  "$bench" measure "$here/late" "$here/early" --commits 2 --fragments 400 >"$here/table"
  # Commits went on in this one; the other one also took rows by COPY alone, which retires no segments.
  "$bench" check "$here/early"
  grep -q '^| commit over' "$here/table"
else
  read -r sections edits <<<"$(awk -v s="$scale" 'BEGIN { printf "%d %d", 2000 * s, 2000000 * s }')"
  [ "$sections" -ge 20 ] || { echo "SCALE $scale is too small: at least 0.01" >&2; exit 64; }
  few=$((sections < 200 ? sections / 2 : 100))
  "$bench" make "$here/early" --sections $few --edits $((edits / sections * few))
  "$bench" make "$here/late" --sections "$sections" --edits "$edits"
  "$bench" measure "$here/late" "$here/early"
fi
