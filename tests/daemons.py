"""`edge-aigc run` as a process, for the length of a `with`."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

from edge_aigc.devices.emulate.device import DaemonProcess

if TYPE_CHECKING:
    from collections.abc import Iterator


class Running(DaemonProcess):
    """A daemon on this machine and what it says."""

    def __init__(self, arguments: list[str]) -> None:
        """Start it."""
        super().__init__([sys.executable, "-m", "edge_aigc.cli", "run", *arguments, "--json"])


@contextlib.contextmanager
def daemon(broker: str, *arguments: object, device: str = "testbed", wait: bool = True) -> Iterator[Running]:
    """Run a daemon.

    Args:
        broker: Its URL.
        *arguments: Bundles and options.
        device: Its name.
        wait: Until it is online.
    """
    running = Running([*map(str, arguments), "--broker", broker, "--device", device])
    try:
        if wait:
            running.wait_for("online")
        yield running
    finally:
        running.close()
