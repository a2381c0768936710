#!/usr/bin/env bash
# The Debian package and the unit under a real systemd: test-systemd.sh DIRECTORY-OF-THE-PACKAGE CACHE
# A minimal Debian is made once in CACHE/base; each run boots a copy of it (CACHE/run) in a container, as root.
# MIRROR names a Debian mirror; without it the first of this machine's own.
set -euo pipefail
cd "$(dirname "$0")/.."
deb=$(ls -t "$1"/fgnetd_*.deb | head -1)
mkdir -p "$2"
cache=$(cd "$2" && pwd)
base=$cache/base run=$cache/run log=$cache/boot.log
passed=0 nspawn=

fail() {
  echo "FAILED: $*" >&2
  if [ -n "$nspawn" ]; then
    inside systemctl status --no-pager --lines=0 fgnetd >&2 || true
    inside journalctl --no-pager -u fgnetd -n 40 >&2 || true
  fi
  exit 1
}
ok() { passed=$((passed + 1)); echo "ok $passed - $*"; }

[ "$(id -u)" -eq 0 ] || fail "a container is booted, which root may: run it as root"
missing=()
command -v debootstrap >/dev/null || missing+=(debootstrap)
command -v systemd-nspawn >/dev/null || missing+=(systemd-container)
if [ ${#missing[@]} -gt 0 ]; then
  { apt-get update -qq && apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >"$log" 2>&1 ||
    fail "${missing[*]} could not be installed: $(tail -1 "$log")"
fi

# ---- the minimal Debian, with what the package needs
depends=$(dpkg-deb -f "$deb" Depends)
if [ ! -d "$base" ]; then
  mirror=${MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | head -1)}
  echo "making a minimal Debian in $base from $mirror (once)"
  rm -rf "$base.new"
  debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus "$(. /etc/os-release && echo "$VERSION_CODENAME")" \
    "$base.new" "$mirror" >"$log" 2>&1 || fail "debootstrap: $(tail -1 "$log")"
  mv "$base.new" "$base"
fi
if [ "$(cat "$base/etc/fgnetd-depends" 2>/dev/null)" != "$depends" ]; then
  echo "installing what the package needs"
  cp /etc/resolv.conf "$base/etc/resolv.conf"
  mkdir -p "$base/etc/postgresql-common"
  echo "create_main_cluster = false" >"$base/etc/postgresql-common/createcluster.conf"
  printf '#!/bin/sh\nexit 101\n' >"$base/usr/sbin/policy-rc.d"
  chmod 755 "$base/usr/sbin/policy-rc.d"
  { chroot "$base" apt-get update -qq &&
    DEBIAN_FRONTEND=noninteractive chroot "$base" apt-get satisfy -y -qq --no-install-recommends \
      -o Dpkg::Options::=--force-confold "$depends, postgresql"; } >"$log" 2>&1 || fail "apt-get: $(tail -3 "$log")"
  rm -f "$base/usr/sbin/policy-rc.d" "$base"/var/cache/apt/archives/*.deb
  echo "$depends" >"$base/etc/fgnetd-depends"
fi

# ---- the container
end() {
  [ -z "$nspawn" ] || kill -TERM "$nspawn" 2>/dev/null || true
  [ -z "$nspawn" ] || wait "$nspawn" 2>/dev/null || true
  rm -rf "$run"
}
trap end EXIT
rm -rf "$run"
cp -a "$base" "$run"
cp "$deb" "$run/root/fgnetd.deb"
: >"$run/etc/machine-id"

leader() { pgrep -P "$nspawn" | head -1; }
inside() { nsenter -t "$(leader)" -m -u -i -n -p -- "$@"; }
# until SECONDS COMMAND...
until_true() {
  local end=$((SECONDS + $1))
  shift
  while ! "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $end ] || return 1
    sleep 0.2
  done
}
has_booted() { [ -n "$(leader)" ] && inside systemctl is-system-running | grep -Eq 'running|degraded'; }
boot() {
  systemd-nspawn --quiet --register=no --keep-unit --private-network -b -D "$run" --console=pipe \
    </dev/null >>"$log" 2>&1 &
  nspawn=$!
  until_true 60 has_booted || fail "the container did not boot: $(tail -3 "$log")"
}
property() { inside systemctl show -P "$1" fgnetd; }
main_pid() { property MainPID; }
sql() { inside fgnetd sql -- -At -c "$1"; }
is_active() { [ "$(property ActiveState)" = active ]; }
# drop Z...: sections appear in the watched folder, by rename.
folder=/data/sem/cortex
drop() {
  for z in "$@"; do
    inside sh -c "cp /root/sections/image/$(printf %04d "$z").png $folder/.s && mv $folder/.s $folder/s$z.png"
  done
}
# A daemon that has just been started again is waited for too.
await() { until_true 120 inside fgnetd wait --sections "$1" --timeout 60 || fail "$1 sections were not all segmented"; }
sections() { sql "select count(*) from sections where state in ('provisional', 'final')"; }
no_processes() { ! inside pgrep -u fgnetd; }

: >"$log"
boot
ok "the container boots"

# ---- the package
inside dpkg -i /root/fgnetd.deb >>"$log" 2>&1 || fail "dpkg -i: $(tail -3 "$log")"
inside systemd-analyze verify fgnetd.service || fail "systemd-analyze verify"
[ -z "$(inside systemd-analyze verify fgnetd.service 2>&1)" ] || fail "systemd-analyze verify has something to say"
exposure=$(inside systemd-analyze security fgnetd.service --threshold=15 | sed -n 's/.*level for .*: \([0-9.]*\).*/\1/p') ||
  fail "the unit's exposure is above 1.5"
[ "$(inside stat -c '%U %a' /var/lib/fgnetd)" = "fgnetd 750" ] || fail "the state directory is not the account's"
[ "$(property ActiveState)" = inactive ] || fail "it runs before its configuration names a folder"
ok "the package is installed: account, state directory, unit (exposure $exposure)"

inside systemctl start fgnetd 2>/dev/null && fail "it starts without a folder to watch"
[ "$(inside journalctl --no-pager -u fgnetd | grep -c "the folder $folder of volume cortex does not exist")" -ge 1 ] ||
  fail "nothing in the journal says which folder is missing"
ok "without its folder it says so, and waits"
inside mkdir -p $folder
until_true 60 is_active || fail "it did not start when the folder was there"
ok "it starts by itself when the folder is there"
inside fgnetd simulate /root/sections --sections 24 --size 128 --seed 5 >>"$log" 2>&1 || fail "simulate: $(tail -1 "$log")"

# ---- sections
drop 0 1 2 3 4 5
await 6
[ "$(sections)" = 6 ] || fail "SQL says $(sections) sections, not 6"
[ "$(sql 'select count(*) > 0 from segments')" = t ] || fail "there are no segments"
ok "sections that are dropped in are segments in SQL"
status_is_told() { property StatusText | grep -q '6 on the way'; }
until_true 10 status_is_told ||
  fail "the status text is: $(property StatusText)"
ok "the service manager is told: $(property StatusText)"
inside nsenter -t "$(main_pid)" -m -- touch $folder/x 2>/dev/null && fail "it could write to the acquisition folder"
inside nsenter -t "$(main_pid)" -m -- runuser -u fgnetd -- touch /etc/fgnetd/x 2>/dev/null && fail "it could write to its configuration"
[ "$(inside stat -c %U "/proc/$(main_pid)")" = fgnetd ] || fail "it does not run as fgnetd"
ok "the acquisition folder is read-only for it"

# ---- reload
config=/etc/fgnetd/fgnetd.yaml
runs=$(sql 'select count(*) from fgnet.run')
pid=$(main_pid)
inside cp $config /root/good.yaml
inside sh -c "echo 'no_such_key: 1' >>$config"
inside systemctl reload fgnetd 2>/dev/null && fail "a faulty configuration was reloaded"
inside kill -HUP "$pid"
refused() { inside journalctl --no-pager -u fgnetd | grep 'configuration not reloaded' | grep -q no_such_key; }
until_true 20 refused || fail "the journal does not say that the configuration was refused"
inside cp /root/good.yaml $config
until_true 20 is_active && [ "$(main_pid)" = "$pid" ] && [ "$(sql 'select count(*) from fgnet.run')" = "$runs" ] ||
  fail "a faulty configuration changed something"
ok "a faulty configuration is refused, the old one stays"
inside sed -i 's/^    # threshold: 0.5$/    threshold: 0.45/' $config
inside systemctl reload fgnetd || fail "reload"
until_true 20 is_active || fail "it is $(property ActiveState) after the reload"
[ "$(main_pid)" = "$pid" ] || fail "a reload restarted it"
[ "$(sql 'select count(*) from fgnet.run')" = $((runs + 1)) ] || fail "the reload is not a new run"
drop 6 7
await 8
[ "$(sql "select count(*) from fgnet.run r join fgnet.section s using (run_id) where s.z = 7 and r.configuration ~ '0[.]45'")" = 1 ] ||
  fail "the section after the reload is not the new run's"
ok "systemctl reload: new options from the next section on, as a new run"

# ---- restart, stop, kill -9
drop 8
inside systemctl restart fgnetd || fail "restart"
drop 9
await 10
ok "systemctl restart: nothing is lost"
inside systemctl stop fgnetd || fail "stop"
[ "$(property Result)" = success ] || fail "it stopped with $(property Result)"
no_processes || fail "processes are left: $(inside pgrep -au fgnetd)"
inside test ! -e /var/lib/fgnetd/postgres/data/postmaster.pid || fail "the private database was not stopped"
drop 10
[ "$(sections)" = 10 ] || fail "SQL does not answer root while the daemon is stopped"
no_processes || fail "a command left a database running"
inside systemctl start fgnetd || fail "start after a stop"
await 11
ok "systemctl stop ends everything in order; what comes meanwhile is taken at the next start"
restarts=$(property NRestarts)
drop 11
inside kill -KILL "$(main_pid)"
has_restarted() { [ "$(property NRestarts)" -gt "$restarts" ] && is_active; }
until_true 60 has_restarted || fail "it did not come back after kill -9"
await 12
ok "kill -9: it comes back and goes on"

# ---- a hung stage: the network reads files that never answer, as on a dead network disk: an image that cannot be read from the
# store, so that it is looked for at its source
inside mkdir -p /run/systemd/system/fgnetd.service.d
inside sh -c 'printf "[Service]\nWatchdogSec=20\n" >/run/systemd/system/fgnetd.service.d/test.conf'
inside systemctl daemon-reload
inside systemctl stop fgnetd
image=$(inside sh -c 'ls /var/lib/fgnetd/sections/cortex/z000011-*.image.h5')
inside mv "$image" /root/kept.h5
inside mv $folder/s11.png /root/kept.png
inside runuser -u fgnetd -- mkfifo "$image"
inside mkfifo -m 644 $folder/s11.png
inside systemctl start fgnetd
restarts=$(property NRestarts)
drop 12
bitten() { inside journalctl --no-pager -u fgnetd | grep -q 'Watchdog timeout'; }
until_true 120 bitten || fail "the watchdog did not end the hung daemon"
until_true 60 has_restarted || fail "it did not come back after the watchdog"
inside rm "$image" $folder/s11.png
inside mv /root/kept.h5 "$image"
inside mv /root/kept.png $folder/s11.png
await 13
ok "a hung stage: the watchdog ends the daemon, and it goes on"
inside rm -r /run/systemd/system/fgnetd.service.d
inside systemctl daemon-reload

# ---- backup and restore, as docs/operations.md has it
inside systemctl stop fgnetd
inside cp -a /var/lib/fgnetd /root/backup
inside systemctl start fgnetd
drop 13
await 14
inside systemctl stop fgnetd
inside sh -c 'rm -rf /var/lib/fgnetd/* && cp -a /root/backup/. /var/lib/fgnetd/ && chown -R fgnetd: /var/lib/fgnetd'
[ "$(sections)" = 13 ] || fail "the restored record has $(sections) sections, not 13"
inside systemctl start fgnetd
await 14
ok "backup and restore: what came since is taken in again"

# ---- reboot
inside systemctl enable fgnetd 2>/dev/null || fail "enable"
drop 14
before=$(leader)
inside systemctl reboot || true
until_true 60 sh -c "! kill -0 $before" || fail "the container did not go down"
kill -0 "$nspawn" 2>/dev/null || boot
until_true 60 has_booted || fail "the container did not boot again"
until_true 60 is_active || fail "it was not started at boot"
await 15
ok "reboot: it is started, nothing is lost"

# ---- upgrade
version=$(dpkg-deb -f "$deb" Version)
inside sh -c "dpkg-deb -R /root/fgnetd.deb /root/next && sed -i 's/^Version: .*/Version: $version+1/' /root/next/DEBIAN/control &&
  dpkg-deb -b /root/next /root/next.deb" >>"$log" 2>&1 || fail "the next version could not be made"
pid=$(main_pid)
inside dpkg -i /root/next.deb >>"$log" 2>&1 || fail "the upgrade: $(tail -3 "$log")"
until_true 60 is_active || fail "it does not run after the upgrade"
[ "$(main_pid)" != "$pid" ] || fail "the old program goes on after the upgrade"
inside grep -q '^    threshold: 0.45' $config || fail "the upgrade changed the configuration"
drop 15
await 16
ok "upgrade: configuration kept, the new program goes on"
inside fgnetd finish >/dev/null
inside fgnetd wait --final --timeout 120 >/dev/null || fail "the volume did not become final"
[ "$(sql "select count(*) || '/' || count(distinct z) from sections where state = 'final'")" = 16/16 ] ||
  fail "after all that $(sql "select count(*) from sections where state = 'final'") sections are final, not 16"
ok "all sections are final, none twice"

# ---- removal
inside dpkg -r fgnetd >>"$log" 2>&1 || fail "removal: $(tail -3 "$log")"
no_processes || fail "processes are left after the removal"
inside test ! -e /usr/bin/fgnetd -a -e $config -a -d /var/lib/fgnetd/sections/cortex || fail "removal removed too much or too little"
ok "removal ends the daemon; configuration and results stay"
inside dpkg -P fgnetd >>"$log" 2>&1 || fail "purge: $(tail -3 "$log")"
inside test ! -e /etc/fgnetd -a -d /var/lib/fgnetd/sections/cortex || fail "purge left the configuration, or removed results"
ok "purge removes the configuration; results stay"
echo "$passed passed, 0 failed"
