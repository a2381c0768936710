#!/usr/bin/env bash
# The daemon over HTTP in a real browser and with other programs' clients (tools/web/run.py). Needs Chromium (apt-get install chromium) and
# makes itself an environment of Python packages in .bench/web. Usage: test-web.sh BIN [--only NAME] [--pictures FOLDER]; PYTHON=... names an
# interpreter that has them.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=$(realpath "$1")
shift
python=${PYTHON:-$PWD/.bench/web/bin/python}
if [ ! -x "$python" ]; then
  python3 -m venv "$PWD/.bench/web"
  "$PWD/.bench/web/bin/pip" install --quiet 'cloud-volume==12.*' h5py 'neuroglancer==2.*' 'prometheus-client<1' 'schemathesis==4.*' websockets
fi
exec "$python" tools/web/run.py "$bin" "$@"
