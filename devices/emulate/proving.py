"""A bundle on an emulated board: does it open, how near do its golden vectors come, how much memory does it take."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from edge_aigc.devices.emulate.cache import built
from edge_aigc.devices.emulate.machine import Machine, code_digest
from edge_aigc.errors import BoardMemoryError, BundleError, EdgeAigcError, EmulationError, RuntimeMissingError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from edge_aigc.devices.emulate.machine import Finished
    from edge_aigc.manifest import Manifest
    from edge_aigc.profile import DeviceProfile, Image, Runtime

_GUEST = ["-m", "edge_aigc.devices.emulate.guest"]
_ERRORS: Mapping[str, type[EdgeAigcError]] = {kind.code: kind for kind in (BundleError, RuntimeMissingError)}
_TAIL_CHARACTERS = 400


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    """How near the golden vectors came, in shares of the output's range; the worst of all."""

    vectors: int
    rms: float
    largest: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Proven:
    """A bundle that opened on an emulated board."""

    golden: Agreement
    peak_ram_bytes: int
    """Of the process, less an idle interpreter's."""
    idle_ram_bytes: int
    """Of a process that imports the same and opens nothing."""
    runtime: str
    """Package and release, as the guest says."""


class _Refusal(msgspec.Struct, frozen=True):
    code: str
    message: str
    remedy: str


class _Told(msgspec.Struct, frozen=True):
    runtime: str
    golden: Agreement | None = None
    error: _Refusal | None = None


def prove_emulated(
    machine: Machine,
    bundle: Path,
    *,
    ram_bytes: int | None = None,
    tell: Callable[[str], None] = lambda _: None,
    timeout_s: float | None = None,
) -> Proven:
    """Open a bundle on an emulated board, as the board's worker would: hashes, model, golden vectors.

    Args:
        machine: The board.
        bundle: Its path.
        ram_bytes: What the process may take beyond an idle interpreter; None takes what the profile leaves us.
        tell: Told what is being done.
        timeout_s: Of every run in the guest; None waits for ever.

    Raises:
        BoardMemoryError: It takes more memory; it was killed.
        BundleError: It is damaged, the runtime refuses it, or its golden vectors are missed.
        EmulationError: The guest died, took too long, or cannot be made here.
        FileError: The disk is full.
    """
    limit_bytes = machine.profile.ram_for_us_bytes if ram_bytes is None else ram_bytes
    machine.prepare(tell)
    idle_bytes = idle_peak_bytes(machine, tell, timeout_s=timeout_s)
    tell(f"opening {bundle.name} on an emulated {machine.profile.name}")
    done = machine.run(
        [*_GUEST, machine.runtime, str(bundle.absolute())], limit_bytes=idle_bytes + limit_bytes, timeout_s=timeout_s
    )
    taken_bytes = max(0, done.peak_rss_bytes - idle_bytes)
    if done.exceeded:
        raise _out_of_memory(machine, bundle, taken_bytes, limit_bytes)
    told = _told(done, f"{bundle.name} on an emulated {machine.profile.name}")
    assert told.golden is not None
    return Proven(golden=told.golden, peak_ram_bytes=taken_bytes, idle_ram_bytes=idle_bytes, runtime=told.runtime)


def _out_of_memory(machine: Machine, bundle: Path, taken_bytes: int, limit_bytes: int) -> BoardMemoryError:
    return BoardMemoryError(
        f"{bundle.name} needs more than {machine.profile.name} has: it had taken {taken_bytes:,} B beyond an idle "
        f"interpreter when it was killed, the board has {limit_bytes:,} B left.",
        remedy="Convert it smaller (`--recipe int8`, a smaller input), or choose a board with more memory.",
        needed_bytes=taken_bytes,
        limit_bytes=limit_bytes,
    )


def idle_peak_bytes(
    machine: Machine, tell: Callable[[str], None] = lambda _: None, *, timeout_s: float | None = None
) -> int:
    """Return the peak of a process in the guest that imports everything and opens nothing; remembered.

    Raises:
        EmulationError: The guest died, took too long, or cannot be made here.
    """

    def measure(folder: Path) -> None:
        tell("measuring an idle interpreter")
        for _ in range(2):  # the first compiles the modules, which takes memory of its own
            done = machine.run([*_GUEST, machine.runtime], timeout_s=timeout_s)
            _told(done, f"An idle interpreter on an emulated {machine.profile.name}")
        (folder / "peak").write_text(str(done.peak_rss_bytes), encoding="ascii")

    folder = built("idle", {"machine": machine.prepare().name, "code": code_digest()}, measure)
    return int((folder / "peak").read_text(encoding="ascii"))


def choose_machine(
    profile: DeviceProfile, manifest: Manifest, *, runtime: Runtime | None = None, image: str | None = None
) -> Machine:
    """Return the board for a bundle: its preferred runtime among those that the bundle was checked against.

    Args:
        profile: Of the board.
        manifest: Of the bundle.
        runtime: None chooses.
        image: A part of the name of one of the profile's images; None takes the first with the runtime.

    Raises:
        EmulationError: The board has no such runtime or image, or cannot be emulated.
    """
    checked = [kind for kind in profile.runtimes if kind in manifest.runtimes]
    chosen = runtime or (checked or profile.runtimes)[0]
    return Machine(profile, chosen, image=None if image is None else _image(profile, image, chosen))


def _image(profile: DeviceProfile, part: str, runtime: Runtime) -> Image:
    with_wheel = [image for image in profile.images if runtime in image.wheels]
    found = [image for image in with_wheel if part.casefold() in image.name.casefold()]
    if len(found) != 1:
        names = ", ".join(repr(image.name) for image in with_wheel) or "none"
        raise EmulationError(
            f"{len(found)} images of {profile.name} with {runtime} are named like {part!r}.",
            remedy=f"There are {names}: give a part of one's name.",
        )
    return found[0]


def _told(done: Finished, what: str) -> _Told:
    """Return what the guest told.

    Raises:
        EdgeAigcError: It refused, in its own words; or it died.
    """
    if done.returncode != 0 or not done.stdout:
        raise EmulationError(
            f"{what} {_end(done.returncode)}: {done.stderr.strip()[-_TAIL_CHARACTERS:] or 'it said nothing'}.",
            remedy="Report this with the bundle; another `--runtime` may take it.",
        )
    told = msgspec.json.decode(done.stdout, type=_Told)
    if told.error is not None:
        kind = _ERRORS.get(told.error.code, EmulationError)
        raise kind(told.error.message, remedy=told.error.remedy)
    return told


def _end(code: int) -> str:
    return f"died of {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
