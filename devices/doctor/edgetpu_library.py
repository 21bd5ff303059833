"""libedgetpu: whether it is there, loads, and is a build that today's runtimes can live with."""

from __future__ import annotations

import platform
import re
from typing import TYPE_CHECKING

from packaging.version import InvalidVersion, Version

from edge_aigc import packages
from edge_aigc.devices.doctor.trial import attempt
from edge_aigc.finding import Finding, install
from edge_aigc.tpu import LIBRARY

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from edge_aigc.devices.doctor.patient import Patient

_FOLDERS = ("usr/lib/*-linux-gnu*", "lib/*-linux-gnu*", "usr/lib", "usr/lib64", "usr/local/lib")
_LIMIT_S = 10.0
_BREAKS_FROM = Version("2.12")
"""Google's builds, made with TensorFlow 2.5, crash beside tflite-runtime of this release and later:
google-coral/edgetpu issue 812, google-coral/libedgetpu issue 53."""
_REBUILT = "16.0tf2.19.1-1"
_RELEASE = "https://github.com/feranick/libedgetpu/releases/download/16.0TF2.19.1-1"
"""The builds that the issues above end with; they say in their version which TensorFlow they are made with."""
_DEBIAN: Mapping[str, str] = {"aarch64": "arm64", "x86_64": "amd64", "armv7l": "armhf"}


def library(patient: Patient) -> Path | None:
    """Return where the library lies, or None."""
    for folder in _FOLDERS:
        for path in sorted(patient.root.glob(f"{folder}/{LIBRARY}")):
            return path
    return None


def check(patient: Patient) -> list[Finding]:
    """Look at the library, if it is there or somebody needs it."""
    path = library(patient)
    if path is None:
        if not patient.wants_edgetpu or patient.is_host:
            return []
        message = f"{LIBRARY}, which hands operators to the Edge TPU, is not installed: models run on the CPU."
        return [Finding(id="edgetpu-library", severity="problem", message=message, remedy=_rebuilt(patient))]
    name, version = _package(patient)
    if version and "tf" not in version.lower() and _runtime_is_new():
        return [
            Finding(
                id="edgetpu-library-old",
                severity="problem",
                message=f"{name} {version} is Google's build with TensorFlow 2.5; it crashes beside tflite-runtime "
                f"{_BREAKS_FROM} and later, and beside ai-edge-litert.",
                remedy=_rebuilt(patient),
            )
        ]
    trial = attempt("library", str(path), limit_s=_LIMIT_S)
    if trial.report is None or trial.report.fault is not None:
        why = trial.report.words if trial.report is not None else f"a process that loaded it {trial.death}"
        lacking = "libusb-1.0-0" if "libusb" in why else None
        message = f"{path} does not load: {why}."
        remedy = install(lacking) if lacking else _rebuilt(patient)
        return [Finding(id="edgetpu-library-broken", severity="problem", message=message, remedy=remedy)]
    words = f"{name} {version}" if version else "no package's"
    return [Finding(id="edgetpu-library", severity="ok", message=f"{path} loads ({words}).")]


def _package(patient: Patient) -> tuple[str, str]:
    """Return name and version of the Debian package that brought the library; empty for another origin."""
    for paragraph in patient.text("/var/lib/dpkg/status").split("\n\n"):
        name = re.search(r"^Package: (libedgetpu1-\w+)$", paragraph, re.MULTILINE)
        version = re.search(r"^Version: (\S+)$", paragraph, re.MULTILINE)
        installed = re.search(r"^Status: .* installed$", paragraph, re.MULTILINE)
        if name and version and installed:
            return name[1], version[1]
    return "", ""


def _runtime_is_new() -> bool:
    old = packages.release("tflite-runtime")
    if packages.release("ai-edge-litert") or old is None:
        return True
    try:
        return Version(old) >= _BREAKS_FROM
    except InvalidVersion:
        return True


def _rebuilt(patient: Patient) -> str:
    rows = (line.partition("=") for line in patient.text("/etc/os-release").splitlines())
    system = {key: value.strip('"') for key, _, value in rows}
    flavour = system.get("VERSION_CODENAME", "bookworm")
    if system.get("ID") == "ubuntu":
        flavour = f"ubuntu{system.get('VERSION_ID', '24.04')}"
    file = f"libedgetpu1-std_{_REBUILT}.{flavour}_{_DEBIAN.get(platform.machine(), 'arm64')}.deb"
    return f"wget {_RELEASE}/{file} && {install(f'./{file}')}"
