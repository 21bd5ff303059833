"""Fixtures that several test files share."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from boards import Board, board
from brokers import Mosquitto, mosquitto
from bundles import negative_bundle, tiny_bundle
from daemons import daemon
from probe import Probe, probe
from sshd import Sshd, sshd

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from doctors import Examination

    from edge_aigc.devices.emulate.device import DaemonProcess

# What is slow to get stays in the checkout, where `make clean` finds it.
os.environ.setdefault("EDGE_AIGC_CACHE", str(Path(__file__).parent.parent / ".cache"))

pytest_plugins = ["edge_aigc.pytest_plugin"]
"""Found by itself where the package is installed; a checkout on PYTHONPATH is not."""
_PATIENCE_EMULATED = 12.0


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--device", metavar="PROFILE", help="run the tests marked `device` on an emulated board")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--device") is None:
        return
    chosen = [item for item in items if item.get_closest_marker("device")]
    config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
    items[:] = chosen


@pytest.fixture(scope="session")
def emulated_board(request: pytest.FixtureRequest) -> str | None:
    """The profile of the emulated device under test; None tests this machine."""
    name: str | None = request.config.getoption("--device")
    return name


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bundle(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def negative(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return negative_bundle(tmp_path_factory.mktemp("negative"))


@pytest.fixture
def jetson(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Board]:
    """The software of a Jetson's GPU, stood in for."""
    yield from board(tmp_path_factory.mktemp("jetson"), monkeypatch)


@pytest.fixture(scope="module")
def broker() -> Iterator[Mosquitto]:
    with mosquitto() as running:
        yield running


@pytest.fixture(scope="module")
def served(broker: Mosquitto, tiny: Path, negative: Path, emulated_board: str | None) -> Iterator[DaemonProcess]:
    """A daemon named testbed that serves both models."""
    if emulated_board is None:
        with daemon(broker.url, tiny, negative) as running:
            yield running
    else:
        from edge_aigc.devices.emulate.device import emulated

        with emulated(emulated_board, tiny, negative, broker=broker.url, name="testbed") as device:
            yield device


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """An OpenSSH server that lets this user in."""
    with sshd(tmp_path_factory.mktemp("ssh") / "server") as running:
        yield running


@pytest.fixture
def healthy(tmp_path: Path) -> Path:
    """The files of a board that nothing is wrong with."""
    from doctors import healthy_board

    return healthy_board(tmp_path / "board")


@pytest.fixture
def on_board(healthy: Path, broker: Mosquitto) -> Callable[..., Examination]:
    """Examine that board as a device that has a good broker."""
    from doctors import doctor

    def examine(*arguments: object, **options: Any) -> Examination:
        stated = "--broker" in arguments or "EDGE_AIGC_BROKER" in options.get("env", {})
        where = () if stated else ("--broker", broker.url)
        return doctor("--role", "device", "--root", healthy, *arguments, *where, **options)

    return examine


@pytest.fixture
def on_tree(healthy: Path) -> Callable[..., Examination]:
    """Examine that board within this process: no interpreter is started, no broker asked."""
    from doctors import look_over

    return partial(look_over, healthy)


@pytest.fixture
def listener(broker: Mosquitto, emulated_board: str | None) -> Iterator[Probe]:
    with probe(broker.url, patience=1.0 if emulated_board is None else _PATIENCE_EMULATED) as listening:
        yield listening
