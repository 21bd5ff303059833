"""Running other people's programs: where they are, and what went wrong in our words."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING

from edge_aigc.devices.emulate.cache import disk_full
from edge_aigc.errors import EmulationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

QEMU_NAMES = ("qemu-aarch64", "qemu-aarch64-static")
"""Debian's packages `qemu-user` (which takes plugins) and `qemu-user-static`."""
_TAIL_LINES = 3
_NO_NETWORK = re.compile(
    r"Temporary failure (in name resolution|resolving)|Could not (resolve|connect)|Failed to establish|"
    r"Name or service not known|Network is unreachable|Connection (refused|timed out|failed)|"
    r"Cannot initiate the connection|Unable to connect|ProxyError|ConnectTimeout|ReadTimeout",
)


def program(name: str, *, package: str) -> str:
    """Return the path of a program.

    Raises:
        EmulationError: It is not installed.
    """
    found = shutil.which(name)
    if found is None:
        raise EmulationError(f"{name} is not installed here.", remedy=f"Install it: `apt-get install {package}`.")
    return found


def qemu() -> str:
    """Return the path of QEMU's user mode for 64-bit Arm.

    Raises:
        EmulationError: It is not installed.
    """
    for name in QEMU_NAMES:
        if (found := shutil.which(name)) is not None:
            return found
    raise EmulationError(
        f"QEMU is not installed here: neither {' nor '.join(QEMU_NAMES)}.",
        remedy="Install it: `apt-get install qemu-user`.",
    )


def run_program(
    command: Sequence[str], *, what: str, remedy: str, place: Path, environment: Mapping[str, str] | None = None
) -> str:
    """Run a program to its end and return its stdout.

    Args:
        command: With the program's path.
        what: What it is for, as the end of "Cannot …".
        remedy: What to do when it fails for a reason of its own.
        place: Where it writes, to tell how full the disk is.
        environment: None hands on ours.

    Raises:
        EmulationError: It failed, or has no network.
        FileError: The disk is full.
    """
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        env=environment,
    )
    if done.returncode == 0:
        return done.stdout
    words = f"{done.stdout}\n{done.stderr}"
    if "No space left on device" in words:
        raise disk_full(place)
    if _NO_NETWORK.search(words):
        raise EmulationError(
            f"Cannot {what}: there is no network. {_tail(words)}",
            remedy="Connect once; what was fetched is kept, and later runs need no network.",
        )
    raise EmulationError(f"Cannot {what}: {_tail(words)}", remedy=remedy)


def _tail(words: str) -> str:
    lines = [line.strip() for line in words.splitlines() if line.strip() and not line.startswith(("WARNING", "W:"))]
    errors = [line for line in lines if line.startswith(("E:", "ERROR"))] or lines
    return " ".join(errors[-_TAIL_LINES:]) or "it said nothing."
