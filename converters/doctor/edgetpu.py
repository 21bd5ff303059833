"""The compiler for the Edge TPU."""

from __future__ import annotations

import platform
import shutil
from typing import TYPE_CHECKING

from edge_aigc.finding import Finding, install

if TYPE_CHECKING:
    from edge_aigc.profile import DeviceProfile


def check(profile: DeviceProfile | None) -> list[Finding]:
    """Look for `edgetpu_compiler`, where the profile has an Edge TPU to compile for."""
    program = shutil.which("edgetpu_compiler")
    if program is not None:
        return [Finding(id="edgetpu-compiler", severity="ok", message=f"{program} is there.")]
    if profile is None or profile.target != "edgetpu":
        return []
    message = "edgetpu_compiler is not on PATH: models run on the CPU beside the Edge TPU."
    if platform.machine() != "x86_64":
        message += f" It exists for x86-64 only, and this is {platform.machine()}: convert elsewhere."
        return [Finding(id="edgetpu-compiler", severity="problem", message=message)]
    message += " It comes from Coral's own package repository: coral.ai, Edge TPU compiler, says how to add that."
    return [Finding(id="edgetpu-compiler", severity="problem", message=message, remedy=install("edgetpu-compiler"))]
