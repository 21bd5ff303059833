"""How long an invocation takes on an Edge TPU, estimated: what goes over the wire, and what is computed.

Sources: `benchmarks/reference/*.csv` of google-coral/pycoral for times; the compiled models of
google-coral/test_data for sizes. Against the published times of MobileNetV1 and InceptionV1 on four computers the
estimate is off by -44 % to +27 %: good for telling 3 ms from 30, not for more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_aigc.converters.targets.edgetpu.executable import Package
    from edge_aigc.converters.targets.edgetpu.precheck import Precheck
    from edge_aigc.profile import DeviceProfile

_FIXED_S = 0.28e-3
"""A small fully connected layer with cached weights over USB: measured by the authors of LibrEdgeTPU."""
_MACS_PER_S = 0.5e12
"""A quarter of the peak of 4e12 operations: what MobileNetV1 and InceptionV1 on x86 leave beside the transfer."""
_SRAM_BYTES = 8 << 20
"""Edge TPU compiler guide, parameter data caching."""
_CACHEABLE = 7 / 8
"""Of the SRAM: cached and remaining together are 6.1 to 8.0 MiB in 12 logs of edgetpu_compiler, 7.0 in the median."""
CACHEABLE_BYTES = round(_SRAM_BYTES * _CACHEABLE)
_PACKED = 1.15
"""Compiled parameters over those of the source: 1.04 to 1.33 in 12 compiled models larger than 400 kB."""
_INSTRUCTION_BYTES = 165_000
"""Sent at every invocation; the median of 14 compiled models (24 kB to 785 kB), until the compiler has told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """The way from a computer to its Edge TPU."""

    name: str
    bytes_per_s: float
    """What InceptionV4 streams (36 MB of parameters) over its published time."""


LINKS: Mapping[str, Link] = {
    "x86": Link(name="USB 3 on x86-64", bytes_per_s=430e6),
    "pcie": Link(name="PCIe on a Dev Board", bytes_per_s=360e6),
    "usb3": Link(name="USB 3 on a Raspberry Pi 4", bytes_per_s=255e6),
    "usb2": Link(name="USB 2 on a Raspberry Pi 3B+", bytes_per_s=34e6),
}
"""Those that pycoral's benchmarks were run on."""
_CORES_WITH_USB_2 = frozenset({"Cortex-A35", "Cortex-A53"})
"""Dev Board Mini; Raspberry Pi 3 and Zero 2."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """Where a model's parameters will be, bytes."""

    cached: int
    """Sent once."""
    streamed: int
    """Sent at every invocation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """One invocation of the part that is compiled; operators on the CPU come on top."""

    latency_ms: float
    sent_bytes: int
    received_bytes: int
    link: Link


def link_of(profile: DeviceProfile) -> Link:
    """Return the measured link that is most like a profile's."""
    accelerator = profile.accelerator
    if accelerator is not None and accelerator.transport == "pcie":
        return LINKS["pcie"]
    if profile.cpu.core in _CORES_WITH_USB_2:
        return LINKS["usb2"]
    return LINKS["usb3" if profile.cpu.core.startswith("Cortex") else "x86"]


def cacheable_of(profile: DeviceProfile) -> int:
    """Return how many bytes of parameters a profile's Edge TPU can be expected to keep."""
    accelerator = profile.accelerator
    sram_bytes = accelerator.sram_bytes if accelerator is not None else None
    return round((sram_bytes or _SRAM_BYTES) * _CACHEABLE)


def expected_parameters(checked: Precheck, *, cacheable_bytes: int = CACHEABLE_BYTES) -> Parameters:
    """Return where the parameters will be, before the compiler has told; activations may leave less room."""
    packed = round(checked.parameter_bytes * _PACKED)
    cached = min(packed, cacheable_bytes)
    return Parameters(cached=cached, streamed=packed - cached)


def estimate(
    checked: Precheck,
    link: Link,
    *,
    compiled: tuple[Package, ...] = (),
    cacheable_bytes: int = CACHEABLE_BYTES,
) -> Transfer:
    """Return how long an invocation takes.

    Args:
        checked: The model before it was compiled.
        link: To the Edge TPU.
        compiled: What the compiler made of it, where it did; else its sizes are expected ones.
        cacheable_bytes: Of parameters that the Edge TPU keeps, where it is not compiled.
    """
    if compiled:
        overhead = sum(package.streamed_bytes + package.instruction_bytes for package in compiled)
    else:
        streamed = expected_parameters(checked, cacheable_bytes=cacheable_bytes).streamed
        overhead = streamed + (_INSTRUCTION_BYTES if checked.on_tpu else 0)
    return transfer(
        link,
        sent_bytes=checked.inputs_bytes + overhead,
        received_bytes=checked.outputs_bytes,
        macs=checked.macs,
    )


def transfer(link: Link, *, sent_bytes: int, received_bytes: int, macs: int) -> Transfer:
    """Return how long it takes to send so much, compute so much and receive so much, one after the other."""
    seconds = _FIXED_S + (sent_bytes + received_bytes) / link.bytes_per_s + macs / _MACS_PER_S
    return Transfer(latency_ms=seconds * 1e3, sent_bytes=sent_bytes, received_bytes=received_bytes, link=link)
