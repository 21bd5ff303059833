"""Instructions of a device's own kernels, counted under its CPU model: exact, repeatable, no clock."""

from __future__ import annotations

import json
import statistics
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from edge_aigc.devices.emulate.plugin import plugin_for
from edge_aigc.errors import BundleError, EmulationError

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping, Sequence

    from edge_aigc.profile import Runtime

REPEATS = 3
_MARKED = Path(__file__).with_name("marked.py")
_MODULES: Mapping[Runtime, str] = {"litert": "ai_edge_litert.interpreter", "tflite": "tflite_runtime.interpreter"}


class Guest(Protocol):
    """A Python with a runtime in it, under a CPU model of QEMU's user mode."""

    @property
    def qemu(self) -> str:
        """The program of QEMU's."""
        ...

    def run(self, arguments: Sequence[str], *, plugin: str) -> subprocess.CompletedProcess[str]:
        """Run Python with arguments.

        Args:
            arguments: A script's path and its arguments.
            plugin: What follows QEMU's option ``-plugin``.
        """
        ...


class EmulatedCounter:
    """An `InstructionCounter` that counts in a guest."""

    def __init__(self, guest: Guest, runtime: Runtime, *, repeats: int = REPEATS) -> None:
        """Choose the guest and the runtime in it.

        Args:
            guest: Where to count.
            runtime: One that is installed there.
            repeats: Invocations counted; the median is what is told.
        """
        self._guest, self._runtime, self._repeats = guest, runtime, repeats

    def count(self, flatbuffers: Mapping[str, bytes]) -> dict[str, int]:
        """Return the instructions of one invocation of each on one thread, by the same names.

        Raises:
            BundleError: The runtime refuses one of them.
            EmulationError: There is no QEMU or compiler here, or the guest died.
        """
        if not flatbuffers:
            return {}
        names = list(flatbuffers)
        with tempfile.TemporaryDirectory(prefix="edge-aigc-count-") as folder:
            paths = [Path(folder) / f"{section}.tflite" for section in range(1, len(names) + 1)]
            for path, flatbuffer in zip(paths, flatbuffers.values(), strict=True):
                path.write_bytes(flatbuffer)
            counts = Path(folder) / "counts"
            done = self._guest.run(
                [str(_MARKED), _MODULES[self._runtime], str(self._repeats), *map(str, paths)],
                plugin=f"{plugin_for(self._guest.qemu)},counts={counts}",
            )
            sections = _sections(counts)
        _check(done, names, sections)
        empty = statistics.median_low(sections[0][-self._repeats :])
        return {
            name: statistics.median_low(sections[section][-self._repeats :]) - empty
            for section, name in enumerate(names, start=1)
        }


def _sections(path: Path) -> dict[int, list[int]]:
    """Return every count of each section, in order."""
    counts: dict[int, list[int]] = {}
    if path.exists():
        for line in path.read_text(encoding="ascii").splitlines():
            section, instructions = line.split()
            counts.setdefault(int(section), []).append(int(instructions))
    return counts


def _check(done: subprocess.CompletedProcess[str], names: Sequence[str], sections: Mapping[int, list[int]]) -> None:
    for line in done.stdout.splitlines():
        if line.startswith("{"):
            told = json.loads(line)
            raise BundleError(
                f"The runtime refuses {names[told['section'] - 1]!r} in emulation: {told['refused']}.",
                remedy="Convert the model for this runtime, `edge-aigc convert --runtime`.",
            )
    if done.returncode != 0 or len(sections) != len(names) + 1:
        counted = max(sections, default=0)
        raise EmulationError(
            f"The emulated interpreter ended with status {done.returncode} after {counted} of {len(names)} "
            f"flatbuffers were begun: {done.stderr.strip()[-400:]}",
            remedy="Count them one by one to find which it cannot run; see whether `edge-aigc emulate` runs it.",
        )
