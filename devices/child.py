"""A child process as the daemon sees it: started, fed, watched, killed, started again."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections import deque
from typing import TYPE_CHECKING, Literal

import msgspec

from edge_aigc.bundle import read_manifest
from edge_aigc.devices.frames import Answer, Failed, FrameReader, Made, Ready, Refused, Work, packed
from edge_aigc.engines import ENGINES, engines_beside
from edge_aigc.errors import EdgeAigcError, WorkerError
from edge_aigc.tpu import TpuSettings

if TYPE_CHECKING:
    from pathlib import Path

    from edge_aigc.devices.settings import ChildSettings

_PIECE_BYTES = 256 << 10
_SOCKET_BYTES = 1 << 20
_CRASHES = frozenset({signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE})
_REAP_S = 1.0
"""A process whose socket has ended is as good as dead; killed after this."""


class Child:
    """One process with one bundle.

    Attributes:
        state: `starting` until the bundle has proven itself, `ready`, or `down` until it is started again.
        restarts: How often it was started again.
        outstanding: Samples sent and not answered.
        spares: The accelerator that has just been given up, in words, or nothing: it took the process down while the
            bundle was opened, or twice in a row.
    """

    def __init__(self, bundle: Path, settings: ChildSettings) -> None:
        """Prepare; `start` starts it."""
        self.bundle = bundle
        self.state: Literal["starting", "ready", "down"] = "down"
        self.restarts = -1
        self.restart_at_s: float | None = None
        self._settings = settings
        self._tpu = settings.tpu
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._reader = FrameReader[Answer](Answer)  # type: ignore[arg-type]  # msgspec takes unions as types
        self._unsent = bytearray()
        self._tickets: deque[int] = deque()
        self._busy_since_s = 0.0
        self._fruitless = 0
        self._hung = False
        self._on_engine = self._engine_given_up = False
        self.spares = ""

    @property
    def outstanding(self) -> int:
        """Samples sent and not answered."""
        return len(self._tickets)

    @property
    def wants_write(self) -> bool:
        """Whether something waits until the socket takes more."""
        return bool(self._unsent)

    @property
    def pid(self) -> int | None:
        """The process, where there is one."""
        return self._process.pid if self._process is not None else None

    @property
    def deadline_s(self) -> float | None:
        """When it has taken too long, on the monotonic clock."""
        if self.state == "starting":
            return self._busy_since_s + self._settings.start_s
        if self.state == "ready" and self._tickets:
            return self._busy_since_s + self._settings.sample_s
        return None

    def fileno(self) -> int:
        """Return the socket's descriptor."""
        assert self._socket is not None
        return self._socket.fileno()

    def start(self, now_s: float) -> None:
        """Start the process."""
        ours, theirs = socket.socketpair()
        for end in (ours, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SOCKET_BYTES)
        ours.setblocking(False)
        settings = self._settings
        command = [sys.executable, "-m", "edge_aigc.devices.worker", str(theirs.fileno()), str(self.bundle)]
        command += [settings.runtime or "", str(settings.threads or 0), msgspec.json.encode(self._tpu).decode()]
        with theirs:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                # Nobody's working folder may shadow a module of ours.
                env={**os.environ, "PYTHONSAFEPATH": "1", **({ENGINES: "off"} if self._engine_given_up else {})},
            )
        self._on_engine = not self._engine_given_up and settings.runtime is None and bool(engines_beside(self.bundle))
        self._socket = ours
        self._reader = FrameReader[Answer](Answer)  # type: ignore[arg-type]  # as above
        self._unsent.clear()
        self._tickets.clear()
        self._busy_since_s = now_s
        self._hung = False
        self.state = "starting"
        self.restart_at_s = None
        self.restarts += 1

    def send(self, work: Work, now_s: float) -> None:
        """Have a sample made."""
        if not self._tickets:
            self._busy_since_s = now_s
        self._tickets.append(work.ticket)
        self._unsent += packed(work)
        self.flush()

    def flush(self) -> None:
        """Send what waits, as far as the socket takes it."""
        assert self._socket is not None
        # A child that is gone is noticed where its answers are read.
        with contextlib.suppress(BlockingIOError, BrokenPipeError, ConnectionResetError):
            while self._unsent:
                sent = self._socket.send(self._unsent)
                del self._unsent[:sent]

    def receive(self, now_s: float) -> tuple[list[Answer], str | None]:
        """Return the answers that came, and why no more will come, or None.

        Never blocks. After a reason, call `end`.
        """
        answers: list[Answer] = []
        assert self._socket is not None
        try:
            while piece := self._socket.recv(_PIECE_BYTES):
                for frame in self._reader.feed(piece):
                    self._note(frame, now_s)
                    answers.append(frame)
        except BlockingIOError:
            return answers, None
        except (ConnectionResetError, WorkerError) as exc:
            return answers, str(exc)
        return answers, "it ended"

    def kill_if_late(self, now_s: float) -> bool:
        """Kill a child that takes too long; its socket then ends as if it had died by itself."""
        deadline_s = self.deadline_s
        if self._hung or deadline_s is None or now_s < deadline_s or self._process is None:
            return False
        self._hung = True
        self.kill()
        return True

    def end(self, now_s: float) -> str:
        """Clean up after a child that is gone, plan the next, and say how it went."""
        assert self._process is not None
        process, doomed = self._process, self.state == "starting" or self._fruitless > 0
        words = self._reaped(process)
        self.spares = self._give_up_accelerator(process.returncode, words) if doomed else ""
        self.state = "down"
        wait_s = 0.0
        if self._fruitless:
            steps = min(self._fruitless - 1, 20)
            wait_s = min(self._settings.backoff_longest_s, self._settings.backoff_first_s * 2.0**steps)
        # The first death is followed at once; only one that dies again, having made nothing, waits.
        self._fruitless += 1
        self.restart_at_s = now_s + wait_s
        return words

    def kill(self) -> None:
        """Kill it; it is noticed, and started again, as if it had died by itself."""
        if self._process is not None:
            self._process.kill()

    def stop(self) -> None:
        """Kill it, for good."""
        if self._process is not None:
            self._process.kill()
            self._reaped(self._process)
        self.state = "down"
        self.restart_at_s = None

    def _note(self, frame: Answer, now_s: float) -> None:
        if isinstance(frame, Ready):
            self.state = "ready"
        elif not isinstance(frame, Failed):
            if not self._tickets or self._tickets.popleft() != frame.ticket:
                raise WorkerError("It answered what it was not asked.", remedy="Report this with the bundle.")
            self._busy_since_s = now_s
            if isinstance(frame, Made | Refused):
                self._fruitless = 0

    def _give_up_accelerator(self, code: int, how: str) -> str:
        """Do without what took the process down from the next start on, and return what that is; nothing, maybe."""
        if self._on_engine and code < 0:
            self._engine_given_up = True
            return "its engine"
        # Google's libedgetpu 16.0 crashes processes that run tflite-runtime 2.12 and later (google-coral/edgetpu
        # issue 812); the model for the CPU is in the same bundle.
        if self._tpu.library is not None and (self._hung or -code in _CRASHES) and _is_compiled(self.bundle):
            self._tpu = TpuSettings(library=None, given_up=f"the process that loaded its library {how}")
            return "the Edge TPU"
        return ""

    def _reaped(self, process: subprocess.Popen[bytes]) -> str:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        try:
            code = process.wait(_REAP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
        self._process = None
        if self._hung:
            limit_s = self._settings.start_s if self.state == "starting" else self._settings.sample_s
            return f"took longer than {limit_s:g} s and was killed"
        if code < 0:
            return f"was killed by {_signal_name(-code)}"
        return f"ended with code {code}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _is_compiled(bundle: Path) -> bool:
    """Return whether a bundle holds a model that is compiled for an Edge TPU, as far as it can be read."""
    try:
        edgetpu = read_manifest(bundle).edgetpu
    except EdgeAigcError:
        return False
    return edgetpu is not None and edgetpu.compiled
