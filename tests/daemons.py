"""`edge-aigc run` as a process, for the length of a `with`."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


class Running:
    """A daemon and what it says.

    Attributes:
        process: The parent.
        events: Its JSON lines.
        words: Its stderr.
    """

    def __init__(self, arguments: list[str]) -> None:
        """Start it."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "edge_aigc.cli", "run", *arguments, "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.events: list[dict[str, Any]] = []
        self.words: list[str] = []
        self._threads = [
            threading.Thread(target=self._read_events, daemon=True),
            threading.Thread(target=self._read_words, daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def wait_for(self, event: str, *, seconds: float = 20.0, times: int = 1) -> dict[str, Any]:
        """Wait until it has told of an event so many times."""
        deadline_s = time.monotonic() + seconds
        while time.monotonic() < deadline_s:
            found = [entry for entry in self.events if entry.get("event") == event]
            if len(found) >= times:
                return found[times - 1]
            if self.process.poll() is not None and not any(thread.is_alive() for thread in self._threads):
                break
            time.sleep(0.005)
        raise AssertionError(f"no {event!r} x{times} in {self.events}; it said: {''.join(self.words)}")

    def children(self) -> list[int]:
        """Return the processes that generate."""
        tasks = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        return [int(pid) for task in tasks for pid in task.read_text(encoding="ascii").split()]

    def stop(self) -> tuple[int, float]:
        """Send SIGTERM; return the exit code and the seconds that it took."""
        started_s = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(20)
        took_s = time.monotonic() - started_s
        for thread in self._threads:
            thread.join(5)
        return code, took_s

    def _read_events(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            self.events.extend(json.loads(line) for line in lines)

    def _read_words(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as lines:
            self.words.extend(lines)


@contextlib.contextmanager
def daemon(broker: str, *arguments: object, device: str = "testbed", wait: bool = True) -> Iterator[Running]:
    """Run a daemon.

    Args:
        broker: Its URL.
        *arguments: Bundles and options.
        device: Its name.
        wait: Until it is online.
    """
    running = Running([*map(str, arguments), "--broker", broker, "--device", device])
    try:
        if wait:
            running.wait_for("online")
        yield running
    finally:
        if running.process.poll() is None:
            for pid in running.children():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)
            running.stop()
