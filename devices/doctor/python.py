"""Python and the packages that this project stands on."""

from __future__ import annotations

import importlib.metadata
import platform
import sys
from typing import TYPE_CHECKING

from edge_aigc import packages
from edge_aigc.finding import Finding, install
from edge_aigc.profile import OLDEST_PYTHON

if TYPE_CHECKING:
    from edge_aigc.devices.doctor.patient import Patient

_NEWEST_FOR_TFLITE = (3, 11)
"""tflite-runtime 2.14.0, the last: wheels cp38 to cp311."""


def check(patient: Patient) -> list[Finding]:
    """Look at Python's version and at the releases of our dependencies."""
    return [_version(patient), *_dependencies()]


def _version(patient: Patient) -> Finding:
    version = platform.python_version()
    wanted = patient.manifest.runtimes if patient.manifest else patient.profile.runtimes if patient.profile else ()
    if sys.version_info[:2] < OLDEST_PYTHON:
        return Finding(
            id="python",
            severity="problem",
            message=f"Python is {version}; this project needs {'.'.join(map(str, OLDEST_PYTHON))} or later.",
            remedy=install("python3"),
        )
    if wanted == ("tflite",) and sys.version_info[:2] > _NEWEST_FOR_TFLITE:
        return Finding(
            id="python",
            severity="problem",
            message=f"Python is {version}; tflite-runtime, the only runtime asked for, has wheels up to "
            f"{'.'.join(map(str, _NEWEST_FOR_TFLITE))}. Convert for LiteRT.",
            remedy=f"edge-aigc convert MODEL --profile {_profile(patient)} --runtime litert",
        )
    return Finding(id="python", severity="ok", message=f"Python {version}, {sys.executable}.")


def _profile(patient: Patient) -> str:
    if patient.profile is not None:
        return patient.profile.name
    return patient.manifest.profile if patient.manifest is not None else "NAME"


def _dependencies() -> list[Finding]:
    try:
        short = packages.shortfalls()
    except importlib.metadata.PackageNotFoundError:
        return [
            Finding(
                id="packages",
                severity="note",
                message="edge-aigc lies on Python's path and is not installed: its dependencies cannot be checked.",
                remedy=packages.pip_install("edge-aigc"),
            )
        ]
    # Whether NumPy loads, and with which runtime, is tried in `runtime`.
    return [
        Finding(
            id="packages",
            severity="problem",
            message=f"{entry.package} is {entry.installed or 'not installed'}; needed is {entry.wanted}.",
            remedy=packages.pip_install(entry.wanted),
        )
        for entry in short
        if not (entry.package == "numpy" and entry.installed is None)
    ] or [Finding(id="packages", severity="ok", message="All dependencies are installed, in the releases asked for.")]
