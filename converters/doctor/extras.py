"""The packages that converting needs."""

from __future__ import annotations

import importlib.metadata

from edge_aigc import packages
from edge_aigc.finding import Finding

EXTRA = "convert"
_ONLY_HERE = ("tensorflow", "litert-quantizer")
"""Of the extra, what no device has: where one is installed, somebody means to convert."""
_RUNTIME = "ai-edge-litert"


def converts() -> bool:
    """Return whether this machine is meant to convert."""
    return any(packages.release(package) for package in _ONLY_HERE)


def check() -> list[Finding]:
    """Compare what is installed with what the extra asks for."""
    try:
        short = packages.shortfalls(EXTRA)
    except importlib.metadata.PackageNotFoundError:
        return []  # said of the project itself already
    # A runtime that is missing altogether is missing on a device, too, and told there.
    short = [entry for entry in short if not (entry.package == _RUNTIME and entry.installed is None)]
    return [
        Finding(
            id=f"extra-{entry.package}",
            severity="problem",
            message=f"{entry.package} is {entry.installed or 'not installed'}; converting needs {entry.wanted}.",
            remedy=packages.pip_install(entry.wanted),
        )
        for entry in short
    ] or [Finding(id="extras", severity="ok", message="All packages that converting needs are installed.")]
