"""How `convert` finds out what its candidates cost: chosen by what the user has at hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edge_aigc.cli.ssh_options import target_of
from edge_aigc.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_aigc.cost import CostMeter
    from edge_aigc.profile import DeviceProfile


def meter_of(options: dict[str, Any], profiles: Sequence[DeviceProfile]) -> CostMeter:
    """Return the meter that the options ask for; a machine of `--on` has answered.

    Raises:
        UsageError: One machine cannot stand for several profiles.
        SshError: It cannot be reached, or has no edge-aigc that we can speak with.
    """
    target = target_of(options)
    if target is None:
        from edge_aigc.devices.timing import TimedHere

        return TimedHere()
    if len(profiles) > 1:
        raise UsageError(
            f"`--on` names one machine, and there are {len(profiles)} profiles.",
            remedy="Convert for one profile at a time, each timed on its own board.",
        )
    from edge_aigc.devices.remote import TimedThere

    there = TimedThere(target, runtime=options["runtime"], limit_s=options["timeout_s"])
    there.reach()
    return there
