"""The messages of contract 4: JSON that both sides read with the same types.

Imports no NumPy: the daemon's parent and the subscriber use it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias, TypeVar

import msgspec

from edge_aigc.errors import BrokerError, InputError
from edge_aigc.spec import GeneratorSpec

REQUEST_LIMIT_BYTES = 64 << 10
"""Of a JSON request; pictures that are larger have topics of their own."""
AI_LABEL = "trainedAlgorithmicMedia"
"""IPTC digital source type: made by a trained model."""

_WORDS_LIMIT = 600
"""Characters of an error message: it may quote what a stranger sent."""

RequestId: TypeAlias = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_.:-]{1,64}$")]
ExpiresMs: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=86_400_000)]


class _Message(msgspec.Struct, frozen=True, kw_only=True):
    pass


class Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is asked of a model; all of it may be left out."""

    id: RequestId | None = None
    seed: int | None = None
    count: Annotated[int, msgspec.Meta(ge=1)] = 1
    controls: dict[str, str | int | float] = {}
    """By input name; for a picture its file in base64."""
    format: str | None = None
    expires_ms: ExpiresMs | None = None
    """Counted by the device from when it received the request."""


class ErrorBody(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why a request was not, or not wholly, served."""

    code: str
    message: str
    remedy: str
    retry_after_ms: int | None = None


class ErrorReply(_Message, frozen=True, kw_only=True):
    """The one error that a request can end with."""

    id: str | None
    """None where the request was too broken to tell."""
    error: ErrorBody


class Progress(_Message, frozen=True, kw_only=True):
    """On `response`: a request was taken, or all of it was made."""

    id: str
    state: Literal["accepted", "done"]
    model: str
    count: int


class Meta(_Message, frozen=True, kw_only=True):
    """Beside each output on `out/`; the same facts travel as MQTT 5 user properties."""

    id: str
    index: int
    count: int
    seed: int
    model: str
    model_sha256: str
    sha256: str
    content_type: str
    bytes: int
    gen_ms: float
    invoke_ms: float
    encode_ms: float
    ai: str = AI_LABEL


class Limits(_Message, frozen=True, kw_only=True):
    """What one request may ask for."""

    request_bytes: int
    picture_bytes: int
    count: int
    queue: int


class ModelInfo(_Message, frozen=True, kw_only=True):
    """One model that a device serves."""

    name: str
    version: int
    sha256: str
    profile: str
    runtime: str
    formats: tuple[str, ...]
    spec: GeneratorSpec | None
    """None where it is too long for a retained message."""


class Info(_Message, frozen=True, kw_only=True):
    """Retained: what a device is and serves."""

    device: str
    profile: str
    version: str
    runtime: str
    models: tuple[ModelInfo, ...]
    limits: Limits
    life: str = ""
    """Of the daemon, from its start to its end; of two the later one compares greater."""


class Latency(_Message, frozen=True, kw_only=True):
    """From a request's arrival to its output handed to MQTT, over the last samples."""

    p50: float | None
    p95: float | None
    samples: int


class Health(_Message, frozen=True, kw_only=True):
    """Retained: how a device is. Counters begin at 0 when the daemon starts."""

    state: Literal["ok", "degraded"]
    problems: tuple[str, ...]
    protocol: str
    uptime_s: float
    queue: int
    outbox: int
    served: int
    errors: int
    restarts: int
    dropped: dict[str, int]
    """By reason: messages neither answered nor delivered."""
    latency_ms: Latency
    temperature_c: float | None


def parse_request(payload: bytes) -> Request:
    """Read a JSON request; empty means one sample with a fresh seed.

    Raises:
        InputError: Too large, not JSON, unknown fields, wrong types.
    """
    if len(payload) > REQUEST_LIMIT_BYTES:
        raise InputError(
            f"The request has {len(payload):,} B; at most {REQUEST_LIMIT_BYTES:,} B are read.",
            remedy="Send less; a picture goes to the topic request/MODEL/INPUT.",
        )
    if not payload:
        return Request()
    try:
        return msgspec.json.decode(payload, type=Request)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise _not_a_request(exc) from exc


def request_from(fields: dict[str, str]) -> Request:
    """Make a request from MQTT 5 user properties; `controls` is JSON text there.

    Raises:
        InputError: Unknown names or wrong types.
    """
    try:
        values: dict[str, Any] = dict(fields)
        if "controls" in fields:
            values["controls"] = msgspec.json.decode(fields["controls"].encode())
        return msgspec.convert(values, Request, strict=False)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as exc:
        raise _not_a_request(exc) from exc


def broken_id(payload: bytes) -> str | None:
    """Return the id of a request that has other faults, so that its caller can be told, or None."""
    if len(payload) > REQUEST_LIMIT_BYTES:
        return None
    try:
        return msgspec.json.decode(payload, type=_IdOnly).id
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


class _IdOnly(msgspec.Struct):
    id: RequestId | None = None


_T = TypeVar("_T")


def parse_message(payload: bytes, kind: type[_T], *, topic: str) -> _T:
    """Read what a device sent.

    Raises:
        BrokerError: It is not such a message.
    """
    try:
        return msgspec.json.decode(payload, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise BrokerError(
            f"The message on {topic} is not one of edge-aigc's: {exc}.",
            remedy="Check that the device runs the same release of edge-aigc.",
        ) from exc


def shortened(words: str) -> str:
    """Return a message for a reply, not longer than one should be and on one line."""
    line = " ".join(words.split())
    return line if len(line) <= _WORDS_LIMIT else line[: _WORDS_LIMIT - 1] + "…"


def _not_a_request(exc: Exception) -> InputError:
    reason = "nested too deeply" if isinstance(exc, RecursionError) else str(exc)
    return InputError(
        f"The request cannot be read: {reason}.",
        remedy='Send JSON such as {"id": "a1", "seed": 7, "count": 1, "controls": {}, "format": "png"}, or nothing.',
    )
