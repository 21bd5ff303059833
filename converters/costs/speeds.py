"""How fast a processor is: sourced from its profile, or found by timing what was counted."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_aigc.converters.costs.kernels import Kernel
    from edge_aigc.profile import Cpu, DeviceProfile

_WIDTHS: Mapping[str, int] = {
    # Instructions decoded a cycle, from each core's technical reference manual or optimization guide: no
    # program completes more. With it a time is a lower bound.
    "Cortex-A35": 2,
    "Cortex-A53": 2,
    "Cortex-A57": 3,
    "Cortex-A72": 3,
    "Cortex-A76": 4,
    "Cortex-A78AE": 4,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """A store of data, and how fast it is read where everything fits into it."""

    capacity_bytes: int
    bytes_per_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Speeds:
    """Of one core."""

    clock_hz: float | None
    """None: not known, and then there are cycles but no times."""
    ipc: Mapping[str, float] = field(default_factory=dict)
    """Instructions that complete in a cycle, by `Kernel.names`."""
    width: int | None = None
    """Instructions that it can complete in a cycle at most."""
    levels: tuple[Level, ...] = ()
    """The smallest first; what fits into none of them comes from memory."""
    memory_bytes_per_s: float | None = None
    entry_s: float = 0.0
    """Of an invocation, before any operator."""
    float16: bool = False
    """Whether its instructions compute in float16."""
    cores: int = 1

    def per_cycle(self, kernel: Kernel) -> tuple[float, bool] | None:
        """Return instructions a cycle, and whether that is only the most there can be; None: not known."""
        for name in kernel.names:
            if name in self.ipc:
                return self.ipc[name], False
        return None if self.width is None else (float(self.width), True)

    def read_bytes_per_s(self, working_set_bytes: int) -> float | None:
        """Return how fast data come where so many are in use; None: not known.

        Without a figure for a cache that holds them all, moving them is not the limit that we can tell.
        """
        for level in self.levels:
            if working_set_bytes <= level.capacity_bytes:
                return level.bytes_per_s
        return self.memory_bytes_per_s

    @property
    def missing(self) -> tuple[str, ...]:
        """Return what is not known and would be needed for an estimate, in words."""
        facts = {
            "its clock": self.clock_hz is not None,
            "its instructions a cycle": bool(self.ipc),
            "its memory's bandwidth": self.memory_bytes_per_s is not None,
        }
        return tuple(words for words, known in facts.items() if not known)


def speeds_of(profile: DeviceProfile) -> Speeds:
    """Return what a profile states."""
    return Speeds(
        clock_hz=profile.cpu.clock_hz,
        ipc=profile.cpu.ipc,
        width=_WIDTHS.get(profile.cpu.core),
        levels=_caches(profile.cpu),
        memory_bytes_per_s=profile.memory.bandwidth_bytes_per_s,
        float16="fp16" in profile.cpu.isa,
        cores=profile.cpu.cores,
    )


def _caches(cpu: Cpu) -> tuple[Level, ...]:
    """Return the last cache, whose speed no source tells: what fits into it is not limited by memory."""
    last = cpu.l3_bytes or cpu.l2_bytes
    return () if last is None else (Level(capacity_bytes=last, bytes_per_s=float("inf")),)
