"""What open pages ask the daemon for, without a browser, whose own work would be measured too.

    viewer.py ADDRESS

A dashboard that follows the status, and a viewer on the newest section, at the pace of Sources/Web/Pages. Runs until it is ended; each line
is a second's requests and bytes.
"""

import json
import sys
import threading
import time
import urllib.error
import urllib.request

address = sys.argv[1]
volume = f"{address}/api/v1/volumes/test"
told = [0, 0]


def ask(path):
    request = urllib.request.Request(path, headers={"Accept-Encoding": "gzip"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            data = answer.read()
            told[0] += 1
            told[1] += len(data)
            return data
    except urllib.error.HTTPError:
        return None


def follow():
    with urllib.request.urlopen(f"{address}/api/v1/events", timeout=600) as answer:
        for line in answer:
            told[1] += len(line)


def dashboard():
    while True:
        for path in (f"{address}/api/v1/disk", f"{address}/api/v1/volumes", f"{volume}/sections",
                     f"{volume}/rates?bucket_seconds=300&buckets=48", f"{volume}/events-by-section", f"{address}/api/v1/quarantine"):
            ask(path)
        time.sleep(5)


def viewer():
    """Goes to the newest section every four seconds and looks at all of it, at the level that fits a screen."""
    while True:
        volumes = json.loads(ask(f"{address}/api/v1/volumes") or "[]")
        last = volumes[0].get("lastZ") if volumes else None
        section = ask(f"{volume}/sections/{last}") if last is not None else None
        if section:
            facts = json.loads(section)
            shown = facts.get("segmentation")
            if shown:
                ask(f"{volume}/sections/{last}/segments?segmentation={shown}")
            for y in range((facts["height"] + 255) // 256):
                for x in range((facts["width"] + 255) // 256):
                    ask(f"{volume}/sections/{last}/tiles/image/0/{y}/{x}")
                    if shown:
                        ask(f"{volume}/sections/{last}/tiles/labels/0/{y}/{x}?segmentation={shown}")
        time.sleep(4)


for work in (follow, dashboard, viewer):
    threading.Thread(target=work, daemon=True).start()
before = (0, 0)
while True:
    time.sleep(1)
    now = tuple(told)
    print(now[0] - before[0], now[1] - before[1], flush=True)
    before = now
