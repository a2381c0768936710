"""What the fault tests share: a daemon in a folder of its own, what it wrote, and its processes."""

import hashlib
import json
import os
import signal
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# Everything that must not depend on what went wrong on the way.
FINAL_STATE = [
    "select z, state, content_sha256, file, signature from section where state <> 'superseded' order by z",
    "select f.fragment_id, f.z, f.label, f.area_px, f.min_y, f.min_x, f.max_y, f.max_x, f.state, s.live_id"
    " from fragment f join segment s using (volume_id, segment_id) order by 1",
    "select fragment_a, fragment_b, z, contact_area_px, mean_affinity, score, accepted from region_edge order by 1, 2",
    "select segment_id from segment where state = 'live' order by 1",
]


class Failure(Exception):
    """A promise that was not kept, in a sentence."""


def wait_until(condition, seconds, what):
    """Waits generously for something that is to happen."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.02)
    raise Failure(f"after {seconds} s: {what}")


class Bench:
    """A configuration, a watched folder and a state directory."""

    def __init__(self, programs, folder, volume=""):
        self.fgnetd = str(Path(programs).resolve() / "fgnetd")
        self.folder = Path(folder)
        self.watched = self.folder / "watched"
        self.state_directory = self.folder / "state"
        self.store = self.state_directory / "sections" / "test"
        self.config = self.folder / "fgnetd.yaml"
        self.watched.mkdir(parents=True)
        self.folder.chmod(0o755)  # run as root, the private PostgreSQL is another user's
        self.config.write_text(
            f"state_directory: {self.state_directory}\n"
            f"volumes: [{{name: test, folder: {self.watched}{volume}}}]\n"
            "intake: {scan_interval: 1s, settle: 500ms}\n"
            f"stages:\n  affinity: {{model: {ROOT}/models/fgnet-nano.h5}}\n"
        )

    # Programs.

    def command(self, name, *arguments, **options):
        """Runs a command of the program to its end."""
        line = [self.fgnetd, name, "--config", str(self.config), *map(str, arguments)]
        return subprocess.run(line, capture_output=True, text=True, **options)

    def must(self, name, *arguments):
        """The output of a command that succeeds."""
        done = self.command(name, *arguments)
        if done.returncode != 0:
            raise Failure(f"fgnetd {name} ended with {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def start(self, name, *arguments, log=None):
        """Starts a command, in a session of its own. Its log is appended to the file `log`."""
        line = [self.fgnetd, name, "--config", str(self.config), *map(str, arguments)]
        with open(log or os.devnull, "ab") as output:
            return subprocess.Popen(line, stdout=output, stderr=output, stdin=subprocess.DEVNULL, start_new_session=True)

    def ingest(self, folder=None):
        """Takes the folder in, to the end."""
        self.must("ingest", "--quiet", folder or self.watched)

    def sql(self, *queries):
        """The answers, a row a line, columns divided by `|`."""
        return self.must("sql", "--", "-At", *(part for query in queries for part in ("-c", query)))

    def ask(self, query):
        """The answer of the private server, if it runs and answers at once; else nothing."""
        place = f"host={self.state_directory}/postgres/socket port=5432 user=fgnet dbname=fgnet connect_timeout=2"
        try:
            done = subprocess.run(["psql", "-XAt", place, "-c", query], capture_output=True, text=True, timeout=5)
        except subprocess.TimeoutExpired:
            return ""
        return done.stdout if done.returncode == 0 else ""

    def status(self):
        """What the daemon last said of itself; empty before it did."""
        try:
            return json.loads((self.state_directory / "status.json").read_text())
        except (OSError, ValueError):
            return {}

    def counts(self):
        """Sections by state, as the daemon last said."""
        volumes = self.status().get("volumes", [])
        return volumes[0] if volumes else {}

    def is_served_by(self, process):
        """Whether the daemon is up: it has written its status."""
        return self.status().get("pid") == process.pid

    # What is left.

    def final_state(self):
        """Rows and files, as text."""
        text = self.sql(*FINAL_STATE)
        for line in self.sql("select z, file from section where state <> 'superseded' and file <> '' order by z").split():
            z, file = line.split("|")
            text += f"{z} {hashlib.sha256((self.store / file).read_bytes()).hexdigest()}\n"
        return text

    def leftovers(self):
        """Temporary files, and products that no row names."""
        named = set(self.sql("select file from section where state <> 'superseded' and file <> ''").split())
        names = [path.name for path in self.store.iterdir()]
        found = [n for n in names if n.startswith(".") or n.startswith("damaged-")]
        found += [n for n in names if n.startswith("z") and not n.endswith(".image.h5") and n not in named]
        cluster = self.state_directory / "postgres"
        return found + [n.name for n in cluster.glob("data.new*")] if cluster.exists() else found

    # Processes.

    def server(self):
        """The process of the private server; 0 if there is none."""
        try:
            pid = int((self.state_directory / "postgres/data/postmaster.pid").read_text().split()[0])
            return pid if os.path.exists(f"/proc/{pid}") else 0
        except (OSError, ValueError, IndexError):
            return 0

    def kill_everything(self, daemon):
        """As a power failure does: the daemon, its children, the server and its children."""
        parents = {}
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                try:
                    parents[int(entry)] = int(Path(f"/proc/{entry}/stat").read_text().rsplit(")", 1)[1].split()[1])
                except (OSError, ValueError):
                    pass
        doomed = {daemon.pid, self.server()} - {0}
        while True:
            more = {pid for pid, parent in parents.items() if parent in doomed} - doomed
            if not more:
                break
            doomed |= more
        for pid in sorted(doomed):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        daemon.wait()

    def stop_server(self):
        """Ends a private server that a killed daemon has left."""
        pid = self.server()
        if pid:
            os.kill(pid, signal.SIGINT)
            wait_until(lambda: self.server() != pid, 60, f"the server {pid} does not stop")


def end(process, how=signal.SIGKILL):
    """Ends a process, if it has not ended."""
    if process is not None and process.poll() is None:
        process.send_signal(how)
    return process.wait(timeout=120) if process is not None else None
