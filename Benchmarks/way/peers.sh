#!/usr/bin/env bash
# Python with the network's other runtimes (Benchmarks/speed/peers.sh) and what the usual script does after the network.
# Usage: peers.sh FOLDER; prints the interpreter.
set -euo pipefail
python=$("$(dirname "$0")/../speed/peers.sh" "$1")
if ! "$python" -c 'import mahotas, mwatershed, psycopg, waterz' 2>/dev/null; then
  if [ -n "${FGNET_BENCH_PYTHON:-}" ]; then
    echo "$python lacks mahotas, mwatershed, psycopg or waterz: install them there, or unset FGNET_BENCH_PYTHON" >&2
    exit 1
  fi
  "$python" -m pip install --quiet mahotas mwatershed 'psycopg[binary]' waterz >&2
fi
command -v g++ >/dev/null || { echo "waterz compiles its scoring functions with g++: install the package g++" >&2; exit 1; }
echo "$python"
