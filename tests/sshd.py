"""A real OpenSSH server on a free port of the loopback address, for the length of a `with`."""

from __future__ import annotations

import contextlib
import getpass
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edge_aigc.devices.ssh.conversation import SshTarget

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).parent.parent
_SEPARATION = Path("/run/sshd")
"""Where Debian's sshd imprisons its unprivileged half; it does not start as root without."""


@dataclass(frozen=True)
class Sshd:
    """A server that runs.

    Attributes:
        process: Its listener.
        port: On 127.0.0.1.
        folder: Keys and configuration.
    """

    process: subprocess.Popen[bytes]
    port: int
    folder: Path

    @property
    def target(self) -> str:
        """What `--on` takes."""
        return f"{getpass.getuser()}@127.0.0.1:{self.port}"

    @property
    def options(self) -> tuple[str, ...]:
        """What `--ssh-option` takes: only the keys that were made here are known."""
        return (f"UserKnownHostsFile={self.folder}/known_hosts", "GlobalKnownHostsFile=/dev/null")

    @property
    def identity(self) -> Path:
        """The user's key."""
        return self.folder / "user_key"

    @property
    def ssh_target(self) -> SshTarget:
        """The same for those who need no command line."""
        return SshTarget.parse(self.target, identity=self.identity, options=self.options, command=self.command)

    @property
    def command(self) -> str:
        """This checkout's edge-aigc, as `--remote-command` takes it."""
        return f"env PYTHONPATH={shlex.quote(str(ROOT))} {shlex.quote(sys.executable)} -m edge_aigc.cli"

    def arguments(self, command: str | None = "") -> list[str]:
        """Return the options of a verb that measures there.

        Args:
            command: edge-aigc there; empty: this checkout's; None: it is looked for.
        """
        found = ["--on", self.target, "--identity", str(self.identity)]
        for option in self.options:
            found += ["--ssh-option", option]
        return found if command is None else [*found, "--remote-command", command or self.command]

    def sessions(self) -> list[int]:
        """Return the server's processes for connections."""
        return _children(self.process.pid)

    def kill_sessions(self) -> None:
        """Kill the server's side of every connection, as a power cut does."""
        self.signal_sessions(signal.SIGKILL)

    def signal_sessions(self, number: signal.Signals) -> None:
        """Send the server's side of every connection a signal; stopped it hears and says nothing."""
        for pid in self.sessions():
            for child in _children(pid):
                if b"sshd" in Path(f"/proc/{child}/cmdline").read_bytes():
                    os.kill(child, number)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)


@contextlib.contextmanager
def sshd(folder: Path, *settings: str) -> Iterator[Sshd]:
    """Make keys and a configuration in a new folder, and serve the user who runs this.

    Args:
        folder: Is made; only its owner may look into it, as sshd wants.
        *settings: More lines for its configuration.
    """
    folder.mkdir(mode=0o700)
    for name in ("host_key", "user_key", "stranger_key"):
        _keygen(folder / name)
    shutil.copy(folder / "user_key.pub", folder / "authorized_keys")
    port = _free_port()
    host_key = " ".join((folder / "host_key.pub").read_text().split()[:2])
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {host_key}\n")
    (folder / "sshd_config").write_text(_configuration(folder, port, settings))
    if os.getuid() == 0:
        _SEPARATION.mkdir(mode=0o755, exist_ok=True)
    program = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
    assert program is not None, "install openssh-server"
    command = [program, "-D", "-e", "-f", str(folder / "sshd_config")]
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stderr=log, start_new_session=True) as process:
        try:
            _wait_until_open(process, port, folder / "log")
            yield Sshd(process, port, folder)
        finally:
            for pid in _children(process.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)
            process.terminate()
            process.wait(10)


def script(path: Path, text: str) -> Path:
    """Write a program for sh and return its path."""
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def _configuration(folder: Path, port: int, settings: Sequence[str]) -> str:
    lines = [
        f"Port {port}",
        "ListenAddress 127.0.0.1",
        f"HostKey {folder}/host_key",
        f"AuthorizedKeysFile {folder}/authorized_keys",
        f"PidFile {folder}/pid",
        "PermitRootLogin prohibit-password",
        "PasswordAuthentication no",
        "KbdInteractiveAuthentication no",
        "UsePAM no",
        "UseDNS no",
        # Temporary folders belong to root with others' write permission set.
        "StrictModes no",
        "PrintMotd no",
        *settings,
    ]
    return "\n".join(lines) + "\n"


def _keygen(path: Path) -> None:
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", path.name, "-f", str(path)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_open(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline_s = time.monotonic() + 20
    while time.monotonic() < deadline_s:
        assert process.poll() is None, log.read_text()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    raise AssertionError(f"sshd does not listen: {log.read_text()}")


def _children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text(encoding="ascii").split()]
