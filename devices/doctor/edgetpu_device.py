"""The Edge TPU itself: whether the kernel sees it, and whether we may use it."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from edge_aigc.devices.doctor.patient import text_of
from edge_aigc.finding import Finding, as_root, install

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge_aigc.devices.doctor.patient import Patient
    from edge_aigc.finding import Severity

_USB = (("1a6e", "089a"), ("18d1", "9302"))
"""Vendor and product before and after the library has loaded its firmware: coral.ai, get started with the USB
Accelerator; libedgetpu's udev rules."""
_PCI = ("0x1ac1", "0x089a")
"""coral.ai, get started with the M.2 or Mini PCIe Accelerator: `lspci -nn | grep 089a`."""
_GROUP = "plugdev"
RULES = tuple(
    f'SUBSYSTEM=="usb",ATTRS{{idVendor}}=="{vendor}",ATTRS{{idProduct}}=="{product}",GROUP="{_GROUP}"'
    for vendor, product in _USB
)
"""google-coral/libedgetpu, debian/edgetpu-accelerator.rules."""
_RULES_FILE = "/etc/udev/rules.d/99-edgetpu-accelerator.rules"
_RULES_FOLDERS = ("etc/udev/rules.d", "lib/udev/rules.d", "usr/lib/udev/rules.d", "run/udev/rules.d")
_SLOW_MBPS = 480
"""High Speed, USB 2: the accelerator is made for USB 3, ten times that."""


def check(patient: Patient) -> list[Finding]:
    """Look for an Edge TPU, and at what a user needs to open it."""
    usb = list(_usb(patient))
    pcie = _has_pci(patient)
    opened = sorted(patient.root.glob("dev/apex_*"))
    findings: list[Finding] = []
    if usb:
        findings += [*_speed(usb), *_rules(patient), *_member(patient, _GROUP)]
    if pcie or opened:
        findings += _driver(patient) if not opened else _member(patient, "apex")
    if findings:
        return findings
    if usb or opened:
        where = "on USB" if usb else f"on PCIe, as {opened[0].name}"
        return [Finding(id="edgetpu", severity="ok", message=f"An Edge TPU is {where}, and may be used.")]
    return _absent(patient)


def _usb(patient: Patient) -> Iterator[int]:
    """Yield the speed of each Edge TPU on USB, Mbit/s; 0 where it is not told."""
    for device in sorted(patient.root.glob("sys/bus/usb/devices/*")):
        if (text_of(device / "idVendor"), text_of(device / "idProduct")) in _USB:
            speed = text_of(device / "speed")
            yield int(speed) if speed.isdigit() else 0


def _has_pci(patient: Patient) -> bool:
    devices = patient.root.glob("sys/bus/pci/devices/*")
    return any((text_of(device / "vendor"), text_of(device / "device")) == _PCI for device in devices)


def _speed(usb: list[int]) -> list[Finding]:
    if not 0 < max(usb) <= _SLOW_MBPS:
        return []
    message = f"The Edge TPU is on a USB port of {max(usb)} Mbit/s; on a blue one (USB 3) transfers take a tenth."
    return [Finding(id="edgetpu-slow", severity="note", message=message)]


def _rules(patient: Patient) -> list[Finding]:
    files = (path for folder in _RULES_FOLDERS for path in patient.root.glob(f"{folder}/*.rules"))
    # Older rules name the vendors alone.
    if any(all(vendor in text for vendor, _ in _USB) for text in map(text_of, files)):
        return []
    lines = " ".join(shlex.quote(rule) for rule in RULES)
    steps = (f"printf '%s\\n' {lines} | {as_root(f'tee {_RULES_FILE}')}", *map(as_root, _RELOAD))
    message = f"No udev rule lets the group {_GROUP} use the Edge TPU: only root can open it."
    return [Finding(id="edgetpu-rules", severity="problem", message=message, remedy=" && ".join(steps))]


_RELOAD = ("udevadm control --reload-rules", "udevadm trigger")


def _member(patient: Patient, group: str) -> list[Finding]:
    if patient.is_root:
        return []
    rows = [line.split(":") for line in patient.text("/etc/group").splitlines()]
    entry = next((row for row in rows if row[0] == group and len(row) == 4), None)  # noqa: PLR2004 - group(5)
    if entry is not None and patient.user in entry[3].split(","):
        return []
    add = as_root(f"usermod -aG {group} {shlex.quote(patient.user)}")
    steps = add if entry is not None else f"{as_root(f'groupadd {group}')} && {add}"
    message = f"{patient.user} is not in the group {group}, whose members may use the Edge TPU; log in again after."
    return [Finding(id="edgetpu-group", severity="problem", message=message, remedy=steps)]


def _driver(patient: Patient) -> list[Finding]:
    modules = {line.split()[0] for line in patient.text("/proc/modules").splitlines() if line}
    missing = [name for name in ("gasket", "apex") if name not in modules]
    why = f"the modules {' and '.join(missing)} are not loaded" if missing else "its driver made no device"
    message = f"An Edge TPU is on PCIe, and there is no /dev/apex_0: {why}."
    remedy = f"{install('gasket-dkms')} && {as_root('modprobe apex')}"
    return [Finding(id="edgetpu-driver", severity="problem", message=message, remedy=remedy)]


def _absent(patient: Patient) -> list[Finding]:
    if not patient.wants_edgetpu:
        return []
    severity: Severity = "note" if patient.is_host else "problem"
    message = (
        "No Edge TPU is on USB (1a6e:089a or 18d1:9302) nor on PCIe (1ac1:089a): models run on the CPU. "
        "Plug it in, to a port that gives 900 mA."
    )
    return [Finding(id="edgetpu-absent", severity=severity, message=message)]
