"""For pytest: a board at the desk, to test bundles of your own on.

::

    def test_my_bundle_answers_on_a_pi(emulated_device):
        device = emulated_device("rpi4", "mine.aigc")
        with edge_aigc.Client(device.broker) as client:
            (sample,) = client.request("mine", device=device.name, seed=7)

It is found by itself where edge-aigc is installed, and imports nothing of it until the fixture is used.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Protocol

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edge_aigc.devices.emulate.device import EmulatedDevice


class StartDevice(Protocol):
    """What the fixture is."""

    def __call__(
        self, profile: str, *bundles: Path | str, broker: str | None = None, start_s: float | None = None, **more: Any
    ) -> EmulatedDevice:
        """Start a daemon on an emulated board, wait until it is online, stop it when the test ends.

        Args:
            profile: Name of the board's.
            *bundles: What it serves; paths.
            broker: Its URL; None starts one of our own, mosquitto where it is installed.
            start_s: How long it may take to come online; None allows 180 s.
            **more: `name`, `runtime`, `options`, `max_ram_bytes` of `EmulatedDevice`.
        """
        ...


@pytest.fixture
def emulated_device() -> Iterator[StartDevice]:
    """A function that starts the daemon on an emulated board: `emulated_device("rpi4", bundle)`."""
    from edge_aigc.cli.broker import local_broker
    from edge_aigc.devices.emulate.device import START_S, emulated

    with contextlib.ExitStack() as stack:

        def start(
            profile: str, *bundles: Path | str, broker: str | None = None, start_s: float | None = None, **more: Any
        ) -> EmulatedDevice:
            address = broker or stack.enter_context(local_broker())[1]
            return stack.enter_context(emulated(profile, *bundles, broker=address, start_s=start_s or START_S, **more))

        yield start
