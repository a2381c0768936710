#!/usr/bin/env bash
# Installs the Debian packages that fgnetd is built on, is tested with and runs on. Does nothing when all are there.
set -euo pipefail
packages=(libinotifytools0-dev libopenblas-dev libhdf5-dev libpq-dev libtiff-dev libpng-dev libdeflate-dev libssl-dev
  pkg-config postgresql python3-h5py)
missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
done
command -v swift >/dev/null || { echo "swift was not found: install Swift 6.2 or later and put it on the PATH" >&2; exit 1; }
[ ${#missing[@]} -eq 0 ] && exit 0
echo "installing: ${missing[*]}"
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || { echo "these Debian packages are missing: ${missing[*]} (install them as root)" >&2; exit 1; }
  as_root=(sudo)
fi
log=$(mktemp)
if ! { "${as_root[@]}" apt-get update -qq && "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
  apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
  tail -20 "$log" >&2
  echo "apt-get could not install: ${missing[*]}" >&2
  exit 1
fi
rm -f "$log"
