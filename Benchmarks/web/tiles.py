"""Tiles of a large section: how long each takes the first time, made of what is stored, and again, out of memory.

    tiles.py PROGRAMS [--size 8192] [--sections 1] [--tiles 24]

Simulated sections are segmented to the end, with the coarse affinities kept. Then, for each layer and level, a daemon that has made no tile
yet is asked for some, one after the other, packed as browsers take them, and for the same ones again. Files and rows were just written, so
the disk is not measured. Nothing else may run on the machine. Prints a table; milliseconds.
"""

import argparse
import http.client
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "tools/faults"))

from bench import Bench, Failure, end, wait_until
from run import free_port

LAYERS = ["image", "labels", "affinity-y", "coarse-y"]
SIDE = 256


class Server:
    """A daemon that has made no tile yet, and one connection to it."""

    def __init__(self, bench, port):
        self.daemon = bench.start("run", log=bench.folder / "log")
        try:
            wait_until(lambda: bench.is_served_by(self.daemon), 120, "the daemon does not start")
            self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
            wait_until(self.answers, 60, "the daemon does not answer over HTTP")
        except BaseException:
            self.close()
            raise

    def answers(self):
        try:
            return self.ask("/api/v1/volumes")[1] is not None
        except OSError:
            self.connection.close()
            return False

    def ask(self, path):
        """Milliseconds, and what came; None for a refusal."""
        start = time.perf_counter()
        self.connection.request("GET", path, headers={"Accept-Encoding": "gzip"})
        answer = self.connection.getresponse()
        data = answer.read()
        return (time.perf_counter() - start) * 1000, data if answer.status == 200 else None

    def close(self):
        end(self.daemon, signal.SIGTERM)


def measured(server, paths):
    """Milliseconds of each path the first time and again, and the bytes that came."""
    times = []
    for path in paths:
        took, data = server.ask(path)
        if data is None:
            raise Failure(f"{path} is not answered")
        times.append((took, len(data)))
    return [one[0] for one in times], [server.ask(path)[0] for path in paths], [one[1] for one in times]


def show(layer, level, first, again, sizes):
    print(
        f"| {layer} | {level} | {len(first)} | {statistics.median(first):.1f} | {max(first):.1f} |"
        f" {statistics.median(again):.1f} | {max(again):.1f} | {statistics.median(sizes) / 1024:.0f} |", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("programs")
    parser.add_argument("--size", type=int, default=8192)
    parser.add_argument("--sections", type=int, default=1)
    parser.add_argument("--tiles", type=int, default=24, help="asked for of each layer and level, at most")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fgnetd-tiles-") as place:
        bench = Bench(arguments.programs, Path(place) / "bench")
        Path(place).chmod(0o755)
        port = free_port()
        text = bench.config.read_text().replace("fgnet-nano.h5}", "fgnet-nano.h5, keep_coarse: true}")
        bench.config.write_text(text + f"http: {{enabled: true, port: {port}, rate: 100000}}\n")
        made = Path(place) / "made"
        subprocess.run(
            [bench.fgnetd, "simulate", made, "--sections", str(arguments.sections), "--size", str(arguments.size),
             "--no-labels"], check=True, capture_output=True)
        for image in (made / "image").iterdir():
            os.link(image, bench.watched / image.name)
        start = time.monotonic()
        bench.ingest()
        print(f"{arguments.sections} x {arguments.size} x {arguments.size} pixels, segmented in {time.monotonic() - start:.0f} s\n")
        print("| layer | level | tiles | first | worst | again | worst | KiB |\n|---|---|---|---|---|---|---|---|", flush=True)
        section = "/api/v1/volumes/test/sections/0"
        server = Server(bench, port)
        try:
            levels = json.loads(server.ask(section)[1])["levels"]
            show("table of segments", "", *measured(server, [f"{section}/segments"]))
        finally:
            server.close()
        for layer in LAYERS:
            for level in range(levels):
                side = -(-(-(-arguments.size // 2 ** level)) // SIDE)
                places = [f"{section}/tiles/{layer}/{level}/{y}/{x}" for y in range(side) for x in range(side)]
                server = Server(bench, port)
                try:
                    show(layer, level, *measured(server, random.Random(1).sample(places, min(arguments.tiles, len(places)))))
                finally:
                    server.close()
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as failure:
        print(f"FAILED: {failure}")
        sys.exit(1)
