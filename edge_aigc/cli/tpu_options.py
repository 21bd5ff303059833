"""Options of every verb that runs a model which may be compiled for an Edge TPU."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from edge_aigc.cli.output import parse_pairs
from edge_aigc.tpu import tpu_settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_aigc.tpu import TpuSettings

_OPTIONS = (
    click.option(
        "--delegate", metavar="LIBRARY", help="Of the Edge TPU; default: libedgetpu.so.1. `none` runs on the CPU."
    ),
    click.option("--tpu", metavar="DEVICE", help="Which Edge TPU: usb, pci, usb:0, pci:1, :0; default: any."),
    click.option(
        "--tpu-option",
        "tpu_options",
        multiple=True,
        callback=parse_pairs("NAME=VALUE"),
        metavar="NAME=VALUE",
        help="Performance, Usb.MaxBulkInQueueLength or Usb.AlwaysDfu; with the DEVICE's number.",
    ),
)


def tpu_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options to a command, which takes them with `tpu_of`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def tpu_of(options: dict[str, Any]) -> TpuSettings:
    """Return what the options say.

    Raises:
        UsageError: They do not make sense together.
    """
    return tpu_settings(options["delegate"], options["tpu"], options["tpu_options"])
