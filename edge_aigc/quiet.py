"""What libraries write to stderr, held back until it is wanted.

TensorFlow and the interpreters log from C++ straight to file descriptor 2: noise while all goes
well, and the only explanation when it does not.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import threading
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_STDERR = 2
_TAIL_BYTES = 4000


@contextlib.contextmanager
def stderr_held() -> Iterator[Callable[[], str]]:
    """Send file descriptor 2 to a temporary file; yield a function that returns its last 4,000 bytes since then.

    There is one descriptor 2 for all threads: where several hold it, the first one in sends it away and the last one
    out brings it back, however the others' times overlap.

    A terminal that shall stay in sight must have been opened before, under another descriptor; words for people go
    through `stderr_in_sight`.
    """
    held = _enter()
    begin = os.fstat(held.file.fileno()).st_size
    try:
        yield lambda: _tail(held.file.fileno(), begin)
    finally:
        _leave(held)


@contextlib.contextmanager
def stderr_in_sight() -> Iterator[TextIO]:
    """Yield a stream that people read, whether another thread holds descriptor 2 or not."""
    with _swapping:  # nobody sends it away or brings it back meanwhile
        if _held is None or not _is_held(sys.stderr):
            yield sys.stderr
            return
        with os.fdopen(os.dup(_held.kept), "w", encoding=sys.stderr.encoding, errors=sys.stderr.errors) as stream:
            yield stream


@dataclass(slots=True)
class _Held:
    kept: int
    """The descriptor of what descriptor 2 was."""
    file: IO[bytes]
    holders: int


_held: _Held | None = None
_swapping = threading.RLock()
"""Who changes `_held` or descriptor 2 has it; never while what is held runs. A thread may take it again: a signal's
handler that has words for people runs wherever the main thread is."""


def _enter() -> _Held:
    global _held  # noqa: PLW0603 - descriptor 2 is the process's, and so is who holds it
    with _swapping:
        if _held is None:
            sys.stderr.flush()
            with contextlib.ExitStack() as undo:
                kept = os.dup(_STDERR)
                undo.callback(os.close, kept)
                file = undo.enter_context(tempfile.TemporaryFile())
                os.dup2(file.fileno(), _STDERR)
                undo.pop_all()
            _held = _Held(kept=kept, file=file, holders=0)
        _held.holders += 1
        return _held


def _leave(held: _Held) -> None:
    global _held  # noqa: PLW0603 - as above
    with _swapping:
        held.holders -= 1
        if held.holders:
            return
        _held = None
        try:
            sys.stderr.flush()
        finally:
            os.dup2(held.kept, _STDERR)
            os.close(held.kept)
            held.file.close()


def _is_held(stream: TextIO) -> bool:
    try:
        return stream.fileno() == _STDERR
    except (OSError, ValueError):  # no file: a test's, or a library's that captures what is printed
        return False


def _tail(descriptor: int, begin: int) -> str:
    size = os.fstat(descriptor).st_size
    start = max(begin, size - _TAIL_BYTES)
    return os.pread(descriptor, size - start, start).decode(errors="replace").strip()
