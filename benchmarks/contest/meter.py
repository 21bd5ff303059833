"""The meter that the suite compiles by."""

from __future__ import annotations

import os
import statistics
from typing import TYPE_CHECKING

import numpy as np

from contest.clock import VARIABLE, timed
from edge_aigc.cost import Cost, CostMeter
from edge_aigc.devices.timing import TimedHere, where
from edge_aigc.interpreter import Interpreter

if TYPE_CHECKING:
    from collections.abc import Mapping

_ROUNDS = 5
_TURN_S = 0.04
_MOST = 20


def meter_here() -> CostMeter:
    """Return what times on this machine, by the clock that the suite was asked for."""
    return TimedByCpu() if os.environ.get(VARIABLE) == "cpu" else TimedHere()


class TimedByCpu:
    """A `CostMeter` by what the thread got of its core: for machines that others use at the same time."""

    shortlist = 24

    def measure(self, flatbuffers: Mapping[str, bytes], *, threads: int) -> dict[str, Cost]:
        """Return the median of five turns of each; one thread, whatever is asked."""
        del threads
        interpreters = {name: Interpreter(flatbuffer) for name, flatbuffer in flatbuffers.items()}
        found: dict[str, list[float]] = {name: [] for name in flatbuffers}
        for interpreter in interpreters.values():
            interpreter.load([np.zeros(info.shape, dtype=info.dtype) for info in interpreter.inputs])
        for _ in range(_ROUNDS):
            for name, interpreter in interpreters.items():
                found[name].append(statistics.median(timed(interpreter.invoke, seconds=_TURN_S, most=_MOST)))
        return {
            name: Cost(
                latency_ms=statistics.median(found[name]),
                spread_ms=max(found[name]) - min(found[name]),
                how="measured",
                where=where(interpreter.runtime, 1),
            )
            for name, interpreter in interpreters.items()
        }
