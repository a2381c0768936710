#!/usr/bin/env bash
# The examples in stages/python/examples, which need scikit-image, PyTorch and waterz: each against the contract, and in the whole way of real
# sections if DATA is given. Usage: test.sh BIN [DATA]. PYTHON=... names an interpreter that has all three; else one is made in .bench.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=$(realpath "$1") data=${2:+$(realpath "$2")}
here=$PWD/.bench/stages-test
python=${PYTHON:-$PWD/.bench/stages-python/bin/python}
if [ ! -x "$python" ]; then
  python3 -m venv "$PWD/.bench/stages-python"
  "$PWD/.bench/stages-python/bin/pip" install --quiet numpy scikit-image torch waterz
fi
rm -rf "$here"
mkdir -p "$here"
chmod 755 "$here"
failed=0
check() { # check NAME COMMAND...
  local name=$1
  shift
  if "$@" >"$here/log" 2>&1; then echo "ok: $name"; else
    failed=$((failed + 1))
    echo "FAILED: $name"
    tail -40 "$here/log"
  fi
}
external() { # external KIND SCRIPT: a stage by that name
  printf '  - name: %s\n    kind: %s\n    command: [%s, %s]\n    time_limit: 10min\n    memory_limit: 16GiB\n    environment: {OMP_NUM_THREADS: "1", HOME: %s}\n' \
    "$2" "$1" "$python" "$PWD/stages/python/examples/$2.py" "$HOME"
}
configure() { # configure NAME DENOISE AFFINITY AGGLOMERATE: all three are known, those named are used
  mkdir -p "$here/$1"
  {
    printf 'state_directory: %s\nvolumes: [{name: test, folder: %s}]\nexternal_stages:\n' "$here/$1/state" "${data:-$here}/demo/image"
    external denoise skimage_denoise
    external affinity torch_affinity
    external agglomerate waterz_agglomerate
    printf 'stages:\n  denoise: [%s]\n  affinity: {%s}\n  agglomerate: {%s}\n' "$2" "$3" "$4"
  } >"$here/$1/fgnetd.yaml"
}
ours="model: $PWD/models/fgnet-nano.h5"
configure contract "{name: skimage_denoise}" "name: torch_affinity" "name: waterz_agglomerate"
for stage in skimage_denoise torch_affinity waterz_agglomerate; do
  check "$stage keeps the contract" "$bin/fgnetd" stage-test "$stage" --config "$here/contract/fgnetd.yaml" --side 256
done
segmented() { # segmented NAME: all sections final, with fragments and joined ones
  "$bin/fgnetd" ingest --quiet --config "$here/$1/fgnetd.yaml" "$data/demo/image" &&
    [ "$("$bin/fgnetd" sql --config "$here/$1/fgnetd.yaml" -- -At -c \
      "select count(*) = 20 and min(fragments) > 0 and (select count(*) from region_edge where accepted and kind = 'between') > 100 from sections where state = 'final'")" = t ]
}
if [ -n "$data" ]; then
  configure denoise "{name: skimage_denoise}" "$ours" "name: windowed"
  configure affinity "" "name: torch_affinity" "name: windowed"
  configure agglomerate "" "$ours" "name: waterz_agglomerate"
  for kind in denoise affinity agglomerate; do
    check "20 real sections with the example of $kind" segmented "$kind"
    "$bin/fgnetd" evaluate --config "$here/$kind/fgnetd.yaml" "$data/demo/labels" | head -2 >"$here/$kind/scores"
    sed "s/^/  $kind: /" "$here/$kind/scores"
    # The filters of the example of affinity know nothing of neurons.
    [ "$kind" = affinity ] || check "segments are good with the example of $kind" awk '/^VOI/ { exit !($2 < 0.6) }' "$here/$kind/scores"
  done
fi
echo "$failed failed"
[ "$failed" -eq 0 ]
