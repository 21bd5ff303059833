"""Timing of one contender's turn."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

VARIABLE = "SUITE_CLOCK"
"""``wall``, or ``cpu``: what the thread got of its core, for machines that others use at the same time."""


def timed(run: Callable[[], object], *, seconds: float, most: int) -> list[float]:
    """Return milliseconds of some runs; one more before them warms the caches and is not told.

    Args:
        run: One invocation, on the calling thread alone.
        seconds: For all of them; one is timed even so.
        most: At most so many.
    """
    clock = time.thread_time if os.environ.get(VARIABLE) == "cpu" else time.perf_counter
    run()
    found: list[float] = []
    started = clock()
    while not found or (len(found) < most and clock() - started < seconds):
        before = clock()
        run()
        found.append((clock() - before) * 1e3)
    return found
