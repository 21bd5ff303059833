"""Progress of long work: one line that changes, only on a terminal."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextlib.contextmanager
def steps() -> Iterator[Callable[[str], None]]:
    """Yield a function that shows what is being done; silent where stderr is no terminal."""
    if not sys.stderr.isatty():
        yield _silent
        return
    from rich.console import Console

    # A descriptor of its own: descriptor 2 is held back while native libraries chatter.
    with os.fdopen(os.dup(2), "w") as terminal:
        console = Console(file=terminal)
        with console.status("starting") as status:
            yield status.update


def _silent(words: str) -> None:
    del words
