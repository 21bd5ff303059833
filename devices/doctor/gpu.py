"""TensorRT on a Jetson: what `accelerate` builds engines with."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from edge_aigc.devices.tensorrt.trtexec import JETPACK
from edge_aigc.finding import Finding, install

if TYPE_CHECKING:
    from edge_aigc.devices.doctor.patient import Patient


def check(patient: Patient) -> list[Finding]:
    """Look for `trtexec`, on a board with a GPU of NVIDIA's."""
    accelerator = patient.profile.accelerator if patient.profile else None
    if accelerator is None or accelerator.kind != "gpu" or patient.is_host:
        return []
    there = patient.path(str(JETPACK))
    found = shutil.which(JETPACK.name) or (str(there) if os.access(there, os.X_OK) else None)
    if found:
        return [Finding(id="trtexec", severity="ok", message=f"{found} builds engines for the {accelerator.name}.")]
    message = f"There is no trtexec, neither on PATH nor at {JETPACK}: bundles run on the CPU, not the GPU."
    return [Finding(id="trtexec", severity="note", message=message, remedy=install("libnvinfer-bin"))]
