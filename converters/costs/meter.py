"""The third kind of meter: instructions counted under the device's CPU model, time and memory modelled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_aigc.converters.costs.memory import PeakRam, peak_ram
from edge_aigc.converters.costs.model import Estimate, Part, estimate
from edge_aigc.converters.costs.net import read_net
from edge_aigc.converters.costs.singles import split
from edge_aigc.converters.costs.tally import tally
from edge_aigc.converters.graph import metadata
from edge_aigc.cost import Cost

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from edge_aigc.converters.costs.speeds import Speeds
    from edge_aigc.cost import InstructionCounter

HOST_ERROR = 0.07
"""Median distance of estimated from timed latencies where both are at hand: `benchmarks/estimates.py`, 44 forms of
11 nets on an x86-64 host. A board's instructions a cycle come from a source instead of a fit, so expect more there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A flatbuffer taken apart and counted."""

    parts: tuple[Part, ...]
    around: int
    """Instructions of the invocation itself."""
    ram: PeakRam
    float16: bool
    """Whether it allows XNNPACK to compute in float16."""


class CountedMeter:
    """A `CostMeter` for a device that is not here."""

    shortlist = 4
    """Counting one takes an emulator seconds."""

    def __init__(self, counter: InstructionCounter, speeds: Speeds, *, where: str) -> None:
        """Choose the device.

        Args:
            counter: Of its runtime under its CPU model.
            speeds: Of its processor.
            where: Device and runtime, for people.
        """
        self._counter, self._speeds, self._where = counter, speeds, where

    def measure(self, flatbuffers: Mapping[str, bytes], *, threads: int) -> dict[str, Cost]:
        """Return the cost of each; operators that are equal are counted once.

        Raises:
            BundleError: The runtime refuses one of them.
            EmulationError: They cannot be counted here.
        """
        where = f"{self._where}, {threads} thread{'s' * (threads > 1)}"
        if self._speeds.missing:
            where += f" (no source tells {' and '.join(self._speeds.missing)})"
        prime(flatbuffers.values(), self._counter)
        costs = {}
        for name, flatbuffer in flatbuffers.items():
            taken = counted(flatbuffer, self._counter)
            found = estimate(taken.parts, taken.around, taken.ram, self._speeds, threads=threads, float16=taken.float16)
            costs[name] = _cost(found, taken.ram, where)
        return costs


def prime(flatbuffers: Iterable[bytes], counter: InstructionCounter) -> None:
    """Have every operator of several flatbuffers counted at once: a counter remembers, and starting it takes seconds.

    Raises:
        BundleError: The runtime refuses one of them.
        EmulationError: They cannot be counted here.
    """
    counter.count({single.key: single.flatbuffer for flatbuffer in flatbuffers for single in split(flatbuffer)})


def counted(flatbuffer: bytes, counter: InstructionCounter) -> Taken:
    """Return a flatbuffer's operators with their instructions.

    Raises:
        BundleError: The runtime refuses it.
        EmulationError: It cannot be counted here.
    """
    nodes = {node.position: node for node in read_net(flatbuffer).nodes}
    found = tally(flatbuffer, counter)
    return Taken(
        parts=tuple(
            Part(nodes=tuple(nodes[position] for position in single.positions), instructions=operator.instructions)
            for single, operator in zip(split(flatbuffer), found.operators, strict=True)
        ),
        around=found.around,
        ram=peak_ram(flatbuffer),
        float16="reduced_precision_support" in metadata(flatbuffer),
    )


def _cost(found: Estimate, ram: PeakRam, where: str) -> Cost:
    return Cost(
        latency_ms=None if found.seconds is None else found.seconds * 1e3,
        spread_ms=0.0,
        how="estimated",
        where=where,
        peak_ram_bytes=ram.total,
        instructions=found.instructions,
        cycles=found.cycles,
        bytes_moved=found.bytes_moved,
        bound=found.bound,
        at_least=found.at_least,
        error=None if found.at_least or found.seconds is None else HOST_ERROR,
    )
