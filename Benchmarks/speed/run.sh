#!/usr/bin/env bash
# Speed of the network on this machine. Usage: run.sh BIN kernels|model
#   kernels   every kernel at every shape of the default model and of SAM2's tiny encoder, against the measured peak
#   model     a section in steady state, beside PyTorch, ONNX Runtime and OpenVINO (installed into .bench/)
set -euo pipefail
cd "$(dirname "$0")/../.."
bin=$(realpath "$1") what=$2 model=models/fgnet-nano.h5
here=$PWD/.bench
export PYTHONPATH=$PWD/Benchmarks # what the scripts share
mkdir -p "$here"
case $what in
  kernels)
    "$bin/fgnet-bench" network "$model" --kernels
    "$bin/fgnet-bench" encoder tiny --kernels --sections 3
    ;;
  model)
    python=$(Benchmarks/speed/peers.sh "$here")
    for one in "$model" tiny; do
      { case $one in
          tiny) "$bin/fgnet-bench" encoder tiny --sections 3 && "$python" Benchmarks/speed/peers.py tiny 1024 1 "$here" ;;
          *) "$bin/fgnet-bench" network "$one" && "$python" Benchmarks/speed/peers.py "$one" 1024 4 "$here" ;;
        esac; } 2>"$here/speed.log" | tee "$here/speed.jsonl" | sed -u 's/^/# /' >&2
      "$python" Benchmarks/speed/table.py "$one" "$here/speed.jsonl"
    done
    ;;
  *) echo "there is no benchmark $what" >&2; exit 64 ;;
esac
