"""What the daemon publishes: outputs, errors, progress, and what it says of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from edge_aigc.controls import nth_seed
from edge_aigc.media.formats import FORMATS
from edge_aigc.mqtt.messages import AI_LABEL, ErrorBody, ErrorReply, Meta, ModelInfo, Progress
from edge_aigc.mqtt.packets import Outgoing

if TYPE_CHECKING:
    from typing import Literal

    from edge_aigc.devices.frames import Made
    from edge_aigc.devices.intake import Rejection
    from edge_aigc.devices.jobs import Job
    from edge_aigc.manifest import Manifest
    from edge_aigc.mqtt.topics import DeviceTopics

JSON = "application/json"
_SPEC_LIMIT_BYTES = 32 << 10
"""Of a specification within `info`: a thousand labels fit, a hundred thousand do not."""


def output(topics: DeviceTopics, job: Job, index: int, made: Made, manifest: Manifest) -> list[Outgoing]:
    """Return the messages that one sample makes: to its caller alone, or to everybody."""
    meta = Meta(
        id=job.id,
        index=index,
        count=job.count,
        seed=nth_seed(job.seed, index),
        model=job.model,
        model_sha256=model_sha256(manifest),
        sha256=made.sha256,
        content_type=job.format.content_type,
        bytes=len(made.content),
        gen_ms=round(made.gen_ms, 3),
        invoke_ms=round(made.invoke_ms, 3),
        encode_ms=round(made.encode_ms, 3),
    )
    out = Outgoing(
        topic=job.reply.topic or topics.out(job.model, manifest.spec.primary.media),
        payload=made.content,
        content_type=meta.content_type,
        is_text=meta.content_type.startswith("text/"),
        correlation=job.reply.correlation,
        expires_at_s=job.expires_at_s,
        user=_facts(meta),
    )
    if job.reply.topic is not None:
        return [out]
    # First, so that who has no MQTT 5 knows what the bytes are when they come.
    beside = Outgoing(
        topic=topics.out(job.model, "meta"),
        payload=msgspec.json.encode(meta),
        content_type=JSON,
        is_text=True,
        expires_at_s=job.expires_at_s,
    )
    return [beside, out]


def error(topics: DeviceTopics, rejection: Rejection) -> Outgoing:
    """Return the one error that a request ends with."""
    user = (("error", rejection.error.code), *((("id", rejection.id),) if rejection.id is not None else ()))
    return Outgoing(
        topic=rejection.reply.topic or topics.response,
        payload=msgspec.json.encode(ErrorReply(id=rejection.id, error=rejection.error)),
        content_type=JSON,
        is_text=True,
        correlation=rejection.reply.correlation,
        user=user,
    )


def too_large(made: Made, limit_bytes: int) -> ErrorBody:
    """Return why a sample cannot be published."""
    return ErrorBody(
        code="too_large",
        message=f"The output has {len(made.content):,} B; the broker takes packets of at most {limit_bytes:,} B.",
        remedy="Ask for a smaller format, or raise `max_packet_size` in the broker's configuration.",
    )


def progress(topics: DeviceTopics, job: Job, state: Literal["accepted", "done"]) -> Outgoing:
    """Return the word on `response` that a request was taken, or that all of it was made."""
    message = Progress(id=job.id, state=state, model=job.model, count=job.count)
    # QoS 0 and bare: nothing depends on it, and two acknowledged messages more for each request cost 0.3 ms.
    return Outgoing(topic=topics.response, payload=msgspec.json.encode(message), qos=0)


def state(topic: str, message: msgspec.Struct | bytes) -> Outgoing:
    """Return a retained message: what the device says of itself."""
    if isinstance(message, bytes):
        return Outgoing(topic=topic, payload=message, retain=True)
    return Outgoing(topic=topic, payload=msgspec.json.encode(message), retain=True, content_type=JSON, is_text=True)


def model_info(manifest: Manifest, runtime: str) -> ModelInfo:
    """Return what `info` says of one model."""
    spec = manifest.spec
    return ModelInfo(
        name=manifest.name,
        version=manifest.version,
        sha256=model_sha256(manifest),
        profile=manifest.profile,
        runtime=runtime,
        formats=tuple(entry.name for entry in FORMATS[spec.primary.media]),
        spec=spec if len(msgspec.json.encode(spec)) <= _SPEC_LIMIT_BYTES else None,
    )


def model_sha256(manifest: Manifest) -> str:
    """Return the hash of a bundle's flatbuffer."""
    return manifest.files[manifest.model.file].sha256


def _facts(meta: Meta) -> tuple[tuple[str, str], ...]:
    return (
        ("id", meta.id),
        ("index", str(meta.index)),
        ("count", str(meta.count)),
        ("seed", str(meta.seed)),
        ("model", meta.model),
        ("model_sha256", meta.model_sha256),
        ("sha256", meta.sha256),
        ("gen_ms", f"{meta.gen_ms:.3f}"),
        ("invoke_ms", f"{meta.invoke_ms:.3f}"),
        ("encode_ms", f"{meta.encode_ms:.3f}"),
        ("ai", AI_LABEL),
    )
