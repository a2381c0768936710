#!/usr/bin/env bash
# Makes the Debian package of this machine's architecture: make-deb.sh DIRECTORY-OF-PROGRAMS OUTPUT-DIRECTORY
# The Swift runtime is in the programs; the other libraries are the distribution's, in the versions built against.
set -euo pipefail
cd "$(dirname "$0")/../.."
bin=$1
out=$2
fail() { echo "make-deb: $*" >&2; exit 1; }
for tool in dpkg-deb dpkg-shlibdeps; do
  command -v $tool >/dev/null || fail "$tool was not found: install the package dpkg-dev"
done
version=$(sed -n 's/.*current = "\(.*\)".*/\1/p' Sources/Daemon/Service/Version.swift)
[ -n "$version" ] || fail "Sources/Daemon/Service/Version.swift names no version"
architecture=$(dpkg --print-architecture)
for program in fgnetd fgnet-watch fgnet-hdf5; do
  if readelf -d "$bin/$program" | grep -q 'NEEDED.*libswift'; then
    fail "$bin/$program needs the Swift runtime: build it by \`make build\`"
  fi
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
make --no-print-directory install-files BIN="$bin" DESTDIR="$root" PREFIX=/usr STRIP=1
install -D -m 644 LICENSE "$root/usr/share/doc/fgnetd/copyright"
printf '\n%s\n\n' "fgnet-watch is under the GNU General Public License, version 2:" >>"$root/usr/share/doc/fgnetd/copyright"
cat Sources/fgnet-watch/COPYING >>"$root/usr/share/doc/fgnetd/copyright"
gzip -9nc CHANGELOG.md >"$root/usr/share/doc/fgnetd/changelog.gz"
chmod 644 "$root/usr/share/doc/fgnetd/changelog.gz"

# dpkg-shlibdeps wants a source tree's control file.
mkdir "$work/debian"
printf 'Source: fgnetd\n\nPackage: fgnetd\nArchitecture: any\n' >"$work/debian/control"
libraries=$(cd "$work" && dpkg-shlibdeps -O root/usr/bin/* 2>/dev/null |
  sed -n 's/^shlibs:Depends=//p')
[ -n "$libraries" ] || fail "dpkg-shlibdeps found no libraries in $bin/fgnetd"

mkdir "$root/DEBIAN"
cat >"$root/DEBIAN/control" <<EOF
Package: fgnetd
Version: $version
Architecture: $architecture
Maintainer: ${DEBEMAIL:-fgnetd <root@localhost>}
Section: science
Priority: optional
Installed-Size: $(du -sk --exclude=DEBIAN "$root" | cut -f1)
Depends: $libraries, procps, systemd | systemd-standalone-sysusers
Recommends: postgresql
Description: segmentation of electron-microscopy sections as they arrive
 A daemon that watches a microscope's folder, segments each section with FGNet
 and records every segment and its lineage in PostgreSQL: in a server of the
 lab, or in a private one that it makes and runs itself (then the package
 postgresql is needed).
EOF
echo /etc/fgnetd/fgnetd.yaml >"$root/DEBIAN/conffiles"
for script in postinst prerm postrm; do install -m 755 "tools/package/$script" "$root/DEBIAN/$script"; done
(cd "$root" && find usr lib -type f -print0 | sort -z | xargs -0 md5sum >DEBIAN/md5sums)
mkdir -p "$out"
dpkg-deb --root-owner-group -Zxz -z1 --build "$root" "$out/fgnetd_${version}_$architecture.deb"
