"""A headless Chromium that opens a page and answers what it sees, over the DevTools protocol."""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import shutil
import subprocess
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

from websockets.sync.client import connect

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
_START_S, _ANSWER_S = 60, 60


@dataclass
class Page:
    """One tab."""

    socket: Any
    complaints: list[str] = field(default_factory=list)
    """Exceptions, errors of the console, and everything that did not load."""
    requests: list[str] = field(default_factory=list)
    """What it asked for, data URIs left out."""
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def order(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command and return its result."""
        number = next(self._numbers)
        self.socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            message = json.loads(self.socket.recv(timeout=_ANSWER_S))
            if message.get("id") == number:
                assert "error" not in message, message
                return message["result"]
            self._note(message)

    def open(self, path: Path, *, width: int, dark: bool = False) -> None:
        """Open a file in a window of a width and wait until everything in it is loaded."""
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.order(f"{domain}.enable")
        self.order("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.order("Emulation.setEmulatedMedia", media="", features=[scheme])
        self.order("Page.navigate", url=path.resolve().as_uri())
        deadline = time.monotonic() + _ANSWER_S
        while self.ask("document.readyState") != "complete" or self.ask("location.protocol") != "file:":
            assert time.monotonic() < deadline
            time.sleep(0.1)

    def ask(self, expression: str) -> Any:
        """Return the value of an expression."""
        result = self.order("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def picture(self, path: Path) -> None:
        """Save the whole page as a PNG."""
        shot = self.order("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))

    def _note(self, message: dict[str, Any]) -> None:
        method, params = message.get("method", ""), message.get("params", {})
        wrong = {
            "Runtime.exceptionThrown": True,
            "Network.loadingFailed": True,
            "Log.entryAdded": params.get("entry", {}).get("level") == "error",
            "Runtime.consoleAPICalled": params.get("type") in {"error", "warning", "assert"},
        }
        if wrong.get(method):
            self.complaints.append(json.dumps(params))
        elif method == "Network.requestWillBeSent" and not params["request"]["url"].startswith("data:"):
            self.requests.append(params["request"]["url"])


@contextlib.contextmanager
def chromium(folder: Path) -> Iterator[Page]:
    """Start Chromium with a profile of its own in a folder; it is gone afterwards."""
    assert CHROMIUM is not None, "install it: apt-get install chromium"
    process = subprocess.Popen(
        [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
         "--disable-background-networking", "--remote-debugging-port=0", f"--user-data-dir={folder}", "about:blank"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        with connect(_address(process, folder / "DevToolsActivePort"), max_size=None) as socket:
            yield Page(socket)
    finally:
        process.terminate()
        process.wait(timeout=_START_S)


def _address(process: subprocess.Popen[bytes], file: Path) -> str:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        assert process.poll() is None, "Chromium ended at once"
        if file.exists() and (words := file.read_text().split()):
            with contextlib.suppress(OSError), urlopen(f"http://127.0.0.1:{words[0]}/json/list", timeout=10) as answer:
                pages = [entry for entry in json.load(answer) if entry["type"] == "page"]
                if pages:
                    return str(pages[0]["webSocketDebuggerUrl"])
        time.sleep(0.2)
    raise AssertionError("Chromium did not start")
