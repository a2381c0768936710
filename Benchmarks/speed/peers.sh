#!/usr/bin/env bash
# Python with the networks' other runtimes; none of it is part of the product. FGNET_BENCH_PYTHON names an interpreter that
# has them already (PyTorch for the processor alone is much smaller than what pip takes by itself).
# Usage: peers.sh FOLDER; prints the interpreter.
set -euo pipefail
if [ -n "${FGNET_BENCH_PYTHON:-}" ]; then
  echo "$FGNET_BENCH_PYTHON"
  exit
fi
venv=$1/runtimes
if [ ! -e "$venv/ready" ]; then
  python3 -m venv "$venv" >&2
  "$venv/bin/pip" install --quiet torch numpy h5py scipy scikit-image tifffile imagecodecs onnx onnxruntime openvino >&2
  touch "$venv/ready"
fi
echo "$venv/bin/python"
