#!/usr/bin/python3
"""Kills the program at random moments, starts it again each time, and compares the end with an undisturbed run.

    kills.py PROGRAMS [--sections FOLDER] [--kills 200] [--seed 1]

Moments are drawn from the whole life of a run: its start (the private server included), its work, and its end after
SIGTERM. Most kills hit the daemon alone, so that PostgreSQL goes on; every fifth hits all processes at once, as a power
failure does. The program is both `fgnetd ingest` and `fgnetd run`. When a run comes to its end, rows and files are compared
and another volume is begun. A table says in what phases the kills hit; one that was not hit is a failure from 200 kills on.
"""

import argparse
import collections
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench import Bench, Failure, end

PHASES = ["start-up", "shutdown", "taking in", "network", "watershed", "writing a file", "transaction", "COPY"]
# One undisturbed run at the end of a volume that is killed too often to come to its end.
MOST_KILLS = 40


def states(pid):
    """Which threads of a process run at this moment, by name."""
    running = set()
    for task in os.listdir(f"/proc/{pid}/task"):
        try:
            name, rest = Path(f"/proc/{pid}/task/{task}/stat").read_text().split("(", 1)[1].rsplit(")", 1)
        except OSError:
            continue
        if rest.split()[0] in "RD":
            running.add(name)
    return running


def phases(bench, process, is_stopping, is_up):
    """What a process is doing: looks, stops it, and looks closer."""
    try:
        running = states(process.pid)
    except OSError:
        return set()
    process.send_signal(signal.SIGSTOP)
    found = set()
    if is_stopping:
        found.add("shutdown")
    elif not is_up:
        return {"start-up"}
    if any(path.name.endswith(".tmp") for path in bench.store.glob(".*.tmp")):
        found.add("writing a file")
    for thread, phase in (("intake", "taking in"), ("network", "network"), ("fragments", "watershed")):
        if thread in running:
            found.add(phase)
    for line in bench.ask(
        "select state, query from pg_stat_activity where application_name = 'fgnetd' and pid <> pg_backend_pid()"
    ).splitlines():
        state, _, query = line.partition("|")
        if query.lower().startswith("copy ") and state == "active":
            found.add("COPY")
        elif state in ("active", "idle in transaction"):
            found.add("transaction")
    return found


def stop_in_copy(bench, process, seconds):
    """Stops the process as soon as rows are on their way to the server. A server's process says so in its title, and reading that takes
    microseconds; a COPY takes milliseconds."""
    give_up = time.monotonic() + seconds
    server = bench.server()
    while process.poll() is None and time.monotonic() < give_up:
        try:
            sessions = Path(f"/proc/{server}/task/{server}/children").read_text().split()
        except OSError:
            return
        titles = [f"/proc/{session}/cmdline" for session in sessions]
        for _ in range(1000):
            for title in titles:
                try:
                    with open(title, "rb") as file:
                        if b"] COPY" in file.read():
                            process.send_signal(signal.SIGSTOP)
                            return
                except OSError:
                    pass


def moment(bench, process, draw, longest):
    """Waits for a random moment of a run, at most `longest` seconds after its start-up. Returns whether the process had been told to stop, and whether it was up."""

    def sleep(seconds):
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            pass

    kind = draw.random()
    if kind < 0.2:
        sleep(draw.uniform(0, 1.5))
        return False, bench.is_served_by(process)
    while process.poll() is None and not bench.is_served_by(process):
        time.sleep(0.005)
    sleep(draw.uniform(0, longest))
    if kind < 0.85:
        # Commits are short beside the network: some kills wait for one, and some for the COPY in it.
        aim = draw.random()
        if aim < 0.15:
            stop_in_copy(bench, process, 8)
        elif aim < 0.4:
            finals = bench.counts().get("final", 0)
            give_up = time.monotonic() + 5
            while process.poll() is None and time.monotonic() < give_up and bench.counts().get("final", 0) == finals:
                time.sleep(0.002)
            sleep(draw.uniform(0, 0.1))
        return False, True
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    sleep(draw.uniform(0, 0.6))
    return True, True


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("programs")
    parser.add_argument("--sections", help="a folder of images; without it, 20 simulated sections of 128 x 128")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    draw = random.Random(options.seed)
    here = Path(tempfile.mkdtemp(prefix="fgnetd-kills-"))
    here.chmod(0o755)
    benches = []

    def fill(name):
        bench = Bench(options.programs, here / name)
        benches.append(bench)
        if options.sections:
            for image in sorted(Path(options.sections).iterdir()):
                shutil.copy(image, bench.watched)
        else:
            subprocess.run([bench.fgnetd, "simulate", here / name / "made", "--sections", "20", "--size", "128", "--no-labels"],
                           check=True, stdout=subprocess.DEVNULL)
            for image in (here / name / "made/image").iterdir():
                image.rename(bench.watched / image.name)
        return bench

    process = None
    try:
        calm = fill("calm")
        began = time.monotonic()
        calm.ingest()
        # Some sections come to their end between two kills, however fast the computer is.
        longest = max(2, 0.15 * (time.monotonic() - began))
        expected = calm.final_state()
        kills, volumes, hits = 0, 0, collections.Counter()
        while kills < options.kills:
            bench = fill(f"volume{volumes}")
            before = kills
            while kills < options.kills and kills - before < MOST_KILLS:
                command = ["ingest", "--quiet", bench.watched] if draw.random() < 0.5 else ["run"]
                process = bench.start(*command, log=here / "log")
                is_stopping, is_up = moment(bench, process, draw, longest)
                if process.poll() is None:
                    hits.update(phases(bench, process, is_stopping, is_up))
                    kills += 1
                    if kills % 5 == 0:
                        hits["all processes"] += 1
                        bench.kill_everything(process)
                    else:
                        end(process)
                elif process.returncode == 0 and command[0] == "ingest":
                    break
                elif not is_stopping and process.returncode != 69:  # the server still holds the lock of the one before
                    raise Failure(f"fgnetd {command[0]} ended with {process.returncode}; see {here / 'log'}")
            bench.ingest()
            volumes += 1
            if bench.final_state() != expected:
                raise Failure(f"volume {volumes}, {kills - before} kills: other labels or rows than without; see {bench.folder}")
            if bench.leftovers():
                raise Failure(f"volume {volumes}: left behind: {' '.join(bench.leftovers())}")
            bench.stop_server()
            shutil.rmtree(bench.folder)
            print(f"volume {volumes}: {kills - before} kills, the same labels and rows", flush=True)
        print(f"{kills} kills (seed {options.seed}) in {volumes} volumes; what they hit:")
        for phase in PHASES + ["all processes"]:
            print(f"  {phase:15} {hits[phase]}")
        missed = [phase for phase in PHASES if hits[phase] == 0]
        if missed and kills >= 200:
            raise Failure(f"no kill hit: {', '.join(missed)}; try another --seed")
        shutil.rmtree(here)
    except Failure as failure:
        print(f"FAILED: {failure}", file=sys.stderr)
        return 1
    finally:
        end(process)
        for bench in benches:
            bench.stop_server()
    return 0


if __name__ == "__main__":
    sys.exit(main())
