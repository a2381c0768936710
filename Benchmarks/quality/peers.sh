#!/usr/bin/env bash
# Python with the peers that the comparisons here run beside fgnetd; none of it is part of the product.
# Usage: peers.sh FOLDER; prints the interpreter.
set -euo pipefail
venv=$1/peers
if [ ! -x "$venv/bin/python" ]; then
  python3 -m venv "$venv" >&2
  "$venv/bin/pip" install --quiet waterz numpy scipy h5py tifffile imagecodecs >&2
fi
"$venv/bin/python" -c 'import psycopg' 2>/dev/null || "$venv/bin/pip" install --quiet 'psycopg[binary]' >&2
echo "$venv/bin/python"
