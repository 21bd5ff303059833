"""Have a fresh process measure; what becomes of it is an error with words."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import msgspec

from edge_aigc import errors
from edge_aigc.devices.bench.orders import Answer, Failed, Passed, Timed, Turns, Weighed, Weighing
from edge_aigc.errors import EdgeAigcError, WorkerError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from edge_aigc.cost import Cost
    from edge_aigc.devices.bench.memory import Weight
    from edge_aigc.devices.bench.orders import Order
    from edge_aigc.profile import Runtime

Expected = TypeVar("Expected", Passed, Timed, Weighed)

_WORDS_CHARS = 400
"""Of a dead process's last words."""


def ask(order: Order, expected: type[Expected], *, limit_s: float | None = None) -> Expected:
    """Return a fresh process's answer to an order.

    Args:
        order: What to measure.
        expected: The answer that belongs to it.
        limit_s: The process is killed after this; None waits for ever.

    Raises:
        EdgeAigcError: What it said.
        WorkerError: It died, or took too long.
    """
    answer = _answer(order, limit_s)
    if isinstance(answer, Failed):
        raise error_of(answer.code, answer.message, answer.remedy)
    assert isinstance(answer, expected)
    return answer


def weigh(flatbuffer: Path, *, runtime: Runtime | None, threads: int, limit_s: float | None = None) -> Weight:
    """Return what a flatbuffer takes of a fresh process: loaded, and run twice.

    Raises:
        BundleError: The runtime refuses it.
        WorkerError: The process died, or took too long.
    """
    order = Weighing(flatbuffer=str(flatbuffer), runtime=runtime, threads=threads)
    return ask(order, Weighed, limit_s=limit_s).weight


def time_and_weigh(
    flatbuffers: Mapping[str, Path], *, runtime: Runtime | None, threads: int, limit_s: float | None = None
) -> dict[str, Cost]:
    """Return the cost of each, by the same names: timed in turns in one process, weighed in one each.

    Raises:
        BundleError: The runtime refuses one of them.
        WorkerError: A process died, or took too long.
    """
    paths = {name: str(path) for name, path in flatbuffers.items()}
    costs = ask(Turns(flatbuffers=paths, runtime=runtime, threads=threads), Timed, limit_s=limit_s).costs
    peaks = {
        name: weigh(path, runtime=runtime, threads=threads, limit_s=limit_s).peak_ram_bytes
        for name, path in flatbuffers.items()
    }
    return {name: replace(cost, peak_ram_bytes=peaks[name]) for name, cost in costs.items()}


def error_of(code: str, message: str, remedy: str) -> EdgeAigcError:
    """Return the error of our tree that has a code; `WorkerError` where none has."""
    for name in vars(errors):
        kind = getattr(errors, name)
        plain = isinstance(kind, type) and issubclass(kind, EdgeAigcError)
        # Some take more than words, which the other side does not send.
        if plain and kind.__init__ is EdgeAigcError.__init__ and kind.code == code:
            error: EdgeAigcError = kind(message, remedy=remedy)
            return error
    return WorkerError(message, remedy=remedy)


def _answer(order: Order, limit_s: float | None) -> Answer:
    process = subprocess.Popen(
        [sys.executable, "-m", "edge_aigc.devices.bench.process"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # Nobody's working folder may shadow a module of ours.
        env={**os.environ, "PYTHONSAFEPATH": "1"},
    )
    with process:
        try:
            content, words = process.communicate(msgspec.msgpack.encode(order), timeout=limit_s)
        except subprocess.TimeoutExpired as exc:
            raise WorkerError(
                f"Measuring took longer than {limit_s:g} s and was stopped.",
                remedy="Ask for fewer `--rounds`, or for more time.",
            ) from exc
        finally:
            process.kill()
    if process.returncode:
        raise _death(process.returncode, words.decode(errors="replace"))
    answer: Answer = msgspec.msgpack.decode(content, type=Answer)
    return answer


def _death(code: int, words: str) -> WorkerError:
    tail = words.strip()[-_WORDS_CHARS:]
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
    remedy = "Its last words are above; convert the model again, or try another `--runtime`."
    if code == -signal.SIGKILL:
        remedy = "The kernel does that when memory runs out: see `dmesg`. Free some, or convert to a smaller recipe."
    return WorkerError(f"The process that measures {how}{': ' + tail if tail else ''}.", remedy=remedy)
