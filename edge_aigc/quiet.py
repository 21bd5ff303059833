"""What libraries write to stderr, held back until it is wanted.

TensorFlow and the interpreters log from C++ straight to file descriptor 2: noise while all goes
well, and the only explanation when it does not.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_TAIL_BYTES = 4000


@contextlib.contextmanager
def stderr_held() -> Iterator[Callable[[], str]]:
    """Send file descriptor 2 to a temporary file; yield a function that returns its last 4,000 bytes.

    A terminal that shall stay in sight must have been opened before, under another descriptor.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield lambda: _tail(held.fileno())
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)


def _tail(descriptor: int) -> str:
    size = os.fstat(descriptor).st_size
    return os.pread(descriptor, _TAIL_BYTES, max(0, size - _TAIL_BYTES)).decode(errors="replace").strip()
