"""The daemon over HTTP, as people and programs use it.

    run.py PROGRAMS [--only NAME] [--pictures FOLDER]

A daemon on simulated sections that are dropped in one by one; a real browser on its pages; cloud-volume, schemathesis, a parser of
Prometheus's format and Neuroglancer's own client on its addresses; callers that mean no good. Each check is a line.
"""

import argparse
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "faults"))

import hostile
import neuroglancer_client
import pages
import volumes
from bench import ROOT, Bench, Failure, end, wait_until
from browser import Browser

SIZE, SECTIONS = 300, 6


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Checks:
    def __init__(self, only):
        self.only, self.failed = only, 0

    def run(self, name, body, *arguments):
        if self.only and self.only not in name:
            return
        start = time.monotonic()
        try:
            told = body(*arguments)
            print(f"ok: {name} ({time.monotonic() - start:.1f} s){f': {told}' if told is not None else ''}", flush=True)
        except Exception:
            self.failed += 1
            print(f"FAILED: {name}\n{traceback.format_exc()}", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("programs")
    parser.add_argument("--only", help="checks whose name holds this; those before them that they rest on are made all the same")
    parser.add_argument("--pictures", type=Path, help="folder for pictures of the pages")
    arguments = parser.parse_args()
    checks = Checks(arguments.only)
    with tempfile.TemporaryDirectory(prefix="fgnetd-web-") as place:
        folder = Path(place)
        folder.chmod(0o755)
        bench = Bench(arguments.programs, folder / "bench")
        port, client_port = free_port(), free_port()
        bench.config.write_text(
            bench.config.read_text().replace("settle: 500ms}", "settle: 500ms, incomplete_deadline: 2s}")
            .replace("fgnet-nano.h5}", "fgnet-nano.h5, keep_coarse: true}")
            + "  watershed: {threshold: 0.2}\n"
            "  agglomerate: {scoring: quantile, quantile: 50, init_with_max: false, threshold: 0.7}\n"
            f"http: {{enabled: true, port: {port}, rate: 100000, allowed_origin: http://127.0.0.1:{client_port}}}\n")
        made = folder / "made"
        subprocess.run(
            [bench.fgnetd, "simulate", made, "--sections", str(SECTIONS), "--size", str(SIZE), "--seed", "3"],
            check=True, capture_output=True)
        images = sorted((made / "image").iterdir())
        log = folder / "log"
        daemon = bench.start("run", log=log)
        address = f"http://127.0.0.1:{port}"
        browser = None

        def send(z):
            (bench.watched / f".{images[z].name}.part").write_bytes(images[z].read_bytes())
            (bench.watched / f".{images[z].name}.part").rename(bench.watched / images[z].name)

        try:
            wait_until(lambda: bench.is_served_by(daemon), 120, "the daemon does not start")
            browser = Browser(folder / "browser")
            if not arguments.only or arguments.only in "dashboard grows":
                checks.run("dashboard grows with the sections", pages.check_dashboard_grows, browser, bench, address, send)
            for z in range(SECTIONS):
                if not (bench.watched / images[z].name).exists():
                    send(z)
            wait_until(lambda: bench.command("wait", "--sections", SECTIONS).returncode == 0, 600, "sections do not come")
            bench.must("finish")
            wait_until(lambda: bench.counts().get("final") == SECTIONS, 600, "sections do not become final")
            checks.run("dashboard by the keyboard", pages.check_dashboard_keyboard, browser, address)
            checks.run("clicks show what SQL says", pages.check_clicks, browser, bench, address, SIZE)
            checks.run("overlays", pages.check_layers, browser, address)
            checks.run("wrong addresses in a browser", pages.check_wrong_addresses, browser, address)
            checks.run("names of files are text", pages.check_what_is_written_is_text, browser, bench, address)
            checks.run("cloud-volume reads what is stored", volumes.check_cloud_volume, bench, address, range(SECTIONS))
            checks.run("metrics", volumes.check_metrics, ROOT, address)
            checks.run("Neuroglancer's client", neuroglancer_client.check, browser, address, client_port, arguments.pictures)
            checks.run("the OpenAPI document", volumes.check_document, Path(sys.executable), address, folder)
            checks.run("hostile requests", hostile.check_requests, port)
            checks.run("too many requests at once", hostile.check_many_at_once, port)
            checks.run("200 connections that do nothing", hostile.check_connections, port)
            if arguments.pictures:
                checks.run("pictures", pages.pictures, browser, address, arguments.pictures)
            if daemon.poll() is not None:
                raise Failure(f"the daemon ended with {daemon.returncode}")
            start = time.monotonic()
            if end(daemon, signal.SIGTERM) != 0:
                raise Failure("the daemon did not end well")
            print(f"ok: it stops in {time.monotonic() - start:.1f} s", flush=True)
        finally:
            if browser:
                browser.close()
            if daemon.poll() is None:
                bench.kill_everything(daemon)
            if checks.failed:
                print(log.read_text()[-6000:])
    print(f"{checks.failed} failed")
    return 1 if checks.failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as failure:
        print(f"FAILED: {failure}")
        sys.exit(1)
