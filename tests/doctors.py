"""`edge-aigc doctor` as a process, and a healthy board as a small tree of files."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_aigc.devices.catalog import find_profile
from edge_aigc.devices.doctor.checks import CHECKS
from edge_aigc.devices.doctor.edgetpu_device import RULES
from edge_aigc.devices.doctor.patient import Patient
from edge_aigc.finding import gather

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parent.parent
LIBRARIES = "usr/lib/aarch64-linux-gnu"
NOWHERE = "mqtt://127.0.0.1:9"
"""The discard port: nobody listens."""


@dataclass(frozen=True, slots=True)
class Examination:
    """What it found."""

    code: int
    findings: list[dict[str, Any]]

    @property
    def problems(self) -> dict[str, dict[str, Any]]:
        """Findings by id, without those that are in order and those that are merely good to know."""
        return {entry["id"]: entry for entry in self.findings if entry["severity"] == "problem"}

    def __getitem__(self, name: str) -> dict[str, Any]:
        """Return the finding of an id."""
        return next(entry for entry in self.findings if entry["id"] == name)

    def __contains__(self, name: str) -> bool:
        """Return whether there is a finding of an id."""
        return any(entry["id"] == name for entry in self.findings)


def command(*arguments: object, python: Path | str = sys.executable) -> list[str]:
    """Return the command line."""
    return [str(python), "-m", "edge_aigc.cli", "doctor", "--json", *map(str, arguments)]


def doctor(
    *arguments: object,
    python: Path | str = sys.executable,
    env: Mapping[str, str] | None = None,
    before: str | None = None,
    typed: str = "",
) -> Examination:
    """Run it.

    Args:
        *arguments: Of the verb.
        python: The interpreter of the environment that is examined.
        env: More variables; PYTHONPATH comes from here alone.
        before: A remedy that the same shell runs first.
        typed: What the user types into it.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("EDGE_AIGC_")}
    environment |= {"PYTHONPATH": str(ROOT)} if python == sys.executable else {"PYTHONPATH": ""}
    line = command(*arguments, python=python)
    if before is not None:
        line = ["bash", "-c", f'{before} && exec "$@"', "bash", *line]
    done = subprocess.run(
        line, capture_output=True, text=True, input=typed, env={**environment, **(env or {})}, timeout=60, check=False
    )
    assert done.stdout, done.stderr
    return Examination(code=done.returncode, findings=json.loads(done.stdout)["findings"])


def look_over(root: Path, profile: str | None = None, *, user: str = "root") -> Examination:
    """Run the checks of a device that start no interpreter and need no broker, within this process.

    Args:
        root: Of the board's files.
        profile: What the board shall be.
        user: Who wants to use it.
    """
    known = None if profile is None else find_profile(profile)
    patient = Patient(root=root, user=user, is_root=user == "root", profile=known)
    checks = {name: partial(check, patient) for name, check in CHECKS.items() if name != "runtime"}
    findings = gather(checks, limit_s=20)
    return Examination(code=0, findings=[dataclasses.asdict(finding) for finding in findings])


def mend(remedy: str, *, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> None:
    """Run a remedy, which must succeed."""
    subprocess.run(
        ["bash", "-c", remedy], cwd=cwd, env={**os.environ, **(env or {})}, check=True, capture_output=True, timeout=600
    )


def healthy_board(root: Path) -> Path:
    """Make the files of a healthy Raspberry Pi 4 with a Coral USB Accelerator, and return their root."""
    files = {
        "proc/meminfo": "MemTotal: 1900000 kB\nMemFree: 900000 kB\nMemAvailable: 1500000 kB\n"
        "SwapTotal: 102396 kB\nSwapFree: 102396 kB",
        "proc/cpuinfo": "processor : 0\nFeatures : fp asimd evtstrm crc32 cpuid\nCPU part : 0xd08",
        "proc/modules": "snd 1 0 - Live 0x0",
        "run/systemd/timesync/synchronized": "",
        "sys/bus/platform/drivers/raspberrypi-firmware/soc:firmware/get_throttled": "0",
        "sys/class/thermal/thermal_zone0/temp": "45277",
        "sys/bus/usb/devices/2-1/idVendor": "18d1",
        "sys/bus/usb/devices/2-1/idProduct": "9302",
        "sys/bus/usb/devices/2-1/speed": "5000",
        "lib/udev/rules.d/60-libedgetpu1-std.rules": "\n".join(RULES),
        "etc/group": "root:x:0:\nplugdev:x:46:ada",
        "etc/os-release": 'ID=debian\nVERSION_CODENAME=bookworm\nVERSION_ID="12"',
    }
    for name, text in files.items():
        write(root / name, text)
    shared_library(root / LIBRARIES / "libedgetpu.so.1")
    return root


def write(path: Path, text: str) -> None:
    """Write a file, with its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n")


def shared_library(path: Path, *, source: str = "", needs: Path | None = None) -> None:
    """Build one that a process can load.

    Args:
        path: Where.
        source: Of it, in C.
        needs: Another library that the dynamic linker must find.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    compiler = shutil.which("cc")
    assert compiler is not None, "the tests need a C compiler: `sudo apt install gcc libc6-dev`"
    line = [compiler, "-x", "c", "-shared", "-fPIC", "-o", str(path), "-"]
    if needs is not None:
        line[-1:] = ["-x", "c", "-", "-x", "none", "-Wl,--no-as-needed", str(needs)]
    subprocess.run(line, input=source, text=True, check=True)
