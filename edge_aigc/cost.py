"""What a flatbuffer costs on a device, and how that was found out.

The converter chooses by cost and does not know where it comes from: timed here, timed on a board,
or counted under emulation. `cli` hands it a meter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Of one invocation."""

    latency_ms: float | None
    """Median; None where instructions were counted for a processor whose clock is not known."""
    spread_ms: float
    """Between the quartiles; 0 for what is not timed."""
    how: Literal["measured", "estimated"]
    """Of the latency."""
    where: str
    """Machine, runtime and threads."""
    peak_ram_bytes: int | None = None
    """Of the model: the process less an idle one; None where it was not found out."""
    instructions: int | None = None
    """Counted, all operators together."""
    cycles: float | None = None
    """What those instructions take on one core."""
    bytes_moved: int | None = None
    """Weights once, and what every operator takes and makes."""
    bound: Literal["compute", "memory"] | None = None
    """What most of an estimated latency goes into."""
    at_least: bool = False
    """Whether the latency is a lower bound: no source tells how many instructions a cycle the kernels complete."""
    error: float | None = None
    """Of an estimated latency: the median distance from the clock's where both are at hand, as a share."""

    @property
    def weighed(self) -> bool:
        """Return whether the peak of RAM is a process's own, not a plan's."""
        return self.how == "measured" and self.peak_ram_bytes is not None

    @property
    def rank(self) -> float:
        """Return what to choose by: milliseconds, else cycles, else instructions; the less the better."""
        for figure in (self.latency_ms, self.cycles, self.instructions):
            if figure is not None:
                return float(figure)
        return 0.0

    @property
    def unit(self) -> str:
        """Return what `rank` is in."""
        if self.latency_ms is not None:
            return "ms"
        return "cycles" if self.cycles is not None else "instructions"


class CostMeter(Protocol):
    """Finds out what flatbuffers cost."""

    @property
    def shortlist(self) -> int:
        """How many forms of an operator are worth asking about: few where an answer takes long."""
        ...

    def measure(self, flatbuffers: Mapping[str, bytes], *, threads: int) -> dict[str, Cost]:
        """Return the cost of each, by the same names.

        All at once, so that a meter can take turns among them: machines drift, ratios within one
        run hold.

        Raises:
            BundleError: The runtime refuses one of them.
        """
        ...


class InstructionCounter(Protocol):
    """Counts what a processor executes, on the kernels that it has: no clock, no load, no noise."""

    def count(self, flatbuffers: Mapping[str, bytes]) -> dict[str, int]:
        """Return the instructions of one invocation of each on one thread, by the same names.

        Of an invocation after the first few: what is planned, packed and cached once is not in it. All at
        once, so that one guest counts them all.

        Raises:
            BundleError: The runtime refuses one of them.
            EmulationError: They cannot be counted here.
        """
        ...
