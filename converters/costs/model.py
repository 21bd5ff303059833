"""Time from instructions counted and bytes moved: operator by operator the larger of two bounds.

An estimate. It knows no branch mispredictions, no stalls between operators and no contention; how far it
lies off is measured where a clock is at hand, `benchmarks/estimates.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from edge_aigc.converters.costs.kernels import activation_bytes, bytes_moved, kernel_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from edge_aigc.converters.costs.memory import PeakRam
    from edge_aigc.converters.costs.net import Node
    from edge_aigc.converters.costs.speeds import Speeds

Bound = Literal["compute", "memory"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One operator, or a few that run as one, with what was counted."""

    nodes: tuple[Node, ...]
    instructions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Of one invocation."""

    instructions: int
    bytes_moved: int
    cycles: float | None
    """What computing takes on one core; None where the processor's instructions a cycle are not known."""
    seconds: float | None
    """None where cycles or the clock are not known."""
    bound: Bound
    """What most of the time goes into."""
    at_least: bool
    """Whether some operator's instructions a cycle are only known not to be more: the time is a lower bound."""


def estimate(
    parts: Sequence[Part], around: int, ram: PeakRam, speeds: Speeds, *, threads: int, float16: bool
) -> Estimate:
    """Return what a net costs.

    Args:
        parts: In the order of execution.
        around: Instructions of the invocation itself.
        ram: Of the net, whose tensors compete for the caches.
        speeds: Of the processor.
        threads: Among which operators are split, evenly; moving bytes is not.
        float16: Whether the flatbuffer allows XNNPACK to compute in float16.
    """
    working_set = ram.packed_weights + ram.arena + ram.workspace + ram.indirection
    lines = [
        _line(part, working_set, speeds, min(threads, speeds.cores), float16=float16 and speeds.float16)
        for part in parts
    ]
    cycles = _sum(line.cycles for line in lines)
    seconds = _sum(line.seconds for line in lines)
    memory = sum(line.seconds or 0.0 for line in lines if line.bound == "memory")
    return Estimate(
        instructions=around + sum(part.instructions for part in parts),
        bytes_moved=sum(bytes_moved(node) for part in parts for node in part.nodes),
        cycles=cycles,
        seconds=None if seconds is None else seconds + speeds.entry_s,
        bound="memory" if seconds and memory > seconds / 2 else "compute",
        at_least=any(line.at_least for line in lines),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    cycles: float | None
    seconds: float | None
    bound: Bound
    at_least: bool


def _line(part: Part, working_set: int, speeds: Speeds, threads: int, *, float16: bool) -> _Line:
    # Of several that run as one, the first computes and the rest clamps.
    rate = speeds.per_cycle(kernel_of(part.nodes[0], float16=float16))
    if rate is None:
        return _Line(cycles=None, seconds=None, bound="compute", at_least=False)
    cycles = part.instructions / rate[0]
    if speeds.clock_hz is None:
        return _Line(cycles=cycles, seconds=None, bound="compute", at_least=rate[1])
    computing, moving = cycles / speeds.clock_hz / threads, _moving_s(part.nodes, working_set, speeds)
    bound: Bound = "memory" if moving > computing else "compute"
    return _Line(cycles=cycles, seconds=max(computing, moving), bound=bound, at_least=rate[1] and bound == "compute")


def _moving_s(nodes: Sequence[Node], working_set: int, speeds: Speeds) -> float:
    activations = sum(activation_bytes(node) for node in nodes if not (node.free and node.runs_on == "xnnpack"))
    weights = sum(bytes_moved(node) for node in nodes) - activations
    # Weights were last read an invocation ago, activations were written by the operator before.
    weights_from, activations_from = speeds.read_bytes_per_s(working_set), speeds.read_bytes_per_s(activations)
    return (weights / weights_from if weights_from else 0.0) + (
        activations / activations_from if activations_from else 0.0
    )


def _sum(values: Iterable[float | None]) -> float | None:
    total = 0.0
    for value in values:
        if value is None:
            return None
        total += value
    return total
