"""Timing on this machine: the interpreter, one invocation at a time."""

from __future__ import annotations

import platform
import statistics
import time
from typing import TYPE_CHECKING

import numpy as np

from edge_aigc.cost import Cost
from edge_aigc.interpreter import Interpreter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from edge_aigc.profile import Runtime
    from edge_aigc.runners import Runner

_WARM_UP = 3
_SLOW_S = 0.2
"""Caches are warm after one invocation of this length."""
_LEAST_ROUNDS = 15
_FEW_ROUNDS = 5
_LONG_S = 10.0
"""After this long a median of few rounds must do."""
_MOST_ROUNDS = 200
_BUDGET_S = 1.0
"""For all candidates together; the least number of rounds is kept even so."""


class TimedHere:
    """A `CostMeter` that times on the machine it runs on."""

    shortlist = 24
    """A form takes milliseconds."""

    def __init__(self, *, runtime: Runtime | None = None) -> None:
        """Choose the runtime to time with; None takes the first that is installed."""
        self._runtime = runtime

    def measure(self, flatbuffers: Mapping[str, bytes], *, threads: int) -> dict[str, Cost]:
        """Return the median latency of each, timed in turns.

        With one thread it is the processor time of that thread, which is the time that passes where nobody else
        uses the machine: a choice shall not depend on what else runs. (Under a load of 15 on two cores, wall times
        above 4 ms were up to 6 times too long.)

        Raises:
            BundleError: The runtime refuses one of them.
        """
        interpreters = {
            name: Interpreter(flatbuffer, runtime=self._runtime, threads=threads)
            for name, flatbuffer in flatbuffers.items()
        }
        clock = time.thread_time if threads == 1 else time.perf_counter
        timings = time_in_turns(list(interpreters.values()), clock=clock)
        return {
            name: Cost(
                latency_ms=statistics.median(timing),
                spread_ms=_spread(timing),
                how="measured",
                where=where(interpreter.runtime, threads),
            )
            for (name, interpreter), timing in zip(interpreters.items(), timings, strict=True)
        }


def where(runtime: str, threads: int) -> str:
    """Return the words for a figure measured here: machine, runtime, threads."""
    return f"this machine ({platform.machine()}), {runtime}, {threads} thread{'s' * (threads > 1)}"


def time_in_turns(
    interpreters: Sequence[Runner],
    *,
    rounds: int | None = None,
    budget_s: float = _BUDGET_S,
    clock: Callable[[], float] = time.perf_counter,
) -> list[list[float]]:
    """Return milliseconds of every invocation of every interpreter.

    They take turns, so that a machine that drifts drifts for all of them.

    Args:
        interpreters: Loaded; their inputs are set to zeros, whose speed is that of any values.
        rounds: Invocations of each; None fits them into the budget, at least 15 (5 after 10 s), at most 200.
        budget_s: Seconds for all together when `rounds` is None.
        clock: Seconds, of what is told.
    """
    for interpreter in interpreters:
        interpreter.load([np.zeros(info.shape, dtype=info.dtype) for info in interpreter.inputs])
        began = time.perf_counter()
        for _ in range(_WARM_UP):
            interpreter.invoke()
            if time.perf_counter() - began > _SLOW_S:
                break
    timings: list[list[float]] = [[] for _ in interpreters]
    started = time.perf_counter()
    while not _enough(timings, rounds, started, budget_s):
        for interpreter, timing in zip(interpreters, timings, strict=True):
            before = clock()
            interpreter.invoke()
            timing.append((clock() - before) * 1e3)
    return timings


def _enough(timings: Sequence[Sequence[float]], rounds: int | None, started: float, budget_s: float) -> bool:
    if not timings:
        return True
    done = len(timings[0])
    if rounds is not None:
        return done >= rounds
    elapsed_s = time.perf_counter() - started
    return (
        done >= _MOST_ROUNDS
        or (done >= _LEAST_ROUNDS and elapsed_s > budget_s)
        or (done >= _FEW_ROUNDS and elapsed_s > _LONG_S)
    )


def _spread(timing: Sequence[float]) -> float:
    quartiles = statistics.quantiles(timing, n=4)
    return quartiles[2] - quartiles[0]
