#!/usr/bin/python3
"""Full disks: small real file systems, in a mount name space of its own; needs no root where user name spaces are allowed.

    full_disks.py PROGRAMS

For the store, the private database, and all of the state directory: the disk is full while sections come.
The daemon must say so in `fgnetd status`, take nothing in by halves, and go on by itself when there is room, to the same rows
and files as with room enough. It must be the same process all the time.
"""

import errno
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from bench import Bench, Failure, end, wait_until

INSIDE = "FGNETD_FULL_DISKS_INSIDE"


class Disk:
    """A file system of some MiB, and a file that fills it."""

    def __init__(self, place, mebibytes):
        self.place = Path(place)
        self.place.mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m,mode=755", "fgnetd-test", self.place], check=True)
        self.filler = self.place / "filler"

    @property
    def free(self):
        status = os.statvfs(self.place)
        return status.f_bfree * status.f_frsize

    def fill(self, leave):
        """Leaves so many bytes."""
        file = os.open(self.filler, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            while self.free > leave:
                os.write(file, b"\xa5" * min(1 << 20, self.free - leave))
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
        finally:
            os.close(file)

    def make_room(self):
        self.filler.unlink()

    def close(self):
        subprocess.run(["umount", "-l", self.place], check=True)


class Case:
    """A bench with a full disk somewhere."""

    def __init__(self, programs, here, name, size, sections):
        self.bench = Bench(programs, here / name)
        self.calm = Bench(programs, here / (name + "-calm"))
        self.name = name
        made = here / (name + "-made")
        subprocess.run([self.bench.fgnetd, "simulate", made, "--sections", str(sections), "--size", str(size), "--no-labels"],
                       check=True, stdout=subprocess.DEVNULL)
        self.images = sorted((made / "image").iterdir())
        self.daemon = None
        self.log = here / (name + ".log")

    def start(self):
        self.daemon = self.bench.start("run", log=self.log)
        wait_until(lambda: self.bench.is_served_by(self.daemon) or self.daemon.poll() is not None, 120, "the daemon is not up")

    def drop(self, images):
        for image in images:
            shutil.copy(image, self.bench.watched / ("." + image.name))
            (self.bench.watched / ("." + image.name)).rename(self.bench.watched / image.name)

    def alarm(self, kinds, text=""):
        """Waits for an alarm that a person can read. Returns what is shown."""
        shown = []

        def is_raised():
            done = self.bench.command("status")
            shown[:] = (done.stdout + done.stderr).splitlines()
            alarms = [line for line in shown if "ALARM" in line]
            return any(f"ALARM {kind}:" in line and text in line for line in alarms for kind in kinds)

        wait_until(is_raised, 120, f"{self.name}: no alarm {kinds} {text} in `fgnetd status`; it shows {shown}")
        return shown

    def check_end(self):
        """All sections become final without anybody's doing, in the same process, and nothing differs."""
        count = len(self.images)
        wait_until(lambda: self.counted() >= count, 180, f"{self.name}: not all sections were taken in: {self.bench.status()}")
        self.bench.must("finish")
        self.bench.must("wait", "--final", "--timeout", "180")
        if "ALARM" in self.bench.must("status"):
            raise Failure(f"{self.name}: the alarm stays: {self.bench.must('status')}")
        if self.daemon.poll() is not None:
            raise Failure(f"{self.name}: the daemon ended with {self.daemon.returncode}")
        state, left = self.bench.final_state(), self.bench.leftovers()
        if end(self.daemon, 15) != 0:
            raise Failure(f"{self.name}: the daemon did not stop as asked")
        for image in self.images:
            shutil.copy(image, self.calm.watched)
        self.calm.ingest()
        if state != self.calm.final_state():
            raise Failure(f"{self.name}: other labels or rows than with room enough")
        if left:
            raise Failure(f"{self.name}: left behind: {' '.join(left)}")
        print(f"ok: {self.name}", flush=True)

    def counted(self):
        counts = self.bench.counts()
        return sum(counts.get(state, 0) for state in ("received", "provisional", "final"))

    def close(self):
        if self.daemon is not None:
            end(self.daemon)
        self.bench.stop_server()
        self.calm.stop_server()


def store(case):
    disk = Disk(case.bench.store.parent, 32)
    case.start()
    case.drop(case.images[:2])
    wait_until(lambda: case.counted() == 2, 120, "the first sections")
    disk.fill(leave=12 << 10)
    case.drop(case.images[2:])
    case.alarm(["disk"], "no space is left")
    if case.counted() == len(case.images):
        raise Failure("store: everything was taken in although the disk is full")
    if any(path.stat().st_size == 0 for path in case.bench.store.glob("z*.h5")):
        raise Failure("store: an empty file has a section's name")
    disk.make_room()
    case.check_end()


def database(case):
    disk = Disk(case.bench.state_directory / "postgres", 256)
    case.start()
    case.drop(case.images[:2])
    wait_until(lambda: case.counted() == 2, 120, "the first sections")
    # Tables cannot grow.
    disk.fill(leave=0)
    case.drop(case.images[2:4])
    case.alarm(["database"])
    disk.make_room()
    wait_until(lambda: case.counted() == 4, 180, "database: it does not go on")
    # The log cannot grow: the server ends, and cannot be started.
    disk.fill(leave=0)
    case.bench.ask("select pg_switch_wal()")
    case.bench.ask("create table public.more as select generate_series(1, 1000)")
    case.drop(case.images[4:])
    case.alarm(["database"])
    disk.make_room()
    case.check_end()


def everything(case):
    disk = Disk(case.bench.state_directory, 256)
    case.start()
    case.drop(case.images[:2])
    wait_until(lambda: case.counted() == 2, 120, "the first sections")
    disk.fill(leave=0)
    case.drop(case.images[2:])
    shown = case.alarm(["disk", "database"])
    if "daemon: alarm" not in shown[0]:
        raise Failure(f"everything: the status does not say that something is wrong: {shown[0]}")
    disk.make_room()
    case.check_end()


def run(programs):
    here = Path(tempfile.mkdtemp(prefix="fgnetd-disks-"))
    here.chmod(0o755)
    failed = 0
    for body, size in ((store, 96), (database, 256), (everything, 96)):
        case = Case(programs, here, body.__name__, size, 6)
        try:
            body(case)
        except Failure as failure:
            failed += 1
            print(f"FAILED: {failure}", file=sys.stderr, flush=True)
            print("\n".join(case.log.read_text().splitlines()[-20:]), file=sys.stderr)
        finally:
            case.close()
    if not failed:
        for line in Path("/proc/mounts").read_text().splitlines():
            place = line.split()[1]
            if place.startswith(str(here)):
                subprocess.run(["umount", "-l", place], check=False)
        shutil.rmtree(here)
    return 1 if failed else 0


def main():
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 64
    if os.environ.get(INSIDE) != "1":
        # The mounts are seen by what is started here, and go with it.
        os.environ[INSIDE] = "1"
        for user in ([], ["--user", "--map-current-user", "--keep-caps"]):
            line = ["unshare", *user, "--mount"]
            if subprocess.run([*line, "true"], capture_output=True).returncode == 0:
                os.execvp("unshare", [*line, sys.executable, *sys.argv])
        print("FAILED: file systems can be mounted neither as this user nor in a name space of its own; run it as root, or allow "
              "user name spaces", file=sys.stderr)
        return 1
    return run(sys.argv[1])


if __name__ == "__main__":
    sys.exit(main())
