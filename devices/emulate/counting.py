"""Instructions of a device's own kernels, counted under its CPU model: exact, repeatable, no clock."""

from __future__ import annotations

import functools
import json
import os
import platform
import statistics
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from edge_aigc.devices.emulate import remembered
from edge_aigc.devices.emulate.here import Here
from edge_aigc.devices.emulate.machine import Machine
from edge_aigc.devices.emulate.plugin import plugin_for, qemu_release
from edge_aigc.errors import BundleError, EmulationError
from edge_aigc.interpreter import PACKAGES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from concurrent.futures import Executor

    from edge_aigc.profile import DeviceProfile, Image, Runtime

REPEATS = 3
_WORKERS = os.cpu_count() or 1
_WORTH_A_GUEST = 4
"""Flatbuffers below which another guest, which takes seconds to start, does not pay."""
_AT_ONCE = 64
"""Flatbuffers that one guest counts; what it found is remembered before the next starts."""
_MARKED = Path(__file__).with_name("marked.py")
_MODULES: Mapping[Runtime, str] = {"litert": "ai_edge_litert.interpreter", "tflite": "tflite_runtime.interpreter"}


class Ended(Protocol):
    """A run that ended."""

    @property
    def returncode(self) -> int:
        """Zero where all went well."""
        ...

    @property
    def stdout(self) -> str:
        """What it printed."""
        ...

    @property
    def stderr(self) -> str:
        """What it said."""
        ...


class Guest(Protocol):
    """A Python with a runtime in it, under a CPU model of QEMU's user mode."""

    def prepare(self) -> object:
        """Fetch and lay out what it needs, once, before several run side by side."""
        ...

    def run(
        self, arguments: Sequence[str], *, env: Mapping[str, str] | None, plugin: str | None, timeout_s: float | None
    ) -> Ended:
        """Run Python to its end.

        Args:
            arguments: A script's path and its arguments.
            env: Variables to add.
            plugin: What follows QEMU's option ``-plugin``.
            timeout_s: None waits for ever.

        Raises:
            EmulationError: It took longer and was killed.
        """
        ...


class EmulatedCounter:
    """An `InstructionCounter` of a board, or of this machine's own architecture.

    Attributes:
        place: Everything that decides a count besides the flatbuffer, in words.
    """

    def __init__(
        self,
        profile: DeviceProfile,
        runtime: Runtime | None = None,
        *,
        image: Image | None = None,
        tell: Callable[[str], None] = lambda _: None,
        executor: Executor | None = None,
        timeout_s: float | None = None,
    ) -> None:
        """Choose what to count on; nothing is fetched or started before a count is not remembered.

        Args:
            profile: Of the board; ``host`` is this machine under QEMU.
            runtime: None takes the profile's first.
            image: One of the profile's; None takes the first that the runtime installs on.
            tell: Told what is being done.
            executor: Runs the guests, which count side by side; None: as many threads as there are processors.
            timeout_s: Of every guest; None waits for ever.

        Raises:
            EmulationError: The board cannot be emulated here.
        """
        self._runtime: Runtime = runtime or profile.runtimes[0]
        self._tell, self._executor, self._timeout_s = tell, executor, timeout_s
        self._guest: Guest
        release = profile.release(self._runtime)
        if profile.name == "host":
            here = Here()
            self._guest, self._qemu, python = here, here.qemu, sys.version_info[:2]
            model = f"{platform.machine()} of QEMU {qemu_release(here.qemu)[0]}"
        else:
            machine = Machine(profile, self._runtime, image=image)
            self._guest, self._qemu, python = machine, "qemu-aarch64", machine.release.python
            model = f"{profile.cpu.core} x{profile.cpu.cores} as {profile.cpu.qemu}"
            release = machine.image.wheels[self._runtime]
        self.place = f"{model}, {PACKAGES[self._runtime]} {release}, Python {python[0]}.{python[1]}"

    def count(self, flatbuffers: Mapping[str, bytes]) -> dict[str, int]:
        """Return the instructions of one invocation of each on one thread, by the same names.

        Raises:
            BundleError: The runtime refuses one of them.
            EmulationError: There is no QEMU or compiler here, or the guest died.
            FileError: The cache cannot be written.
        """
        keys = {name: remembered.key_of(flatbuffer) for name, flatbuffer in flatbuffers.items()}
        known = remembered.recall(self.place)
        # Of equal flatbuffers one is enough.
        missing = {key: name for name, key in reversed(keys.items()) if key not in known}
        if missing:
            self._tell(f"counting {len(missing)} models on {self.place}")
            with ThreadPoolExecutor(_WORKERS) as here:
                self._count_all({name: flatbuffers[name] for name in missing.values()}, keys, self._executor or here)
            known = remembered.recall(self.place)
        return {name: known[key] for name, key in keys.items()}

    def _count_all(self, flatbuffers: Mapping[str, bytes], keys: Mapping[str, str], executor: Executor) -> None:
        """Count in several guests; what each found is remembered as soon as it ends."""
        batches = _batches(flatbuffers)
        self._guest.prepare()
        count = functools.partial(
            count_in, self._guest, qemu=self._qemu, runtime=self._runtime, timeout_s=self._timeout_s
        )
        done = 0
        for future in as_completed([executor.submit(count, batch) for batch in batches]):
            counts = future.result()
            remembered.remember(self.place, {keys[name]: found for name, found in counts.items()})
            done += len(counts)
            self._tell(f"counted {done} of {len(flatbuffers)} models on {self.place}")


