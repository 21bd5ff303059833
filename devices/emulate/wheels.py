"""The guest's Python packages: the very aarch64 wheels that an image of the board installs."""

from __future__ import annotations

import importlib.util
import sys
from typing import TYPE_CHECKING

from edge_aigc.devices.emulate.cache import built
from edge_aigc.devices.emulate.commands import run_program
from edge_aigc.errors import EmulationError
from edge_aigc.interpreter import PACKAGES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from edge_aigc.profile import Runtime

_RECIPE = 1
"""Raised when the way a folder of wheels is made changes."""
REQUIREMENTS = ("click>=8.1", "msgspec>=0.19", "numpy>=1.23.2", "packaging>=24", "paho-mqtt>=2.2,<3", "pillow>=10")
"""As in setup.cfg, which a test compares."""
EXTRAS: dict[Runtime, tuple[str, ...]] = {"litert": (), "tflite": ("numpy<2",)}
"""What a runtime needs beside itself, as in setup.cfg."""
_OLDEST_GLIBC = 17
"""manylinux2014 is manylinux_2_17: PEP 600."""


def wheels(
    runtime: Runtime, release: str, *, python: tuple[int, int], glibc: tuple[int, int], tell: Callable[[str], None]
) -> Path:
    """Return a folder with a runtime and what our device side needs, for 64-bit Arm.

    Args:
        runtime: Which interpreter.
        release: Its very release.
        python: Of the guest.
        glibc: The newest that a wheel may ask for.
        tell: Told what is being done.

    Raises:
        EmulationError: No such wheel, no network, or no pip.
        FileError: The disk is full.
    """
    requirements = [f"{PACKAGES[runtime]}=={release}", *REQUIREMENTS, *EXTRAS[runtime]]

    def make(folder: Path) -> None:
        tell(f"fetching {PACKAGES[runtime]} {release} and what it needs, for aarch64")
        run_program(
            [*_pip(python, glibc), "--target", str(folder), *requirements],
            what=f"fetch the aarch64 wheels of {PACKAGES[runtime]} {release} for Python "
            f"{python[0]}.{python[1]} and glibc {glibc[0]}.{glibc[1]}",
            remedy="Correct the release under `wheels` in the profile, or choose another `--runtime` or image.",
            place=folder,
        )

    made_from = {"recipe": _RECIPE, "requirements": requirements, "python": python, "glibc": glibc}
    return built("wheels", made_from, make)


def _pip(python: tuple[int, int], glibc: tuple[int, int]) -> list[str]:
    if importlib.util.find_spec("pip") is None:
        raise EmulationError(
            "There is no pip in this Python, which fetches the board's wheels.",
            remedy=f"Bring it: `{sys.executable} -m ensurepip`.",
        )
    version = f"{python[0]}{python[1]}"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
    command += ["--only-binary=:all:", "--implementation", "cp", "--python-version", f"{python[0]}.{python[1]}"]
    for abi in (f"cp{version}", "abi3", "none"):
        command += ["--abi", abi]
    # pip takes platforms as they are written: every older glibc has to be named.
    for minor in range(glibc[1], _OLDEST_GLIBC - 1, -1):
        command += ["--platform", f"manylinux_2_{minor}_aarch64"]
    return [*command, "--platform", "manylinux2014_aarch64", "--platform", "any"]
