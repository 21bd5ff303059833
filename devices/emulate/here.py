"""This machine's own architecture as a guest: this very Python and its runtime, under QEMU.

The host profile is where estimates are compared with a clock; its instructions are counted here.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from typing import TYPE_CHECKING

from edge_aigc.errors import EmulationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_CPU = {"x86_64": "max,-erms,-fsrm"}
"""Without ERMS and FSRM: the C library would copy with REP MOVSB, of which QEMU counts every byte."""


class Here:
    """A `Guest`: QEMU's user mode on the architecture that it runs on."""

    def __init__(self) -> None:
        """Find this machine's QEMU; what is missing is told when it is used."""
        machine = platform.machine()
        self.qemu = f"qemu-{machine}"
        self.cpu = _CPU.get(machine, "max")

    def prepare(self) -> None:
        """Need nothing: what is installed here is the guest."""

    def run(
        self,
        arguments: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        plugin: str | None = None,
        timeout_s: float | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run this Python to its end.

        Args:
            arguments: Of Python.
            env: Variables to add.
            plugin: What follows QEMU's option ``-plugin``.
            timeout_s: None waits for ever.

        Raises:
            EmulationError: It took longer and was killed.
        """
        command = [self.qemu, "-cpu", self.cpu, *(["-plugin", plugin] if plugin else []), sys.executable, *arguments]
        variables = {**os.environ, **(env or {})}
        try:
            return subprocess.run(
                command, env=variables, capture_output=True, text=True, check=False, timeout=timeout_s
            )
        except subprocess.TimeoutExpired as exc:
            raise EmulationError(
                f"Counting on this machine did not end within {timeout_s:g} s and was stopped.",
                remedy="Emulation is slow: allow more time with `--timeout SECONDS`, or try a smaller model.",
            ) from exc
