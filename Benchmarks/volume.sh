# Sourced by the benchmarks that segment volumes. They set `here` (their folder) and `python` (for `cut`) before.
export PYTHONPATH=$PWD/Benchmarks # what their scripts share

need() { # need FILE...: the data there must be
  local file
  for file in "$@"; do
    [ -e "$file" ] || { echo "$file is missing: DATA must hold ac4/image.tif and ac4/labels.tif, AC4 as stacks of 100 sections" >&2; exit 1; }
  done
}
configure() { # configure FOLDER MODEL VOXEL: nothing of a run before is left
  mkdir -p "$1"
  rm -rf "$1/state"
  sed -e "s|^state_directory:.*|state_directory: $1/state|" -e "s|folder: /data/sem/cortex|folder: $1/in|" \
    -e "s|- name: cortex|- name: bench|" -e "s|model: .*|model: $PWD/models/$2|" -e "s|\[30, 6, 6\]|$3|" \
    config/fgnetd.yaml >"$1/fgnetd.yaml"
}
cut() { # cut STACK FIRST LAST TARGET
  "$python" -c 'import sys, tifffile; s, a, b, t = sys.argv[1:]; tifffile.imwrite(t, tifffile.imread(s)[int(a):int(b)])' "$@"
}
segment() { # segment FOLDER [OPTION...]: takes FOLDER/in in
  local folder=$1 in=$1/in
  shift
  [ ! -d "$in/image" ] || in=$in/image # as `fgnetd simulate` lays it out
  fgnetd ingest --quiet --config "$folder/fgnetd.yaml" "$@" "$in" 2>"$folder/log" || { tail -3 "$folder/log" >&2; exit 1; }
}
