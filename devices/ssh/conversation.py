"""A conversation with a program on another machine, through OpenSSH's own `ssh`.

Everything that the user configured for `ssh` holds: ~/.ssh/config, agents, jump hosts, known hosts. It never asks
a question, and no host key is trusted that was not trusted before.
"""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import subprocess
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_aigc.devices.ssh.words import ended, not_there, silent, too_long, too_much
from edge_aigc.errors import SshError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_TARGET = re.compile(
    r"^(?P<login>(?:[A-Za-z0-9._][A-Za-z0-9._-]*@)?)"
    r"(?:\[(?P<literal>[0-9A-Fa-f:.%a-z]+)\]|(?P<name>[A-Za-z0-9_][A-Za-z0-9._-]*))(?::(?P<port>\d{1,5}))?$"
)
_OPTION = re.compile(r"^[A-Za-z0-9]+[= ].+$", re.DOTALL)
_HIGHEST_PORT = 65535
_CONNECT_S = 10
_ALIVE_S, _ALIVE_COUNT = 5, 3
"""A machine that gave no sign for 15 seconds, copying or not, is lost."""
_PIECE_BYTES = 64 << 10
_LINE_LIMIT_BYTES = 1 << 20
"""Nothing that we are answered is a tenth of that."""
_ANSWER_LIMIT_BYTES = 8 << 20
_WORDS_BYTES = 16 << 10
_GOODBYE_S = 2.0
"""For the other side to clean up after its input ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SshTarget:
    """A machine, how `ssh` reaches it, and where edge-aigc is on it."""

    destination: str
    """[user@]host, or an alias of the user's ssh configuration."""
    port: int | None = None
    identity: Path | None = None
    """A private key; None: what ssh finds."""
    config: Path | None = None
    """Instead of ~/.ssh/config."""
    options: tuple[str, ...] = ()
    """As after `ssh -o`."""
    command: str | None = None
    """edge-aigc there, as words of its shell; None looks for it."""
    folder: str | None = None
    """Where a bundle lies there while it is measured; None: where that machine keeps temporary files."""
    silence_s: float = 60.0
    """Without a sign of life of the program there for so long, it is given up."""

    @classmethod
    def parse(
        cls,
        text: str,
        *,
        identity: Path | None = None,
        config: Path | None = None,
        options: tuple[str, ...] = (),
        command: str | None = None,
        folder: str | None = None,
    ) -> SshTarget:
        """Return the target that a user wrote: ``[user@]host[:port]``, with IPv6 in brackets.

        Raises:
            UsageError: It is not of that form, or an option is not NAME=VALUE.

        >>> SshTarget.parse("pi@attic:2222").port
        2222
        """
        found = _TARGET.match(text)
        if found is None or int(found["port"] or 1) not in range(1, _HIGHEST_PORT + 1):
            raise UsageError(
                f"{text!r} is not [user@]host[:port].", remedy="For example `--on pi@attic`, or `--on pi@[fe80::1]:22`."
            )
        for option in options:
            if not _OPTION.match(option):
                raise UsageError(
                    f"{option!r} is no option of ssh.", remedy="For example `--ssh-option ProxyJump=gate`."
                )
        return cls(
            destination=found["login"] + (found["literal"] or found["name"]),
            port=int(found["port"]) if found["port"] else None,
            identity=identity,
            config=config,
            options=options,
            command=command,
            folder=folder,
        )

    @property
    def name(self) -> str:
        """As the user wrote it: [user@]host[:port]."""
        if self.port is None:
            return self.destination
        user, at, host = self.destination.rpartition("@")
        return f"{user}{at}[{host}]:{self.port}" if ":" in host else f"{self.destination}:{self.port}"

    def arguments(self, script: str) -> list[str]:
        """Return the command line of `ssh` that runs a script there.

        Of an option that is given twice ssh takes the first: it never asks, whatever the user's options say; how
        long it waits they may say. A connection that is shared is used, and none is left open for others.
        """
        # At INFO it says that a machine does not answer any more; at ERROR it ends without a word.
        options = ["BatchMode=yes", *self.options, f"ConnectTimeout={_CONNECT_S}", "LogLevel=INFO"]
        options += [f"ServerAliveInterval={_ALIVE_S}", f"ServerAliveCountMax={_ALIVE_COUNT}", "ControlMaster=no"]
        # What a configuration holds for people at terminals: their command, their forwarded ports.
        options += ["RemoteCommand=none", "ClearAllForwardings=yes"]
        command = ["ssh", "-T"]
        if self.config is not None:
            command += ["-F", str(self.config)]
        for option in options:
            command += ["-o", option]
        if self.identity is not None:
            command += ["-i", str(self.identity), "-o", "IdentitiesOnly=yes"]
        if self.port is not None:
            command += ["-p", str(self.port)]
        return [*command, "--", self.destination, script]


