"""How an Edge TPU is reached: its library, which of several, and the library's options.

Imports no NumPy and no runtime: the daemon's parent hands it to its children.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from edge_aigc.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

LIBRARY = "libedgetpu.so.1"
"""What the packages `libedgetpu1-std` and `libedgetpu1-max` install."""
NONE = "none"
"""In place of a library: run on the CPU, and say nothing of it."""

_DEVICE = re.compile(r"^(usb|pci)?(:\d+)?$")
_OPTIONS: Mapping[str, re.Pattern[str]] = {
    # edgetpu_delegate_for_custom_op_tflite_plugin.cc and edgetpu.h of libedgetpu.
    "Performance": re.compile("Low|Medium|High|Max"),
    "Usb.AlwaysDfu": re.compile("True|False"),
    "Usb.MaxBulkInQueueLength": re.compile(r"\d|\d\d|1\d\d|2[0-4]\d|25[0-5]"),
}


class TpuSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where models run that are compiled for an Edge TPU."""

    library: str | None = LIBRARY
    """Name or path; None runs them on the CPU."""
    device: str | None = None
    """``usb``, ``pci``, or with which of several: ``usb:0``, ``pci:1``, ``:0``; None takes any."""
    options: dict[str, str] = {}
    """Of the library; it reads them only when `device` says which of several."""
    given_up: str = ""
    """Why the library is not tried again, where it has taken a process down."""

    @property
    def delegate_options(self) -> dict[str, str]:
        """Return what the library is given."""
        return {**({"device": self.device} if self.device is not None else {}), **self.options}

    @property
    def words(self) -> str:
        """Return the library and the device, for people."""
        return f"{self.library}, {self.device}" if self.device is not None else f"{self.library}"


def tpu_settings(library: str | None, device: str | None, options: Mapping[str, str]) -> TpuSettings:
    """Make settings of what a user stated.

    Args:
        library: Name or path, ``none``, or None for libedgetpu's own.
        device: As in `TpuSettings`, or None.
        options: By the library's names.

    Raises:
        UsageError: They do not make sense, or the library would ignore one in silence.
    """
    if library == NONE:
        if device is not None or options:
            raise UsageError("Without a delegate there is no Edge TPU to choose.", remedy="Leave out `--tpu`.")
        return TpuSettings(library=None)
    if device is not None and (not device or _DEVICE.match(device) is None):
        raise UsageError(
            f"{device!r} is no Edge TPU's name.", remedy="Say `usb`, `pci`, `usb:0`, `pci:1` or `:0`, counted from 0."
        )
    for name, value in options.items():
        _check_option(name, value)
    if options and (device is None or ":" not in device):
        raise UsageError(
            f"libedgetpu ignores {next(iter(options))} unless it is told which Edge TPU.",
            remedy="Say which, also if there is only one: `--tpu usb:0`.",
        )
    return TpuSettings(library=library or LIBRARY, device=device, options=dict(options))


def _check_option(name: str, value: str) -> None:
    if name not in _OPTIONS:
        raise UsageError(f"libedgetpu has no option {name!r}.", remedy=f"It has {', '.join(_OPTIONS)}.")
    if _OPTIONS[name].fullmatch(value) is None:
        raise UsageError(
            f"{name} cannot be {value!r}.",
            remedy="Performance is Low, Medium, High or Max; Usb.AlwaysDfu True or False; "
            "Usb.MaxBulkInQueueLength 0 to 255.",
        )
