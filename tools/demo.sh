#!/usr/bin/env bash
# Runs the main job before your eyes: a daemon on a private database and an empty folder, sections dropped in one after the
# other, questions in SQL, a picture. Usage: demo.sh BIN [SECTIONS [LABELS]]
set -euo pipefail
cd "$(dirname "$0")/.."
bin=$(realpath "$1")
sections=${2:-}
labels=${3:-}
here=$PWD/.demo
export PATH="$bin:$PATH"
say() { printf '\n\033[1m%s\033[0m\n' "$*"; }

daemon=
stop() {
  if [ -n "$daemon" ] && kill "$daemon" 2>/dev/null; then wait "$daemon" 2>/dev/null || true; fi
}
trap stop EXIT
rm -rf "$here/watched" "$here/state"
mkdir -p "$here/watched"

if [ -z "$sections" ]; then
  sections=$here/simulated/image
  labels=$here/simulated/labels
  if [ ! -d "$sections" ]; then
    say "Simulating 20 sections of 512 x 512 pixels"
    fgnetd simulate "$here/simulated" --sections 20 --size 512 --seed 7
  fi
fi
[ -d "$sections" ] || { echo "there is no folder $sections" >&2; exit 1; }

sed -e "s|^state_directory:.*|state_directory: $here/state|" -e "s|folder: /data/sem/cortex|folder: $here/watched|" \
  -e "s|- name: cortex|- name: demo|" -e "s|model: .*|model: $PWD/models/fgnet-nano.h5|" -e "s|settle: 2s|settle: 500ms|" \
  config/fgnetd.yaml >"$here/fgnetd.yaml"
config=(--config "$here/fgnetd.yaml")

say "Starting the daemon: private PostgreSQL in .demo/state, watching .demo/watched, log in .demo/log"
fgnetd run "${config[@]}" 2>"$here/log" &
daemon=$!
until fgnetd wait "${config[@]}" 2>/dev/null; do
  kill -0 "$daemon" 2>/dev/null || { cat "$here/log" >&2; exit 1; }
done

say "Dropping sections in, one after the other, as a microscope would"
count=0
begin=$EPOCHREALTIME
while IFS= read -r file; do
  name=${file##*/}
  cp "$file" "$here/watched/.$name.part" # written under another name ...
  mv "$here/watched/.$name.part" "$here/watched/$name" # ... and renamed when it is whole
  count=$((count + 1))
  start=$EPOCHREALTIME
  fgnetd wait "${config[@]}" --sections "$count"
  awk -v n="$name" -v a="$start" -v b="$EPOCHREALTIME" 'BEGIN { printf "  %-24s in SQL after %.2f s\n", n, b - a }'
done < <(find "$sections" -maxdepth 1 -type f | sort -V)

say "The scan is over: the last sections become final"
fgnetd finish "${config[@]}"
fgnetd wait "${config[@]}" --final
awk -v a="$begin" -v b="$EPOCHREALTIME" -v n="$count" 'BEGIN { printf "  %d sections in %.1f s, %.2f s each\n", n, b - a, (b - a) / n }'
awk '/VmHWM/ { printf "  most memory the daemon held: %d MiB\n", $2 / 1024 }' "/proc/$daemon/status"

ask() {
  say "$1"
  printf '  %s\n' "$2"
  fgnetd sql "${config[@]}" -- -P footer=off -c "$2"
}
ask "The largest segments" \
  "SELECT segment_id, size_voxels, round(volume_um3::numeric, 3) AS volume_um3, first_z, last_z, sections FROM segments ORDER BY size_voxels DESC LIMIT 5"
ask "The last merges: which segment was found to be part of which, when and why" \
  "SELECT z, segment_id, other_segment_id, round(score::numeric, 3) AS score, run_id FROM lineage WHERE event = 'merged' ORDER BY lineage_id DESC LIMIT 5"
ask "Section by section" \
  "SELECT z, count(*) AS segments, sum(area_px) AS area_px FROM segment_sections GROUP BY z ORDER BY z LIMIT 5"
ask "What happened to segments, in numbers" "SELECT event, count(*) FROM lineage GROUP BY event ORDER BY event"
fgnetd status "${config[@]}"

if [ -n "$labels" ]; then
  say "Scores against the labels (skimage's definitions, label 0 ignored; lower is better)"
  fgnetd evaluate "${config[@]}" "$labels"
fi
middle=$(fgnetd sql "${config[@]}" -- -At -c "SELECT z FROM sections WHERE state = 'final' ORDER BY z OFFSET $((count / 2)) LIMIT 1")
fgnetd render "${config[@]}" --z "$middle" "$here/picture.png"
say "A picture of section $middle: .demo/picture.png"
