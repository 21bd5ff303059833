"""What the daemon and its children say to each other: length-prefixed msgpack over a socket pair.

Strict types both ways, a limit on the size, no pickle: a child that a model has corrupted must not
be able to do more than send nonsense.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

import msgspec

from edge_aigc.errors import WorkerError
from edge_aigc.manifest import Manifest

if TYPE_CHECKING:
    from collections.abc import Iterator

FRAME_LIMIT_BYTES = 96 << 20
"""Larger than a picture or an output of any model that fits such a device."""
_LENGTH = struct.Struct("<I")


class _Frame(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class Work(_Frame, frozen=True, kw_only=True, tag="work"):
    """Daemon to child: make one sample."""

    ticket: int
    seed: int
    controls: dict[str, str | int | float]
    format: str
    pictures: dict[str, bytes]


class Ready(_Frame, frozen=True, kw_only=True, tag="ready"):
    """Child to daemon: the bundle is open and has proven itself."""

    manifest: Manifest
    runtime: str
    fallback: str = ""
    """Why the accelerator that the bundle was made for does not run it."""


class Made(_Frame, frozen=True, kw_only=True, tag="made"):
    """Child to daemon: one sample, encoded."""

    ticket: int
    content: bytes
    sha256: str
    gen_ms: float
    invoke_ms: float
    encode_ms: float


class Refused(_Frame, frozen=True, kw_only=True, tag="refused"):
    """Child to daemon: this sample cannot be made; the next one can."""

    ticket: int
    code: str
    message: str
    remedy: str


class Failed(_Frame, frozen=True, kw_only=True, tag="failed"):
    """Child to daemon: the bundle cannot be served; the child ends."""

    code: str
    message: str
    remedy: str


Answer: TypeAlias = Ready | Made | Refused | Failed
_T = TypeVar("_T")


def packed(frame: _Frame) -> bytes:
    """Return a frame as it goes over the socket."""
    body = msgspec.msgpack.encode(frame)
    return _LENGTH.pack(len(body)) + body


class FrameReader(Generic[_T]):
    """Frames out of bytes that come in pieces."""

    def __init__(self, kind: type[_T]) -> None:
        """Take the type, or the union of types, that frames must have."""
        self._decoder = msgspec.msgpack.Decoder(kind)
        self._waiting = bytearray()

    def feed(self, piece: bytes) -> Iterator[_T]:
        """Yield the frames that a piece completes.

        Raises:
            WorkerError: A frame is too large or not of the type.
        """
        self._waiting += piece
        while len(self._waiting) >= _LENGTH.size:
            (size,) = _LENGTH.unpack_from(self._waiting)
            if size > FRAME_LIMIT_BYTES:
                raise WorkerError(
                    f"A frame of {size:,} B came; at most {FRAME_LIMIT_BYTES:,} B are read.",
                    remedy="The process that sent it is restarted; report this with the bundle.",
                )
            end = _LENGTH.size + size
            if len(self._waiting) < end:
                return
            frame = self._decoded(bytes(self._waiting[_LENGTH.size : end]))
            del self._waiting[:end]
            yield frame

    def _decoded(self, body: bytes) -> _T:
        try:
            return self._decoder.decode(body)
        except (msgspec.MsgspecError, RecursionError) as exc:
            raise WorkerError(
                f"A frame cannot be read: {exc}.",
                remedy="The process that sent it is restarted; report this with the bundle.",
            ) from exc
