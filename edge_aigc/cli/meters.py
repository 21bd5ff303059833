"""How `convert` finds out what its candidates cost: chosen by what the user has at hand."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

from edge_aigc.cli.output import say
from edge_aigc.cli.ssh_options import target_of
from edge_aigc.errors import EmulationError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from edge_aigc.cost import Cost, CostMeter, InstructionCounter
    from edge_aigc.profile import DeviceProfile, Runtime


def meters_for(
    options: dict[str, Any], profiles: Sequence[DeviceProfile], tell: Callable[[str], None]
) -> Callable[[DeviceProfile], CostMeter]:
    """Return what gives each profile its meter; a machine of `--on` has answered.

    Args:
        options: Of the command: where to time (`--on`), how to find costs (`--meter`), the runtime.
        profiles: What is converted for.
        tell: Told what is being counted.

    Raises:
        UsageError: One machine cannot stand for several profiles, or two options contradict each other.
        SshError: It cannot be reached, or has no edge-aigc that we can speak with.
    """
    there = _there(options, profiles)
    if there is not None:
        return lambda _: there
    kind, runtime = options["meter"], options["runtime"]

    def meter_for(profile: DeviceProfile) -> CostMeter:
        if kind == "counted":
            if profile.target == "edgetpu":
                say(
                    f"{profile.name}: the instructions of its CPU are counted, which serves where there is no Edge "
                    "TPU; of an Edge TPU nothing is known to count."
                )
            return _counted(profile, runtime, tell)
        if kind == "here" or profile.name == "host" or profile.target != "xnnpack":
            return _here()
        return _Best(profile, runtime, tell)

    return meter_for


class _Best:
    """Counts on the device's own kernels where that needs no setting up, else times here and says so."""

    def __init__(self, profile: DeviceProfile, runtime: Runtime | None, tell: Callable[[str], None]) -> None:
        self._profile, self._runtime, self._tell = profile, runtime, tell
        self._timed: CostMeter | None = None
        """Once one net could not be counted, all are timed: costs of two kinds cannot be compared."""

    @property
    def shortlist(self) -> int:
        """Return as many as counting allows, until everything is timed."""
        from edge_aigc.converters.costs.meter import CountedMeter

        return CountedMeter.shortlist if self._timed is None else self._timed.shortlist

    def measure(self, flatbuffers: Mapping[str, bytes], *, threads: int) -> dict[str, Cost]:
        if self._timed is None and (work := _work(flatbuffers)) > _MOST_MULTIPLICATIONS:
            say(
                f"{self._profile.name}: timed on this machine instead of counted for the device: counting the "
                f"{work / 1e9:.0f} G multiplications of all forms takes many minutes; `--meter counted` does it."
            )
            self._timed = _here()
        if self._timed is None:
            try:
                meter = _counted(self._profile, self._runtime, self._tell, ready_only=True)
                return meter.measure(flatbuffers, threads=threads)
            except EmulationError as exc:
                say(f"{self._profile.name}: timed on this machine instead of counted for the device. {exc}")
                self._timed = _here()
        return self._timed.measure(flatbuffers, threads=threads)


_MOST_MULTIPLICATIONS = 4 * 10**9
"""Counted without being asked: an emulated core does some 100 M a second, six invocations are made of each net."""


def _work(flatbuffers: Mapping[str, bytes]) -> int:
    from edge_aigc.converters.costs.work import multiplications

    return sum(multiplications(flatbuffer) for flatbuffer in flatbuffers.values())


def _there(options: dict[str, Any], profiles: Sequence[DeviceProfile]) -> CostMeter | None:
    target = target_of(options)
    if target is None:
        return None
    if options["meter"] != "auto":
        raise UsageError(
            f"`--on` times on the device, and `--meter {options['meter']}` asks for something else.",
            remedy="Leave out one of the two.",
        )
    if len(profiles) > 1:
        raise UsageError(
            f"`--on` names one machine, and there are {len(profiles)} profiles.",
            remedy="Convert for one profile at a time, each timed on its own board.",
        )
    from edge_aigc.devices.ssh.remote import TimedThere

    there = TimedThere(target, runtime=options["runtime"], limit_s=options["timeout_s"])
    there.reach()
    return there


def _here() -> CostMeter:
    from edge_aigc.devices.timing import TimedHere

    return TimedHere()


def _counted(
    profile: DeviceProfile, runtime: Runtime | None, tell: Callable[[str], None], *, ready_only: bool = False
) -> CostMeter:
    from edge_aigc.converters.costs.meter import CountedMeter
    from edge_aigc.converters.costs.speeds import speeds_of
    from edge_aigc.devices.emulate.counting import EmulatedCounter
    from edge_aigc.devices.emulate.recalled import RecalledCounter

    counter = EmulatedCounter(profile, runtime, tell=tell)
    chosen: InstructionCounter = counter
    if ready_only and not _emulation_is_set_up():
        chosen = RecalledCounter(counter.place)
    speeds = speeds_of(profile)
    if profile.name == "host":
        from edge_aigc.converters.costs.host import remembered_speeds

        tell("timing on this machine what is counted")
        speeds = remembered_speeds(profile.cpu, _here(), counter, place=counter.place)
    board = f"{profile.name} without its Edge TPU" if profile.target == "edgetpu" else profile.name
    return CountedMeter(chosen, speeds, where=f"{board}, counted on {counter.place}")


def _emulation_is_set_up() -> bool:
    """Return whether boards have been emulated on this machine, so that counting starts within seconds."""
    from edge_aigc.files import cache_folder

    sysroots = cache_folder() / "sysroots"
    return shutil.which("qemu-aarch64") is not None and any(sysroots.glob("[!.]*"))
