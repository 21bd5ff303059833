"""All checks of a machine that converts, in the order of their findings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_aigc.converters.doctor import edgetpu, extras

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from edge_aigc.finding import Finding
    from edge_aigc.profile import DeviceProfile

CHECKS: Mapping[str, Callable[[DeviceProfile | None], list[Finding]]] = {
    "extras": lambda _profile: extras.check(),
    "edgetpu-compiler": edgetpu.check,
}
"""By the id of the note that says that one could not be done."""
