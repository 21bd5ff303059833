"""What a connection selects on: paho's socket while there is one, and a way to be woken."""

from __future__ import annotations

import contextlib
import selectors
import socket
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from paho.mqtt.client import Client


class Sockets:
    """One thing to select on for a client of paho's and for whoever wants to wake us."""

    def __init__(self) -> None:
        """Begin without a client."""
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._reader, selectors.EVENT_READ)
        self._client: Client | None = None
        self._socket: Any = None

    @property
    def open(self) -> bool:
        """Whether there is a client with a socket."""
        return self._socket is not None

    def fileno(self) -> int:
        """Return what becomes readable when there is something to do."""
        return self._selector.fileno()

    def wake(self) -> None:
        """Make it readable; from a signal handler or another thread too."""
        with contextlib.suppress(OSError):  # full: awake already; closed: nobody to wake
            self._writer.send(b"\0")

    def attach(self, client: Client) -> None:
        """Take a client that has just connected."""
        sock = client.socket()
        if sock is not None:
            self._client, self._socket = client, sock
            self._selector.register(sock, selectors.EVENT_READ)
            self.update()

    def detach(self) -> None:
        """Let go of the client, if there is one."""
        if self._socket is not None:
            # Of a socket that is closed already the selector knows only the object.
            with contextlib.suppress(KeyError, ValueError, OSError):
                self._selector.unregister(self._socket)
        self._client = self._socket = None

    def update(self) -> None:
        """Look at the client's socket as it is now: it closes and fills without telling."""
        if self._client is None:
            return
        current: Any = self._client.socket()
        if current is not self._socket:
            self.detach()
            self.wake()
            return
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._client.want_write() else 0)
        if self._selector.get_key(current).events != wanted:
            self._selector.modify(current, wanted)

    def serve(self) -> bool:
        """Let the client read a packet and write what waits; return whether there was anything to do."""
        ready = self._selector.select(0)
        for key, mask in ready:
            if key.fileobj is self._reader:
                with contextlib.suppress(BlockingIOError):
                    self._reader.recv(4096)
            elif self._client is not None:
                if mask & selectors.EVENT_READ:
                    self._client.loop_read()
                    # Bytes that TLS has read already do not make the socket readable.
                    while getattr(self._client.socket(), "pending", int)():
                        self._client.loop_read()
                if mask & selectors.EVENT_WRITE:
                    self._client.loop_write()
        if ready:
            self.update()
        return bool(ready)

    def hold_acknowledgements(self) -> None:
        """Have the kernel delay the next TCP acknowledgement; only Linux can be asked to: tcp(7)."""
        if self._socket is not None:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)

    def close(self) -> None:
        """Close everything but the client."""
        self._selector.close()
        self._reader.close()
        self._writer.close()