class Talk:
    """Lines from a program there, bytes to it; every wait is bounded."""

    def __init__(self, target: SshTarget, process: subprocess.Popen[bytes], *, limit_s: float) -> None:
        """Take over a running `ssh`; `talk` starts and ends one."""
        self._target = target
        self._process = process
        self._unsent: deque[memoryview] = deque()
        self._pending = bytearray()
        self._words = bytearray()
        self._received = 0
        self._started_s = self._life_s = time.monotonic()
        self._limit_s = limit_s
        self._selector = selectors.DefaultSelector()
        for stream in (process.stdout, process.stderr):
            assert stream is not None
            os.set_blocking(stream.fileno(), False)
            self._selector.register(stream, selectors.EVENT_READ)
        assert process.stdin is not None
        os.set_blocking(process.stdin.fileno(), False)

    def send(self, content: bytes) -> None:
        """Have bytes sent while lines are awaited."""
        assert self._process.stdin is not None
        if not self._unsent and not self._process.stdin.closed:
            self._selector.register(self._process.stdin, selectors.EVENT_WRITE)
        self._unsent.append(memoryview(content))

    def line(self) -> bytes:
        """Return the next line, without its end.

        Raises:
            SshError: The connection or the program ended, was silent too long, took too long, or talks too much.
        """
        while True:
            text, newline, rest = bytes(self._pending).partition(b"\n")
            if newline:
                self._pending[:] = rest
                return text
            if len(self._pending) > _LINE_LIMIT_BYTES or self._received > _ANSWER_LIMIT_BYTES:
                raise too_much(self._target.name, self._received)
            if not self._streams_open():
                raise self._end()
            self._wait()

    def _streams_open(self) -> bool:
        assert self._process.stdout is not None
        return not self._process.stdout.closed

    def _wait(self) -> None:
        now_s = time.monotonic()
        if now_s - self._started_s > self._limit_s:
            raise too_long(self._target.name, self._limit_s)
        if now_s - self._life_s > self._target.silence_s:
            raise silent(self._target.name, self._target.silence_s)
        left_s = min(self._limit_s - (now_s - self._started_s), self._target.silence_s - (now_s - self._life_s))
        for key, _ in self._selector.select(max(0.0, left_s) + 0.01):
            self._life_s = time.monotonic()
            if key.fileobj is self._process.stdin:
                self._write()
            else:
                self._read(key.fileobj)

    def _write(self) -> None:
        pipe = self._process.stdin
        assert pipe is not None
        try:
            sent = os.write(pipe.fileno(), self._unsent[0][:_PIECE_BYTES])
        except BrokenPipeError:
            # Why it is gone is in what it said.
            self._unsent.clear()
            self._selector.unregister(pipe)
            with contextlib.suppress(OSError):
                pipe.close()
            return
        self._unsent[0] = self._unsent[0][sent:]
        if not self._unsent[0]:
            self._unsent.popleft()
        if not self._unsent:
            self._selector.unregister(pipe)

    def _read(self, stream: object) -> None:
        source = self._process.stdout if stream is self._process.stdout else self._process.stderr
        assert source is not None
        piece = os.read(source.fileno(), _PIECE_BYTES)
        if not piece:
            self._selector.unregister(source)
            source.close()
        elif source is self._process.stdout:
            self._received += len(piece)
            self._pending += piece
        else:
            self._words = (self._words + piece)[-_WORDS_BYTES:]

    def _end(self) -> SshError:
        """Return why no more lines will come."""
        assert self._process.stderr is not None
        deadline_s = time.monotonic() + _GOODBYE_S
        while not self._process.stderr.closed and time.monotonic() < deadline_s:
            self._wait()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_GOODBYE_S)
        return ended(self._target.name, self._process.poll(), self._words.decode(errors="replace"))


@contextlib.contextmanager
def talk(target: SshTarget, script: str, *, limit_s: float) -> Iterator[Talk]:
    """Run a script there for the length of a `with`; at its end the script's input ends, and `ssh` is gone.

    Args:
        target: Where.
        script: For the login shell there.
        limit_s: For all of it.

    Raises:
        SshError: There is no `ssh` here.
    """
    try:
        process = subprocess.Popen(
            target.arguments(script),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # Its messages are read, so they must be English.
            env={**os.environ, "LC_ALL": "C.UTF-8"},
            # A Ctrl-C at the terminal is for us; we end ssh, and with it what runs there.
            start_new_session=True,
        )
    except FileNotFoundError as exc:
        raise not_there() from exc
    try:
        yield Talk(target, process, limit_s=limit_s)
    finally:
        _end_process(process)


def _end_process(process: subprocess.Popen[bytes]) -> None:
    # The end of its input tells the program there to clean up; then its connection may go.
    assert process.stdin is not None
    with contextlib.suppress(OSError):
        process.stdin.close()
    try:
        process.wait(_GOODBYE_S)
    except subprocess.TimeoutExpired:
        process.terminate()
        try:
            process.wait(_GOODBYE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()
