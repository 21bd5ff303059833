"""Those who ask: their requests to the servings, what is made to the broker, and what the device says of itself."""

from __future__ import annotations

import contextlib
import logging
import time
from typing import TYPE_CHECKING

from edge_aigc.devices import replies, state
from edge_aigc.devices.health import Tally
from edge_aigc.devices.intake import Intake, Load, Rejection
from edge_aigc.devices.serving import Serving
from edge_aigc.errors import InputError, UsageError
from edge_aigc.media.formats import format_named

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from edge_aigc.devices.frames import Failed, Made
    from edge_aigc.devices.jobs import Job
    from edge_aigc.devices.link import Link
    from edge_aigc.devices.schedule import Schedule
    from edge_aigc.devices.settings import DaemonSettings
    from edge_aigc.manifest import Manifest
    from edge_aigc.mqtt.messages import ErrorBody, Health, Info
    from edge_aigc.mqtt.packets import Incoming
    from edge_aigc.mqtt.topics import DeviceTopics
    from edge_aigc.spec import GeneratorSpec

_log = logging.getLogger("edge_aigc")


class Reception:
    """Requests in, outputs and errors out; the `Listener` of every serving.

    Attributes:
        servings: One for each bundle.
        by_model: Those that have proven themselves, by the name of their model.
        stopping: Whether new requests are refused, for the daemon is about to end.
    """

    def __init__(
        self, settings: DaemonSettings, topics: DeviceTopics, link: Link, feed: Callable[[Serving], None]
    ) -> None:
        """Prepare; the caller starts the children.

        Args:
            settings: Of the daemon.
            topics: Of its device.
            link: To the broker.
            feed: Told of a serving that was given a job: its child can begin.
        """
        self.servings = [Serving(path, settings.child, self) for path in settings.bundles]
        self.by_model: dict[str, Serving] = {}
        self.stopping = False
        self._settings = settings
        self._topics = topics
        self._link = link
        self._feed = feed
        self._intake = Intake(topics, settings.limits, default_format=settings.format)
        self._tally = Tally()
        self._unasked: Job | None = None
        self._started_s = time.monotonic()

    @property
    def specs(self) -> Iterable[GeneratorSpec]:
        """Of all models that have proven themselves."""
        return self._intake.specs.values()

    @property
    def health_due_s(self) -> float | None:
        """When health is to be published next, or None while there is no connection."""
        return self._link.health_due_s(changed=self._tally.changed)

    def info(self) -> Info:
        """Return what the device is and serves."""
        return state.info(self._settings, list(self.by_model.values()), self._link.life)

    def health(self) -> Health:
        """Return how the device is."""
        return state.health(self.servings, self._intake.unable, self._tally, self._link, started_s=self._started_s)

    def publish_health(self) -> None:
        """Publish how the device is."""
        self._tally.changed = False
        self._link.publish_state((self._topics.health, self.health()))

    def child_gone(self, serving: Serving, how: str) -> None:
        """Tell whoever waits for samples of a child that ended."""
        self._tally.changed = True
        serving.child_gone(how, self._load().retry_after_ms)

    def receive(self, message: Incoming) -> None:
        """Take a request, or answer why not."""
        if message.retain:
            # Acting on it would repeat it at every start: a device could even be made to reboot for ever.
            self._tally.drop("retained")
            return
        job = self._intake.read(message, self._load)
        if job is None:
            self._tally.drop("redelivered")
        elif isinstance(job, Rejection):
            self._refuse(job)
        else:
            self.by_model[job.model].offer(job, time.monotonic())
            self._feed(self.by_model[job.model])
            self._link.post(replies.progress(self._topics, job, "accepted"))

    def proven(self, serving: Serving) -> None:
        """Serve a bundle that has just proven itself: for the first time, or again."""
        manifest = serving.manifest
        assert manifest is not None
        if self.by_model.get(manifest.name, serving) is not serving:
            raise UsageError(
                f"Two bundles hold a model named {manifest.name!r}.", remedy="Leave one out, or rename it in its spec."
            )
        known = self._intake.specs.get(manifest.name)
        if known is None:
            format_named(manifest.spec.primary.media, self._settings.format)
        self.by_model[manifest.name] = serving
        self._intake.specs[manifest.name] = manifest.spec
        self._intake.unable.pop(manifest.name, None)
        self._tally.changed = True
        _log.info("%s proved itself on %s", manifest.name, serving.runtime)
        if known is not None and self._link.connection.connected:
            self._link.publish_state((self._topics.info, self.info()))

    def unable(self, serving: Serving, problem: Failed) -> None:
        """Go on without a bundle that cannot be opened again; at the start the daemon refuses it."""
        if serving.name in self.by_model:
            self._intake.unable[serving.name] = problem.message
            self._tally.changed = True
            _log.error("%s cannot be served: %s %s", serving.name, problem.message, problem.remedy)

    def output(self, job: Job, index: int, made: Made, manifest: Manifest) -> None:
        """Publish a sample, or why it cannot be."""
        latency_ms = (time.monotonic() - job.received_at_s) * 1e3
        messages = replies.output(self._topics, job, index, made, manifest)
        limit = self._link.too_large(messages[-1])
        if limit is not None:
            job.over = True
            self.failed(job, replies.too_large(made, limit))
            return
        self._tally.made(latency_ms=latency_ms, making_ms=made.gen_ms + made.encode_ms)
        if job.over and not job.unasked:
            messages.append(replies.progress(self._topics, job, "done"))
        self._link.post(*messages)

    def failed(self, job: Job, error: ErrorBody) -> None:
        """Tell the caller of a job that it is over."""
        self._intake.forget(job)
        self._refuse(Rejection(id=job.id, reply=job.reply, error=error))

    def beat(self, schedule: Schedule, now_s: float) -> None:
        """Have made what nobody asked for."""
        pending = self._unasked is not None and not self._unasked.over
        model = schedule.beat(now_s, skip=pending or not self._link.connection.connected)
        if model is not None and model not in self._intake.unable:
            # A bundle that was replaced since may need a picture or lack the format by now.
            with contextlib.suppress(InputError):
                self._unasked = self._intake.unasked(model, now_s)
                self.by_model[model].offer(self._unasked, now_s)
                self._feed(self.by_model[model])

    def _load(self) -> Load:
        jobs = [job for serving in self.servings for job in serving.jobs]
        return Load(
            jobs=len(jobs),
            picture_bytes=sum(job.picture_bytes for job in jobs),
            retry_after_ms=self._tally.retry_after_ms(sum(serving.samples for serving in self.servings)),
            stopping=self.stopping,
        )

    def _refuse(self, rejection: Rejection) -> None:
        self._tally.failed()
        self._link.post(replies.error(self._topics, rejection))
