"""Counts that are known already: nothing is started, nothing is fetched."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_aigc.devices.emulate import remembered
from edge_aigc.errors import EmulationError

if TYPE_CHECKING:
    from collections.abc import Mapping


class RecalledCounter:
    """An `InstructionCounter` that only remembers."""

    def __init__(self, place: str) -> None:
        """Choose the place, as `EmulatedCounter.place` names it."""
        self._place = place

    def count(self, flatbuffers: Mapping[str, bytes]) -> dict[str, int]:
        """Return the instructions of one invocation of each on one thread, by the same names.

        Raises:
            EmulationError: One has not been counted yet.
        """
        known = remembered.recall(self._place)
        keys = {name: remembered.key_of(flatbuffer) for name, flatbuffer in flatbuffers.items()}
        missing = sum(key not in known for key in keys.values())
        if missing:
            raise EmulationError(
                f"{missing} of {len(keys)} operators have not been counted yet on {self._place}.",
                remedy="Have them counted: `--meter counted`; it needs QEMU and, the first time, the network.",
            )
        return {name: known[key] for name, key in keys.items()}
