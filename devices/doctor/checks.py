"""All checks of a device, in the order of their findings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_aigc.devices.doctor import (
    broker,
    bundle,
    clock,
    desk,
    disk,
    edgetpu_device,
    edgetpu_library,
    gpu,
    machine,
    memory,
    power,
    python,
    runtime,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from edge_aigc.devices.doctor.patient import Patient
    from edge_aigc.finding import Finding

CHECKS: Mapping[str, Callable[[Patient], list[Finding]]] = {
    "machine": machine.check,
    "python": python.check,
    "runtime": runtime.check,
    "bundle": bundle.check,
    "edgetpu-library": edgetpu_library.check,
    "edgetpu": edgetpu_device.check,
    "trtexec": gpu.check,
    "broker": broker.check,
    "clock": clock.check,
    "power": power.check,
    "memory": memory.check,
    "disk": disk.check,
    "desk": desk.check,
}
"""By the id of the note that says that one could not be done."""
