"""Real brokers on loopback, each for the length of a `with`."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_START_S = 10.0
# Debian puts the daemon where only root's PATH looks.
_PLACES = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin"])


@dataclass(slots=True)
class Mosquitto:
    """A mosquitto that can be stopped and started again on the same port."""

    port: int
    folder: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it is."""
        return f"mqtt://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it and wait until it takes connections."""
        log = (self.folder / "mosquitto.log").open("ab")
        with log:
            self.process = subprocess.Popen(
                [_mosquitto(), "-c", str(self.folder / "mosquitto.conf")], stdout=log, stderr=log
            )
        _wait_for(self.port)

    def stop(self) -> None:
        """Stop it; retained messages and sessions are lost."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(10)
            self.process = None


@contextlib.contextmanager
def mosquitto(
    *options: str, password: tuple[str, str] | None = None, nodelay: bool = True, rules: str | None = None
) -> Iterator[Mosquitto]:
    """Run mosquitto with Nagle's algorithm off.

    Args:
        *options: More lines of its configuration; it reads what lies in `conf.d` of its folder as well.
        password: A user and the password that it must give; None lets everybody in.
        rules: Who may read and write which topics; None lets everybody do everything.
        nodelay: False leaves Nagle's algorithm on, as mosquitto does by default.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)  # mosquitto drops root before it reads the password file
        broker = Mosquitto(port=free_port(), folder=folder)
        (folder / "conf.d").mkdir()
        lines = [f"include_dir {folder / 'conf.d'}", f"listener {broker.port} 127.0.0.1", *options]
        lines += ["set_tcp_nodelay true"] if nodelay else []
        if rules is not None:
            (folder / "rules").write_text(rules, encoding="utf-8")
            lines.append(f"acl_file {folder / 'rules'}")
        if password is None:
            lines.append("allow_anonymous true")
        else:
            file = folder / "passwords"
            subprocess.run(["mosquitto_passwd", "-c", "-b", str(file), *password], check=True, capture_output=True)
            file.chmod(0o644)
            lines += ["allow_anonymous false", f"password_file {file}"]
        (folder / "mosquitto.conf").write_text("\n".join(lines) + "\n", encoding="utf-8")
        broker.start()
        try:
            yield broker
        finally:
            broker.stop()


@contextlib.contextmanager
def amqtt() -> Iterator[str]:
    """Run amqtt, which speaks MQTT 3.1.1 only; yield its URL."""
    port = free_port()
    command = [sys.executable, "-m", "edge_aigc.cli.embedded_broker", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_for(port)
        yield f"mqtt://127.0.0.1:{port}"
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_port() -> int:
    """Return a loopback port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def _mosquitto() -> str:
    found = shutil.which("mosquitto", path=_PLACES)
    assert found is not None, "the tests need mosquitto: `sudo apt install mosquitto mosquitto-clients`"
    return found


def _wait_for(port: int) -> None:
    deadline_s = time.monotonic() + _START_S
    while time.monotonic() < deadline_s:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.02)
    raise TimeoutError(f"nothing listens on port {port}")
