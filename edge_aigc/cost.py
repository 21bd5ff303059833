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

    latency_ms: float
    """Median."""
    spread_ms: float
    """Between the quartiles."""
    how: Literal["measured", "estimated"]
    where: str
    """Machine, runtime and threads."""
    peak_ram_bytes: int | None = None
    """Of the model: the process less an idle one; None where it was not found out."""


class CostMeter(Protocol):
    """Finds out what flatbuffers cost."""

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
