"""The compiler for the Edge TPU."""

from __future__ import annotations

import platform
import shutil
from typing import TYPE_CHECKING

from edge_aigc.finding import Finding, as_root, install

if TYPE_CHECKING:
    from edge_aigc.profile import DeviceProfile

_CORAL = "https://packages.cloud.google.com/apt"
"""coral.ai, Edge TPU compiler, "Download"; for x86-64 only."""


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
    return [Finding(id="edgetpu-compiler", severity="problem", message=message, remedy=_from_coral())]


def _from_coral() -> str:
    source = f"deb {_CORAL} coral-edgetpu-stable main"
    key = as_root("tee /etc/apt/trusted.gpg.d/coral.asc")
    steps = (
        f"curl -fsSL {_CORAL}/doc/apt-key.gpg | {key}",
        f"echo '{source}' | {as_root('tee /etc/apt/sources.list.d/coral-edgetpu.list')}",
        as_root("apt-get update"),
        install("edgetpu-compiler"),
    )
    return " && ".join(steps)
