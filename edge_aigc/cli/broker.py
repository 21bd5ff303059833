"""A broker of our own for as long as a demonstration lasts: mosquitto where it is installed, else amqtt."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from edge_aigc.errors import BrokerError

if TYPE_CHECKING:
    from collections.abc import Iterator

_START_S = 20.0
_STOP_S = 10.0
# Debian puts the daemon where only root's PATH looks.
_PLACES = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"])


@contextlib.contextmanager
def local_broker() -> Iterator[tuple[str, str]]:
    """Run a broker on a free loopback port; yield its name and its address.

    Raises:
        BrokerError: Neither mosquitto nor amqtt is installed, or it does not start.
    """
    port = _free_port()
    with tempfile.TemporaryDirectory(prefix="edge-aigc-broker-") as folder:
        name, command = _command(Path(folder), port)
        log = Path(folder) / "log"
        with log.open("wb") as words:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=words, stderr=words)
        try:
            _wait(process, port, name, log)
            yield name, f"mqtt://127.0.0.1:{port}"
        finally:
            stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ask a process to end, and kill it if it has not after 10 s."""
    process.terminate()
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _command(folder: Path, port: int) -> tuple[str, list[str]]:
    mosquitto = shutil.which("mosquitto", path=_PLACES)
    if mosquitto is not None:
        config = folder / "mosquitto.conf"
        # Nagle's algorithm in the broker costs 44 ms a round trip at QoS 1.
        config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\npersistence false\n")
        return "mosquitto", [mosquitto, "-c", str(config)]
    if importlib.util.find_spec("amqtt") is not None:
        return "amqtt", [sys.executable, "-m", "edge_aigc.cli.embedded_broker", str(port)]
    raise BrokerError(
        "No MQTT broker is installed here.",
        remedy="Install one: `sudo apt install mosquitto`, or `pip install 'edge-aigc[demo]'` for an embedded one.",
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait(process: subprocess.Popen[bytes], port: int, name: str, log: Path) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.02)
    raise BrokerError(
        f"{name} did not start on port {port}: {log.read_text(errors='replace').strip()[-500:] or 'it said nothing'}.",
        remedy="Start a broker yourself and give its address with `--broker`.",
    )
