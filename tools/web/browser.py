"""A headless Chromium, driven by the DevTools protocol."""

import base64
import json
import os
import shutil
import subprocess
import time
import urllib.request
from pathlib import Path

from websockets.sync.client import connect


class Browser:
    """The browser's process; pages are its tabs."""

    def __init__(self, folder):
        program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
        if not program:
            raise SystemExit("there is no Chromium: apt-get install chromium")
        self.folder = Path(folder)
        self.folder.mkdir(parents=True)
        line = [
            program, "--headless=new", "--remote-debugging-port=0", f"--user-data-dir={self.folder}", "--no-first-run",
            "--disable-background-networking", "--hide-scrollbars", "--disable-dev-shm-usage",
            "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist", "about:blank",
        ]
        if os.geteuid() == 0:
            line.insert(1, "--no-sandbox")  # its sandbox does not work for root
        self.process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        port = self.folder / "DevToolsActivePort"
        end = time.monotonic() + 60
        while not (port.exists() and port.read_text().strip()):
            if self.process.poll() is not None or time.monotonic() > end:
                raise SystemExit("Chromium does not start")
            time.sleep(0.05)
        self.address = f"127.0.0.1:{port.read_text().split()[0]}"

    def page(self, width=1280, height=900, dark=False):
        request = urllib.request.Request(f"http://{self.address}/json/new?about:blank", method="PUT")
        with urllib.request.urlopen(request, timeout=30) as answer:
            return Page(json.load(answer)["webSocketDebuggerUrl"], width, height, dark)

    def close(self):
        self.process.terminate()
        self.process.wait(timeout=60)


class Page:
    """A tab. `errors` holds what its console told and what did not load."""

    def __init__(self, address, width, height, dark):
        self.socket = connect(address, max_size=None, proxy=None)
        self.number = 0
        self.errors = []
        self.is_loaded = False
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def call(self, method, **parameters):
        self.number += 1
        self.socket.send(json.dumps({"id": self.number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self.socket.recv(timeout=120))
            if message.get("id") == self.number:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']['message']}")
                return message["result"]
            self.note(message)

    def note(self, message):
        what, told = message.get("method"), message.get("params", {})
        if what == "Page.loadEventFired":
            self.is_loaded = True
        elif what == "Runtime.exceptionThrown":
            details = told["exceptionDetails"]
            self.errors.append(details.get("exception", {}).get("description") or details["text"])
        elif what == "Runtime.consoleAPICalled" and told["type"] in ("error", "assert"):
            self.errors.append(" ".join(str(one.get("value", one.get("description"))) for one in told["args"]))
        elif what == "Log.entryAdded" and told["entry"]["level"] == "error":
            self.errors.append(f"{told['entry']['text']} {told['entry'].get('url', '')}")

    def open(self, address):
        self.is_loaded = False
        self.call("Page.navigate", url=address)
        self.wait(lambda: self.is_loaded, 60, f"{address} does not load")

    def get(self, expression):
        """The value of an expression in the page; of a promise, what it becomes."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            details = result["exceptionDetails"]
            raise RuntimeError(f"{expression}: {details.get('exception', {}).get('description', details['text'])}")
        return result["result"].get("value")

    def wait(self, condition, seconds, what):
        """Waits generously until a function, or an expression in the page, is true; what it gave."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = self.get(condition) if isinstance(condition, str) else condition()
            if found:
                return found
            self.get("0")
            time.sleep(0.05)
        raise AssertionError(f"after {seconds} s: {what}")

    def click(self, x, y):
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def key(self, key, text=None):
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, **({"text": text} if text else {}))
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key)

    def screenshot(self, path):
        data = self.call("Page.captureScreenshot", format="png")["data"]
        Path(path).write_bytes(base64.b64decode(data))

    def close(self):
        self.call("Page.close")
        self.socket.close()
