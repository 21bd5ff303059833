"""A message on `request/…` to a job, or to the error that its sender gets.

The only place where strangers' bytes are read in the daemon; what leaves it has been checked.
"""

from __future__ import annotations

import binascii
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from edge_aigc.choices import choices, shown
from edge_aigc.controls import check_controls, check_seed, missing_pictures, pick_seed
from edge_aigc.devices.jobs import Job, ReplyTo, SeenIds
from edge_aigc.errors import InputError
from edge_aigc.media.formats import format_named
from edge_aigc.mqtt.messages import ErrorBody, Request, broken_id, parse_request, request_from, shortened
from edge_aigc.mqtt.topics import response_topic_problem

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from edge_aigc.devices.settings import LimitSettings
    from edge_aigc.mqtt.packets import Incoming
    from edge_aigc.mqtt.topics import DeviceTopics
    from edge_aigc.spec import GeneratorSpec

_USER_PROPERTIES = frozenset(Request.__struct_fields__)
_RAW_TOPIC_LEVELS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """What a sender is told, and where."""

    id: str | None
    reply: ReplyTo
    error: ErrorBody


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How busy the device is."""

    jobs: int
    picture_bytes: int
    retry_after_ms: int
    stopping: bool = False


class RefusedError(InputError):
    """A request that is refused for a reason with a code of its own."""

    def __init__(self, message: str, *, remedy: str, code: str, retry_after_ms: int | None = None) -> None:
        """Keep the code that the reply carries."""
        super().__init__(message, remedy=remedy)
        self.reply_code = code
        self.retry_after_ms = retry_after_ms


class Intake:
    """Reads requests for the models of one device."""

    def __init__(self, topics: DeviceTopics, limits: LimitSettings, *, default_format: str | None = None) -> None:
        """Begin with no model; `specs` is filled as bundles prove themselves."""
        self.specs: dict[str, GeneratorSpec] = {}
        self.unable: dict[str, str] = {}
        """Models that cannot be served now, and why."""
        self._topics = topics
        self._limits = limits
        self._default_format = default_format
        self._seen = SeenIds(limit=limits.seen_ids, keep_s=limits.seen_s)
        # Unique across restarts without a clock, which small boards lack: contract 4.
        self._boot = secrets.token_hex(4)
        self._sequence = 0

    def read(self, message: Incoming, load: Callable[[], Load]) -> Job | Rejection | None:
        """Return the job that a message asks for, what to tell its sender, or None if it is a repetition.

        Args:
            message: Not retained.
            load: How busy the device is, asked for once the request is otherwise good.
        """
        reply = ReplyTo(correlation=message.correlation)
        request_id: str | None = None
        try:
            reply = self._reply_to(message)
            levels = self._topics.request_levels(message.topic)
            spec = self._spec(levels)
            request_id = _any_id(message, levels)
            request, pictures = self._parsed(message, spec, levels)
            job = self._job(message, spec, request, pictures, reply)
            self._admit(job, load())
            if not self._seen.add(job.id, message.received_at_s):
                return self._repeated(job, redelivered=message.redelivered)
        except InputError as exc:
            return Rejection(id=request_id, reply=reply, error=error_body(exc))
        return job

    def forget(self, job: Job) -> None:
        """Let a failed request be sent again."""
        self._seen.forget(job.id)

    def unasked(self, model: str, now_s: float) -> Job:
        """Return a job of the schedule's.

        Raises:
            InputError: The model needs a picture, or has no such format.
        """
        spec = self.specs[model]
        missing = missing_pictures(spec, set())
        if missing is not None:
            raise missing
        return self._job_of(spec, Request(), {}, ReplyTo(), received_at_s=now_s, unasked=True)

    def _reply_to(self, message: Incoming) -> ReplyTo:
        if message.response_topic is None:
            return ReplyTo(correlation=message.correlation)
        problem = response_topic_problem(message.response_topic, self._limits.response_prefixes)
        if problem is not None:
            raise RefusedError(
                f"The response topic {message.response_topic[:200]!r} {problem}.",
                remedy="Use one of your own under edge-aigc/reply/.",
                code="response_topic",
            )
        return ReplyTo(topic=message.response_topic, correlation=message.correlation)

    def _spec(self, levels: list[str]) -> GeneratorSpec:
        model = levels[0]
        if model in self.specs and len(levels) <= _RAW_TOPIC_LEVELS:
            return self.specs[model]
        if len(levels) > _RAW_TOPIC_LEVELS:
            remedy = "Ask on request/MODEL, or send a picture to request/MODEL/INPUT."
        else:
            remedy = choices(model, self.specs, lead="This device serves")
        raise RefusedError(
            f"There is no model {'/'.join(levels)[:200]!r} here.",
            remedy=remedy,
            code="unknown_model",
        )

    def _parsed(self, message: Incoming, spec: GeneratorSpec, levels: list[str]) -> tuple[Request, dict[str, bytes]]:
        if len(levels) == _RAW_TOPIC_LEVELS:
            return _raw_fields(message), {levels[1]: self._picture(message, spec, levels[1])}
        request = parse_request(message.payload)
        return _without_pictures(request, spec)

    def _picture(self, message: Incoming, spec: GeneratorSpec, name: str) -> bytes:
        names = tuple(tensor.name for tensor in spec.pictures)
        if name not in names:
            raise InputError(
                f"{spec.name} takes no picture {name[:80]!r}.",
                remedy=f"It takes {shown(names)}." if names else f"Send JSON to {self._topics.request(spec.name)}.",
            )
        if len(message.payload) > self._limits.picture_bytes:
            raise RefusedError(
                f"The picture has {len(message.payload):,} B; at most {self._limits.picture_bytes:,} B are taken.",
                remedy="Send a smaller one.",
                code="too_large",
            )
        return message.payload

    def _job(
        self, message: Incoming, spec: GeneratorSpec, request: Request, pictures: dict[str, bytes], reply: ReplyTo
    ) -> Job:
        if request.count > self._limits.count:
            raise InputError(
                f"The request asks for {request.count:,} samples; one may ask for at most {self._limits.count}.",
                remedy="Send several requests.",
            )
        check_controls(spec, request.controls)
        missing = missing_pictures(spec, set(pictures))
        if missing is not None:
            raise missing
        waits_s = [request.expires_ms / 1e3] if request.expires_ms is not None else []
        if message.expiry_s is not None:
            waits_s.append(float(message.expiry_s))
        expires_at_s = message.received_at_s + min(waits_s) if waits_s else None
        job = self._job_of(spec, request, pictures, reply, received_at_s=message.received_at_s)
        job.expires_at_s = expires_at_s
        return job

    def _job_of(
        self,
        spec: GeneratorSpec,
        request: Request,
        pictures: Mapping[str, bytes],
        reply: ReplyTo,
        *,
        received_at_s: float,
        unasked: bool = False,
    ) -> Job:
        self._sequence += 1
        return Job(
            id=request.id or f"{self._boot}-{self._sequence}",
            model=spec.name,
            seed=pick_seed() if request.seed is None else check_seed(request.seed),
            count=request.count,
            controls=request.controls,
            pictures=pictures,
            format=format_named(spec.primary.media, request.format or self._default_format),
            reply=reply,
            received_at_s=received_at_s,
            unasked=unasked,
        )

    def _admit(self, job: Job, load: Load) -> None:
        if load.stopping:
            raise RefusedError(
                "The device is stopping.", remedy="Try again when it is online.", code="stopping", retry_after_ms=5000
            )
        if job.model in self.unable:
            raise RefusedError(
                f"{job.model} cannot be served now: {self.unable[job.model]}",
                remedy="Look into the daemon's log; it keeps trying.",
                code="worker",
                retry_after_ms=5000,
            )
        full = load.picture_bytes + job.picture_bytes > self._limits.queue_bytes and load.jobs
        if load.jobs >= self._limits.queue or full:
            raise RefusedError(
                f"The device is busy: {load.jobs} requests wait.",
                remedy="Try again after the stated time.",
                code="busy",
                retry_after_ms=load.retry_after_ms,
            )

    def _repeated(self, job: Job, *, redelivered: bool) -> Rejection | None:
        if redelivered:
            return None  # the broker's repetition, not the caller's: it was taken the first time
        error = ErrorBody(
            code="duplicate",
            message=f"A request with the id {job.id!r} was taken in the last {self._limits.seen_s / 60:g} minutes.",
            remedy="Give every request an id of its own.",
        )
        return Rejection(id=job.id, reply=job.reply, error=error)


def error_body(error: InputError) -> ErrorBody:
    """Return an error as it is told over MQTT: not longer than an error should be."""
    return ErrorBody(
        code=getattr(error, "reply_code", error.code),
        message=shortened(error.message),
        remedy=shortened(error.remedy),
        retry_after_ms=getattr(error, "retry_after_ms", None),
    )


def _any_id(message: Incoming, levels: list[str]) -> str | None:
    """Return the id of a request that may have other faults."""
    if len(levels) < _RAW_TOPIC_LEVELS:
        return broken_id(message.payload)
    return broken_id(msgspec.json.encode(message.facts))


def _raw_fields(message: Incoming) -> Request:
    return request_from({name: text for name, text in message.user if name in _USER_PROPERTIES})


def _without_pictures(request: Request, spec: GeneratorSpec) -> tuple[Request, dict[str, bytes]]:
    """Take the pictures out of the controls, where they travel in base64."""
    pictures: dict[str, bytes] = {}
    controls = dict(request.controls)
    for tensor in spec.pictures:
        if tensor.name in controls:
            pictures[tensor.name] = _from_base64(tensor.name, controls.pop(tensor.name))
    return msgspec.structs.replace(request, controls=controls), pictures


def _from_base64(name: str, text: str | float) -> bytes:
    try:
        return binascii.a2b_base64(text if isinstance(text, str) else "!", strict_mode=True)
    except ValueError as exc:
        raise InputError(
            f"The picture {name!r} is not base64: {exc}.", remedy="Encode the file's bytes in base64, on one line."
        ) from exc
