"""What native libraries write to stderr, held back until it is wanted.

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
def native_stderr_held() -> Iterator[Callable[[], str]]:
    """Send file descriptor 2 to a temporary file; yield a function that returns its last 4,000 bytes.

    Python's own `sys.stderr` keeps writing to the terminal, so that progress stays visible.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    own, sys.stderr = sys.stderr, os.fdopen(os.dup(kept), "w", buffering=1, encoding="utf-8")
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield lambda: _tail(held.fileno())
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            sys.stderr.close()
            sys.stderr = own


def _tail(descriptor: int) -> str:
    size = os.fstat(descriptor).st_size
    return os.pread(descriptor, _TAIL_BYTES, max(0, size - _TAIL_BYTES)).decode(errors="replace").strip()