def _batches(flatbuffers: Mapping[str, bytes]) -> list[dict[str, bytes]]:
    """Return the flatbuffers dealt to as many guests as there are workers, of like sizes, at most `_AT_ONCE` each."""
    by_size = sorted(flatbuffers, key=lambda name: len(flatbuffers[name]))
    guests = max(min(_WORKERS, len(by_size) // _WORTH_A_GUEST), -(-len(by_size) // _AT_ONCE), 1)
    return [{name: flatbuffers[name] for name in by_size[start::guests]} for start in range(guests)]


def count_in(
    guest: Guest,
    flatbuffers: Mapping[str, bytes],
    *,
    qemu: str,
    runtime: Runtime,
    repeats: int = REPEATS,
    timeout_s: float | None = None,
) -> dict[str, int]:
    """Count flatbuffers in one start of a guest, whatever is remembered.

    Args:
        guest: Where to count.
        flatbuffers: One or more, by name.
        qemu: The program that runs the guest.
        runtime: One that is installed there.
        repeats: Invocations counted after the warm-up, fewer of a large model; the median is what is told.
        timeout_s: None waits for ever.

    Raises:
        BundleError: The runtime refuses one of them.
        EmulationError: There is no QEMU or compiler here, or the guest died or took too long.
    """
    # The smallest first: the guest warms its own code up on it.
    names = sorted(flatbuffers, key=lambda name: len(flatbuffers[name]))
    with tempfile.TemporaryDirectory(prefix="edge-aigc-count-") as folder:
        paths = [Path(folder) / f"{section}.tflite" for section in range(1, len(names) + 1)]
        for path, name in zip(paths, names, strict=True):
            path.write_bytes(flatbuffers[name])
        counts = Path(folder) / "counts"
        done = guest.run(
            [str(_MARKED), _MODULES[runtime], str(repeats), *map(str, paths)],
            env={"PYTHONHASHSEED": "0"},
            plugin=f"{plugin_for(qemu)},counts={counts}",
            timeout_s=timeout_s,
        )
        sections = _sections(counts)
    _check(done, names, sections)
    medians = {section: _settled(found, repeats) for section, found in sections.items()}
    section = {name: number for number, name in enumerate(names, start=1)}
    return {name: medians[section[name]] - medians[0] for name in flatbuffers}


def _settled(found: Sequence[int], repeats: int) -> int:
    """Return the median of the last counts, without the first: it sets up what later ones reuse."""
    return statistics.median_low(found[1:][-repeats:])


def _sections(path: Path) -> dict[int, list[int]]:
    """Return every count of each section, in order."""
    counts: dict[int, list[int]] = {}
    for section, instructions in _lines(path):
        counts.setdefault(section, []).append(instructions)
    return counts


def _lines(path: Path) -> Iterator[tuple[int, int]]:
    for line in path.read_text(encoding="ascii").splitlines() if path.exists() else ():
        section, instructions = line.split()
        yield int(section), int(instructions)


def _check(done: Ended, names: Sequence[str], sections: Mapping[int, list[int]]) -> None:
    for line in done.stdout.splitlines():
        if line.startswith("{"):
            told = json.loads(line)
            raise BundleError(
                f"The runtime refuses {names[told['section'] - 1]!r} in emulation: {told['refused']}.",
                remedy="Convert the model for this runtime, `edge-aigc convert --runtime`.",
            )
    if done.returncode != 0 or len(sections) != len(names) + 1:
        raise EmulationError(
            f"The emulated interpreter ended with status {done.returncode} after it began {max(sections, default=0)} "
            f"of {len(names)} flatbuffers: {done.stderr.strip()[-400:]}",
            remedy="See whether `edge-aigc emulate` runs the model; try another `--runtime`.",
        )
