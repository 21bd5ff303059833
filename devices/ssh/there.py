"""The other end of `--on`: `edge-aigc bench --serve`, started over ssh, measures what comes in on stdin.

Wire format, protocol 1. Lines are JSON. It says hello; it is sent one request, and then the bytes of the files that
the request lists, nothing between them; while it measures it gives a sign of life every 5 seconds; at last it
answers, its copies removed. When its input ends, or its output is not read any more, it stops what it does, removes
its copies and ends: nobody is left to answer.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import select
import shutil
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn, TypeAlias

import msgspec

from edge_aigc.cost import Cost
from edge_aigc.devices.bench.fresh import time_and_weigh
from edge_aigc.devices.bench.orders import Failed, Threads
from edge_aigc.devices.bench.report import Plan, Report, bench
from edge_aigc.errors import EdgeAigcError, FileError, SshError
from edge_aigc.profile import Runtime
from edge_aigc.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import BinaryIO

PROTOCOL = 1
"""A client speaks with a server of the same number only."""
FILE_LIMIT_BYTES = (2 << 30) + (64 << 20)
"""A bundle holds one flatbuffer, of at most 2 GiB, and little else."""
REQUEST_LIMIT_BYTES = 64 << 10
LONGEST_S = 86_400.0
"""What a request may allow at most: a day."""
_BEAT_S = 5.0
_CHUNK_BYTES = 256 << 10
_PREFIX = "edge-aigc-there-"


class Hello(msgspec.Struct, frozen=True, kw_only=True, tag="hello"):
    """Said first."""

    protocol: int
    version: str
    python: str
    machine: str


class Life(msgspec.Struct, frozen=True, kw_only=True, tag="life"):
    """A sign of it, and what is being done."""

    doing: str


class Benched(msgspec.Struct, frozen=True, kw_only=True, tag="benched"):
    """The answer to `BenchThere`."""

    report: Report


class TimedCosts(msgspec.Struct, frozen=True, kw_only=True, tag="timed"):
    """The answer to `TimeThere`."""

    costs: dict[str, Cost]


Said: TypeAlias = Hello | Life | Benched | TimedCosts | Failed


class SentFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One of the files that follow a request."""

    name: Annotated[str, msgspec.Meta(max_length=200)]
    bytes: Annotated[int, msgspec.Meta(ge=0, le=FILE_LIMIT_BYTES)]
    sha256: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$")]


class BenchThere(msgspec.Struct, frozen=True, kw_only=True, tag="bench", forbid_unknown_fields=True):
    """Measure the one file, a bundle."""

    plan: Plan


class TimeThere(msgspec.Struct, frozen=True, kw_only=True, tag="time", forbid_unknown_fields=True):
    """Time the files, flatbuffers, in turns, and weigh each."""

    threads: Threads
    runtime: Runtime | None = None


class Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is wanted."""

    order: BenchThere | TimeThere
    files: Annotated[tuple[SentFile, ...], msgspec.Meta(min_length=1, max_length=64)]
    limit_s: Annotated[float, msgspec.Meta(gt=0, le=LONGEST_S)]
    folder: str | None = None


def serve() -> int:
    """Answer one request on stdin and stdout; return the exit code."""
    # Native libraries print to 1 as they like.
    channel = _Channel(os.dup(1))
    os.dup2(2, 1)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, _leave)
    channel.say(
        Hello(
            protocol=PROTOCOL,
            version=__version__,
            python=platform.python_version(),
            machine=platform.machine(),
        )
    )
    try:
        channel.say(_answered(sys.stdin.buffer, channel))
    except EdgeAigcError as exc:
        channel.say(Failed(code=exc.code, message=exc.message, remedy=exc.remedy))
    return 0


class _Channel:
    """Lines to the client; several threads may speak."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()
        self.doing = "receiving"

    def say(self, said: Said) -> None:
        """Write one line; raise OSError when nobody reads."""
        line = memoryview(msgspec.json.encode(said) + b"\n")
        with self._lock:
            while line:
                line = line[os.write(self._descriptor, line) :]

    def tell(self, doing: str) -> None:
        """Say what is being done from now on."""
        self.doing = doing
        self.say(Life(doing=doing))


