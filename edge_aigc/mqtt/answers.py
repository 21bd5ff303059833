"""What a device made, as it arrives: told apart, matched with its facts, verified.

MQTT 5 carries the facts beside the bytes; on 3.1.1 they come before, on `out/MODEL/meta`.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from edge_aigc.errors import BrokerError, RemoteError
from edge_aigc.mqtt.messages import ErrorBody, ErrorReply, Meta, parse_message

if TYPE_CHECKING:
    from edge_aigc.mqtt.messages import Request
    from edge_aigc.mqtt.packets import Incoming
    from edge_aigc.mqtt.topics import DeviceTopics

_PENDING_LIMIT = 1000
"""Facts that are kept for bytes that have not come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One thing that a device made, its hash verified."""

    payload: bytes
    device: str
    model: str
    id: str | None
    seed: int | None
    index: int
    sha256: str
    content_type: str
    gen_ms: float | None
    invoke_ms: float | None
    encode_ms: float | None
    received_at_s: float
    """On the monotonic clock."""
    round_trip_ms: float | None = None
    """Since the request was sent; None where nobody asked."""


def remote_error(body: ErrorBody, device: str) -> RemoteError:
    """Return a device's error as one of ours."""
    return RemoteError(
        f"{device} refused: {body.message}",
        remedy=body.remedy,
        remote_code=body.code,
        retry_after_ms=body.retry_after_ms,
    )


def from_properties(message: Incoming, device: str) -> Received:
    """Return an output whose facts are its MQTT 5 user properties.

    Raises:
        RemoteError: It is the device's error.
        BrokerError: It is neither, or was damaged on its way.
    """
    facts = message.facts
    if "error" in facts:
        raise remote_error(parse_message(message.payload, ErrorReply, topic=message.topic).error, device)
    fields = {**facts, "bytes": len(message.payload), "content_type": message.content_type or ""}
    try:
        meta = msgspec.convert(fields, Meta, strict=False)
    except msgspec.ValidationError as exc:
        raise BrokerError(
            f"The message on {message.topic} is not an output of edge-aigc: {exc}.",
            remedy="Check what else publishes there.",
        ) from exc
    return received_from(message, meta, device)


def received_from(message: Incoming, meta: Meta, device: str) -> Received:
    """Return an output with its facts.

    Raises:
        BrokerError: The bytes are not those that the facts speak of.
    """
    sha256 = hashlib.sha256(message.payload).hexdigest()
    if sha256 != meta.sha256:
        raise BrokerError(
            f"What arrived for {meta.id} ({len(message.payload):,} B) does not have the hash that {device} states.",
            remedy="It was damaged or replaced on its way: ask again, and check who may write to the topic.",
        )
    return Received(
        payload=message.payload,
        device=device,
        model=meta.model,
        id=meta.id,
        seed=meta.seed,
        index=meta.index,
        sha256=sha256,
        content_type=meta.content_type,
        gen_ms=meta.gen_ms,
        invoke_ms=meta.invoke_ms,
        encode_ms=meta.encode_ms,
        received_at_s=message.received_at_s,
    )


class Pairing:
    """Matches bytes on `out/` with the facts that came before them."""

    def __init__(self) -> None:
        """Begin with none."""
        self._expected: dict[str, list[Meta]] = defaultdict(list)

    def expect(self, meta: Meta) -> None:
        """Keep the facts of bytes that are to come."""
        self._expected[meta.sha256].append(meta)
        if len(self._expected) > _PENDING_LIMIT:
            self._expected.pop(next(iter(self._expected)))

    def seen(self, message: Incoming, levels: list[str]) -> Received | None:
        """Return what a message on `out/` brings, from whichever device; None for facts.

        Bytes whose facts cannot be had are returned without them.
        """
        device, model, media = levels[1], levels[3], levels[4]
        if media == "meta":
            with contextlib.suppress(BrokerError):
                self.expect(parse_message(message.payload, Meta, topic=message.topic))
            return None
        if "sha256" in message.facts:
            # On MQTT 5 the facts travel with the bytes; those that came before are forgotten.
            self._expected.pop(message.facts["sha256"], None)
            with contextlib.suppress(BrokerError):
                return from_properties(message, device)
        return self.match(message, device) or _bare(message, device, model)

    def match(self, message: Incoming, device: str) -> Received | None:
        """Return an output if its facts have come."""
        sha256 = hashlib.sha256(message.payload).hexdigest()
        waiting = self._expected.get(sha256)
        if not waiting:
            return None
        meta = waiting.pop(0)
        if not waiting:
            del self._expected[sha256]
        return received_from(message, meta, device)


class Answers:
    """Tells what belongs to one request from everything else."""

    def __init__(self, request: Request, topics: DeviceTopics, reply_topic: str) -> None:
        """Wait for a request's answers on its reply topic (MQTT 5), or on `out/` and `response`."""
        self._id = request.id
        self._topics = topics
        self._reply_topic = reply_topic
        self._pairing = Pairing()

    def take(self, message: Incoming, device: str) -> Received | None:
        """Return an output of this request, or None for what is not one.

        Raises:
            RemoteError: The device refused it.
            BrokerError: What came is damaged.
        """
        if message.topic == self._reply_topic:
            return from_properties(message, device)
        if message.topic == self._topics.response:
            self._heed(message, device)
        elif message.topic.startswith(f"{self._topics.base}/out/"):
            if not message.topic.endswith("/meta"):
                return self._pairing.match(message, device)
            meta = parse_message(message.payload, Meta, topic=message.topic)
            if meta.id == self._id:
                self._pairing.expect(meta)
        return None

    def _heed(self, message: Incoming, device: str) -> None:
        reply = parse_message(message.payload, _Response, topic=message.topic)
        if reply.id == self._id and reply.error is not None:
            raise remote_error(reply.error, device)


class _Response(msgspec.Struct):
    """Progress or an error: both come on `response`."""

    id: str | None
    error: ErrorBody | None = None


def _bare(message: Incoming, device: str, model: str) -> Received:
    return Received(
        payload=message.payload,
        device=device,
        model=model,
        id=None,
        seed=None,
        index=0,
        sha256=hashlib.sha256(message.payload).hexdigest(),
        content_type=message.content_type or "application/octet-stream",
        gen_ms=None,
        invoke_ms=None,
        encode_ms=None,
        received_at_s=message.received_at_s,
    )
