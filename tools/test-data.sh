#!/usr/bin/env bash
# Checks on real sections. Usage: test-data.sh BIN DATA, with DATA/demo/image/NNN.png, DATA/demo/labels/NNN.png (20 sections,
# 30 x 6 x 6 nm, never trained on), DATA/formats (files of real microscopes) and DATA/sam2-manifests (key and shape of every
# tensor of SAM2.1's checkpoints, sam2.1_hiera_SIZE.json). Fails when anything is missing.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=$(realpath "$1")
data=$(realpath "$2")
export PATH="$bin:$PATH"
for needed in "$data/demo/image/000.png" "$data/demo/labels/000.png" "$data/formats" "$data/sam2-manifests"; do
  [ -e "$needed" ] || { echo "test-data: $needed is missing" >&2; exit 1; }
done
here=$(mktemp -d)
chmod 755 "$here" # run as root, the private PostgreSQL is another user's
daemon=
stop() {
  if [ -n "$daemon" ]; then kill "$daemon" 2>/dev/null && wait "$daemon" 2>/dev/null || true; fi
  daemon=
}
cleanup() {
  stop
  for file in "$here"/*/state/postgres/data/postmaster.pid; do # left behind only where a check failed half way
    [ ! -e "$file" ] || kill -INT "$(head -1 "$file")" || true
  done
  rm -rf "$here"
}
trap cleanup EXIT
passed=0
failed=0
check() { # check NAME COMMAND...
  local name=$1
  shift
  if "$@"; then
    passed=$((passed + 1))
    echo "ok: $name"
  else
    failed=$((failed + 1))
    echo "FAILED: $name"
  fi
}
configure() { # configure NAME: a state directory and a watched folder of its own
  mkdir -p "$here/$1/watched"
  sed -e "s|^state_directory:.*|state_directory: $here/$1/state|" -e "s|folder: /data/sem/cortex|folder: $here/$1/watched|" \
    -e "s|- name: cortex|- name: test|" -e "s|model: .*|model: $PWD/models/fgnet-nano.h5|" config/fgnetd.yaml \
    >"$here/$1/fgnetd.yaml"
}
# Everything that must not depend on how the sections came.
state() {
  for query in \
    "select z, state, content_sha256, file, signature from section where state <> 'superseded' order by z" \
    "select f.fragment_id, f.area_px, f.min_y, f.min_x, f.max_y, f.max_x, f.state, s.live_id from fragment f join segment s using (volume_id, segment_id) order by 1" \
    "select fragment_a, fragment_b, contact_area_px, mean_affinity, score, accepted from region_edge order by 1, 2" \
    "select segment_id from segment where state = 'live' order by 1"; do
    fgnetd sql --config "$here/$1/fgnetd.yaml" -- -At -c "$query"
  done
  (cd "$here/$1/state/sections/test" && ls z*.h5 | grep -v image | xargs sha256sum) # an image file names its source
}
scores() { fgnetd evaluate --config "$here/$1/fgnetd.yaml" --json "$data/demo/labels"; }
below() { python3 -c "import json,sys; v=json.load(open(sys.argv[1]))[sys.argv[2]]; print(sys.argv[2], v); sys.exit(v > float(sys.argv[3]))" "$@"; }

# The image encoder holds what SAM2's checkpoints hold, and nothing else.
for size in tiny small base_plus large; do
  fgnetd model keys "$size" >"$here/keys"
  check "image encoder $size: the keys and shapes of SAM2.1's checkpoint" \
    /usr/bin/python3 - "$here/keys" "$data/sam2-manifests/sam2.1_hiera_$size.json" <<'PYTHON'
import json, sys
found = open(sys.argv[1]).read().splitlines()
tensors = json.load(open(sys.argv[2]))
expected = sorted(f"{t['key']}\t{t['shape']}" for t in tensors if t["key"].startswith("image_encoder."))
for line in sorted(set(found) ^ set(expected)):
    print("only", "here:" if line in found else "there:", line)
sys.exit(found != expected or len(found) < 100)
PYTHON
done

# All at once.
configure batch
fgnetd ingest --quiet --config "$here/batch/fgnetd.yaml" "$data/demo/image" 2>"$here/log" || { cat "$here/log" >&2; exit 1; }
state batch >"$here/batch.state"
scores batch >"$here/scores"
check "20 real sections, VOI at most 0.5" below "$here/scores" voi 0.5
check "20 real sections, adapted Rand error at most 0.05" below "$here/scores" adaptedRandError 0.05
check "section files and stack open in h5py" /usr/bin/python3 - "$here/batch/state/sections/test" <<'PYTHON'
import sys, h5py
with h5py.File(sys.argv[1] + "/volume.h5") as volume:
    labels = volume["fragments"]
    assert labels.shape == (20, 512, 512), labels.shape
    assert all(labels[z].max() > 10 for z in range(20))
PYTHON

# Dropped one by one in random order into a watched folder.
configure random
fgnetd run --config "$here/random/fgnetd.yaml" 2>"$here/log" &
daemon=$!
until fgnetd wait --config "$here/random/fgnetd.yaml" 2>/dev/null; do kill -0 "$daemon"; done
count=0
while read -r file; do
  cp "$file" "$here/random/watched/"
  count=$((count + 1))
  fgnetd wait --config "$here/random/fgnetd.yaml" --sections "$count"
done < <(find "$data/demo/image" -name '*.png' | sort | shuf --random-source=<(yes 7))
fgnetd finish --config "$here/random/fgnetd.yaml" >/dev/null
fgnetd wait --config "$here/random/fgnetd.yaml" --final
stop
state random >"$here/random.state"
check "random order, one by one: the same labels and rows" cmp "$here/batch.state" "$here/random.state"

# Killed again and again; `make test-kills` does it more often.
check "killed 40 times: the same labels and rows, no leftover files" \
  tools/faults/kills.py "$bin" --sections "$data/demo/image" --kills 40

# Files of real microscopes: shape, numbers and pixel size are those that MANIFEST.tsv states.
fgnetd inspect --json "$data"/formats/*.{tif,tiff,png,mrc,dm3,dm4,h5,hdf5} >"$here/inspected" 2>/dev/null || true
check "real microscope files: read as the manifest states" \
  /usr/bin/python3 - "$here/inspected" "$data/formats/MANIFEST.tsv" <<'PYTHON'
import ast, json, os, sys
found = {os.path.basename(line["file"]): line for line in map(json.loads, open(sys.argv[1]))}
nanometres = {"pm": 1e-3, "A": 0.1, "nm": 1, "um": 1e3}
faults = []
for row in open(sys.argv[2]):
    path, shape, kind, scale, note = row.rstrip("\n").split("\t")
    name, shape, scale = os.path.basename(path), ast.literal_eval(shape), ast.literal_eval(scale)
    line = found.get(name, {"fault": "not read"})
    got = tuple(line.get(key) for key in ("sections", "height", "width"))
    if line.get("fault") or got != ((1,) + shape)[-3:] or line["type"] != kind:
        faults.append(f"{name}: {line}")
    units = ast.literal_eval(note) if note.startswith("[") else [note.split()[0]] * 3
    if all(unit in nanometres for unit in units) and isinstance(scale[0], float):
        wanted = [size * nanometres[unit] for size, unit in zip(scale, units)]
        if any(abs(a - b) > 1e-4 * b for a, b in zip(line.get("pixelSizeNm", [0, 0, 0]), wanted)):
            faults.append(f"{name}: pixel size {line.get('pixelSizeNm')}, not {wanted}")
print("\n".join(faults))
sys.exit(len(faults) > 0 or len(found) == 0)
PYTHON

# Files of real microscopes: each is taken or named with a reason, and nothing ends the program.
configure formats
mkdir "$here/formats/in"
number=0
for file in "$data"/formats/*.tif; do
  number=$((number + 1))
  cp "$file" "$here/formats/in/$number.tif"
done
status=0
fgnetd ingest --quiet --config "$here/formats/fgnetd.yaml" "$here/formats/in" 2>"$here/formats.log" || status=$?
check "real microscope files: taken or set aside with a reason (status $status)" test "$status" -le 65
taken=$(fgnetd sql --config "$here/formats/fgnetd.yaml" -- -At -c "select (select count(*) from section where state <> 'missing') + (select count(*) from quarantine)")
check "every one of $number is accounted for" test "$taken" -eq "$number"

# A stack of a real microscope program: as many sections as it has planes, with a warning on each for its pixel size.
configure stack
sed -i "s|stack: refuse|stack: sections|" "$here/stack/fgnetd.yaml"
mkdir "$here/stack/in"
cp "$data"/formats/dmTest_3D_int16_64,65,66.dm4 "$here/stack/in/s100.dm4"
fgnetd ingest --quiet --config "$here/stack/fgnetd.yaml" "$here/stack/in" 2>"$here/log" || cat "$here/log" >&2
check "a DM4 stack of 66 planes is sections 100 to 165" test "$(fgnetd sql --config "$here/stack/fgnetd.yaml" -- -At -c \
  "select count(*), min(z), max(z), max(plane), count(note) from sections where state = 'final'")" = "66|100|165|65|66"
fgnetd status --config "$here/stack/fgnetd.yaml" >"$here/status"
check "its pixel size is a warning in the status" grep -q "66 sections with a warning; z 100: by the file its voxels have 4000 nm in z instead of 30" "$here/status"

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