def _answered(stdin: BinaryIO, channel: _Channel) -> Said:
    line = stdin.readline(REQUEST_LIMIT_BYTES)
    try:
        request = msgspec.json.decode(line, type=Request)
    except msgspec.MsgspecError as exc:
        raise SshError(
            f"The request cannot be read: {exc}.", remedy="Install the same edge-aigc on both machines."
        ) from exc
    with _folder(request) as folder:
        paths = _received(stdin, request.files, folder)
        _Guard(folder, channel, request.limit_s).start()
        order = request.order
        if isinstance(order, BenchThere):
            return Benched(report=bench(paths[0], order.plan, tell=channel.tell, limit_s=request.limit_s))
        channel.tell(f"timing {len(paths)} flatbuffers in turns")
        named = {file.name: path for file, path in zip(request.files, paths, strict=True)}
        costs = time_and_weigh(named, runtime=order.runtime, threads=order.threads, limit_s=request.limit_s)
        return TimedCosts(costs=costs)


@contextlib.contextmanager
def _folder(request: Request) -> Iterator[Path]:
    """Yield a new folder with room for the files; it is gone afterwards.

    Raises:
        FileError: It cannot be made, or there is no room.
    """
    parent = Path(request.folder or tempfile.gettempdir()).expanduser()
    _sweep(parent)
    needed = sum(file.bytes for file in request.files)
    try:
        free = shutil.disk_usage(parent).free
        if free < needed:
            raise _no_room(parent, needed, free)
        made = tempfile.mkdtemp(prefix=_PREFIX, dir=parent)
    except OSError as exc:
        raise FileError(
            f"Cannot write to {parent} there: {exc.strerror}.", remedy="Choose another folder with `--remote-folder`."
        ) from exc
    try:
        yield Path(made)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _sweep(parent: Path) -> None:
    """Remove what a run left that was killed: older than any run may last."""
    for folder in parent.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            status = folder.lstat()
            if status.st_uid == os.getuid() and time.time() - status.st_mtime > LONGEST_S and not folder.is_symlink():
                shutil.rmtree(folder, ignore_errors=True)


def _received(stdin: BinaryIO, files: Sequence[SentFile], folder: Path) -> list[Path]:
    """Store the files that follow and return their paths.

    Raises:
        FileError: The disk is full.
        SshError: They ended early, or are not what was sent.
    """
    paths = [folder / f"{number}" for number in range(len(files))]
    for file, path in zip(files, paths, strict=True):
        try:
            digest = _stored(stdin, file.bytes, path)
        except OSError as exc:
            raise _no_room(folder.parent, file.bytes, shutil.disk_usage(folder).free) from exc
        if digest != file.sha256:
            raise SshError(
                f"{file.name} did not arrive as it was sent ({file.bytes:,} B).",
                remedy="Measure again: it is sent anew.",
            )
    return paths


def _stored(stdin: BinaryIO, size: int, path: Path) -> str:
    digest, left = hashlib.sha256(), size
    with path.open("wb") as copy:
        while left:
            chunk = stdin.read(min(left, _CHUNK_BYTES))
            if not chunk:
                break
            digest.update(chunk)
            copy.write(chunk)
            left -= len(chunk)
    return digest.hexdigest()


def _no_room(folder: Path, needed: int, free: int) -> FileError:
    return FileError(
        f"No room in {folder} there: {needed:,} B are needed, {free:,} B are free.",
        remedy="Free some there, or choose another folder with `--remote-folder`.",
    )


class _Guard(threading.Thread):
    """Shows life, and ends the process with its copies when nobody wants the answer any more, or time is up."""

    def __init__(self, folder: Path, channel: _Channel, limit_s: float) -> None:
        super().__init__(daemon=True)
        self._folder = folder
        self._channel = channel
        # The measuring has its own limit, with better words: this one is for what hangs.
        self._deadline_s = time.monotonic() + limit_s + _BEAT_S

    def run(self) -> None:
        """Watch until the process ends."""
        with contextlib.suppress(OSError):
            while time.monotonic() < self._deadline_s:
                ready, _, _ = select.select([0], [], [], _BEAT_S)
                if ready and not os.read(0, _CHUNK_BYTES):
                    break
                self._channel.say(Life(doing=self._channel.doing))
        shutil.rmtree(self._folder, ignore_errors=True)
        # The measuring process is on a leash: it dies with this one.
        os._exit(1)


def _leave(number: int, frame: object) -> NoReturn:
    del number, frame
    raise SystemExit(1)
