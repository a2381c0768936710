"""The pipeline's speed with pages open beside it, against that with nobody looking.

    run.py PROGRAMS [--sections 40] [--size 1024] [--rounds 5]

The same sections dropped in at once, from the first row to the last final one, in turn with and without the callers of viewer.py. Nothing
else may run on the machine. Prints each time, the medians and their ratio; ends with 1 if pages cost more than 3 %.
"""

import argparse
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools/faults"))

from bench import Bench, Failure, end, wait_until

HERE = Path(__file__).resolve().parent
# The last sections wait for the context of the network (5) and of agglomeration (11), which does not come here.
WAITING = 16


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def run(programs, folder, images, is_watched):
    """Seconds from the moment all sections are there to the last final one, and the requests that were answered meanwhile."""
    bench = Bench(programs, folder)
    port = free_port()
    bench.config.write_text(bench.config.read_text() + f"http: {{enabled: true, port: {port}}}\n")
    daemon = bench.start("run", log=folder / "log")
    viewer = None
    try:
        wait_until(lambda: bench.is_served_by(daemon), 120, "the daemon does not start")
        requests = folder / "requests"
        if is_watched:
            line = [sys.executable, str(HERE / "viewer.py"), f"http://127.0.0.1:{port}"]
            with open(requests, "wb") as output:
                viewer = subprocess.Popen(line, stdout=output, preexec_fn=lambda: os.nice(10))
        for image in images:
            os.link(image, bench.watched / f".{image.name}")
            (bench.watched / f".{image.name}").rename(bench.watched / image.name)
        start = time.monotonic()
        wanted = len(images) - WAITING
        wait_until(lambda: bench.counts().get("final", 0) >= wanted, 3600, "the sections do not become final")
        took = time.monotonic() - start
        count = sum(int(one.split()[0]) for one in requests.read_text().splitlines()) if is_watched else 0
        return took, count
    finally:
        end(viewer, signal.SIGTERM)
        end(daemon, signal.SIGTERM)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("programs")
    parser.add_argument("--sections", type=int, default=40)
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fgnetd-web-") as place:
        folder = Path(place)
        folder.chmod(0o755)
        program = str(Path(arguments.programs).resolve() / "fgnetd")
        subprocess.run(
            [program, "simulate", folder / "made", "--sections", str(arguments.sections), "--size", str(arguments.size),
             "--no-labels"], check=True, capture_output=True)
        images = sorted((folder / "made/image").iterdir())
        times = {False: [], True: []}
        for round in range(arguments.rounds):
            for is_watched in (False, True) if round % 2 == 0 else (True, False):
                where = folder / f"{round}-{is_watched}"
                where.mkdir()
                where.chmod(0o755)
                took, count = run(arguments.programs, where / "bench", images, is_watched)
                times[is_watched].append(took)
                print(f"round {round + 1}, {f'watched, {count} requests' if is_watched else 'nobody looks'}: {took:.2f} s", flush=True)
    alone, watched = statistics.median(times[False]), statistics.median(times[True])
    print(f"median: nobody looks {alone:.2f} s, watched {watched:.2f} s: {watched / alone:.3f} times the time")
    return 0 if watched <= 1.03 * alone else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as failure:
        print(f"FAILED: {failure}")
        sys.exit(1)
