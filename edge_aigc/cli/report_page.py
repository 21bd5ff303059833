"""`convert --report`: what a conversion did, as one page of HTML."""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING

from edge_aigc.cli.output import say

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from edge_aigc.converters.bundling import Draft
    from edge_aigc.cost import CostMeter
    from edge_aigc.profile import DeviceProfile


def require_report() -> None:
    """Make sure that a report can be drawn, before minutes are spent on what it is about.

    Raises:
        RuntimeMissingError: What draws it is not installed.
    """
    from edge_aigc.converters.report.page import require_packages

    require_packages()


def page_of(
    drafts: Sequence[Draft],
    profiles: Sequence[DeviceProfile],
    meter_for: Callable[[DeviceProfile], CostMeter],
    tell: Callable[[str], None],
) -> str:
    """Return the page; the operators of each bundle are measured for it, alone.

    Args:
        drafts: One for each profile.
        profiles: What was converted for.
        meter_for: What told the costs of the candidates.
        tell: Called with a few words at every step.
    """
    from edge_aigc.converters.report import Telling, render

    measure_for = {
        profile.name: functools.partial(meter_for(profile).measure, threads=profile.threads) for profile in profiles
    }
    return render(drafts, Telling(measure_for=measure_for, command=("edge-aigc", *sys.argv[1:]), tell=tell))


def write_page(path: Path, page: str) -> None:
    """Write the page whole, and say where.

    Raises:
        FileError: The file system refused; nothing is left behind.
    """
    from edge_aigc.files import write_whole

    write_whole(path, page.encode())
    say(f"report: {path}")
