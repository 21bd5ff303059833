"""The daemon: requests in, samples out, one `with` and one loop.

It holds MQTT and never a model: it imports neither NumPy nor Pillow nor an interpreter, so no model
can take it down. `Serving` keeps the children at work; `Link` publishes.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import selectors
import signal
import time
from typing import TYPE_CHECKING

from edge_aigc.devices import replies, state
from edge_aigc.devices.health import Tally
from edge_aigc.devices.intake import Intake, Load, Rejection
from edge_aigc.devices.link import Link
from edge_aigc.devices.schedule import Schedule
from edge_aigc.devices.serving import Serving
from edge_aigc.errors import InputError, UsageError
from edge_aigc.media.formats import format_named
from edge_aigc.mqtt.topics import DeviceTopics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edge_aigc.devices.frames import Failed, Made
    from edge_aigc.devices.jobs import Job
    from edge_aigc.devices.settings import DaemonSettings
    from edge_aigc.manifest import Manifest
    from edge_aigc.mqtt.messages import ErrorBody, Health, Info
    from edge_aigc.mqtt.packets import Incoming

_log = logging.getLogger("edge_aigc")

_DRAIN_S = 1.0
"""How long the last messages are waited for when the daemon stops."""


class Daemon:
    """Bundles served on a broker; use it in a `with`, then `run`."""

    def __init__(
        self, settings: DaemonSettings, *, on_event: Callable[[dict[str, object]], None] = lambda _: None
    ) -> None:
        """Prepare; nothing is started or sent yet.

        Args:
            settings: What to serve, where.
            on_event: Told of `ready`, `online` and `offline` as they happen.
        """
        self._settings = settings
        self._topics = DeviceTopics(settings.device)
        self._tell = on_event
        self._link = Link(settings, self._topics, on_event)
        self._intake = Intake(self._topics, settings.limits, default_format=settings.format)
        self._tally = Tally()
        self._servings = [Serving(path, settings.child, self) for path in settings.bundles]
        self._by_model: dict[str, Serving] = {}
        self._proven = False
        self._schedule: Schedule | None = None
        self._unasked: Job | None = None
        self._stop_at_s: float | None = None
        self._started_s = time.monotonic()
        self._selector = selectors.DefaultSelector()
        self._cleanup = contextlib.ExitStack()

    def __enter__(self) -> Daemon:  # noqa: PYI034 - Self is younger than Python 3.10
        """Open what `run` needs."""
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._selector)
            stack.enter_context(self._link.connection)
            for serving in self._servings:
                stack.callback(serving.child.stop)
            for number in (signal.SIGTERM, signal.SIGINT):
                stack.callback(signal.signal, number, signal.signal(number, lambda *_: self.stop()))
            self._selector.register(self._link.connection, selectors.EVENT_READ)
            self._cleanup = stack.pop_all()
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Leave the broker, kill the children."""
        self._cleanup.close()

    def run(self) -> None:
        """Prove the bundles, connect, serve until SIGTERM or SIGINT, end in order.

        Raises:
            BundleError: A bundle cannot be read or does not prove itself here.
            RuntimeMissingError: There is no interpreter.
            WorkerError: A child died while it opened its bundle.
            UsageError: Two bundles hold models of the same name, or none can be scheduled.
            InputError: A model's medium does not have the format that is asked for.
        """
        self._prove()
        while self._stop_at_s is None:
            self._turn()
        self._finish(self._stop_at_s)

    def stop(self) -> None:
        """Begin to stop, from a signal handler; the second time without waiting for samples."""
        wait_s = self._settings.stop_s if self._stop_at_s is None else 0.0
        self._stop_at_s = time.monotonic() + wait_s
        self._link.connection.wake()

    def _prove(self) -> None:
        for serving in self._servings:
            self._start_child(serving)
        while self._stop_at_s is None and len(self._by_model) < len(self._servings):
            self._turn()
        if self._stop_at_s is not None:
            return
        self._proven = True
        gc.freeze()  # what is there now stays: a full collection over it takes 5 ms, in the middle of a request
        if self._settings.every_s is not None:
            self._schedule = Schedule(self._intake.specs.values(), self._settings.every_s, time.monotonic())
        self._tell({"event": "ready", "device": self._settings.device, "models": sorted(self._by_model)})

    def _finish(self, stop_at_s: float) -> None:
        for serving in self._servings:
            serving.cancel(keep_under_way=True)
        while any(serving.jobs for serving in self._servings) and time.monotonic() < stop_at_s:
            self._turn()
        for serving in self._servings:
            serving.cancel(keep_under_way=False)
        self._link.publish_state((self._topics.health, self._health()))
        link, deadline_s = self._link, time.monotonic() + _DRAIN_S
        if link.connection.connected:
            link.goodbye()
        while link.connection.connected and len(link.outbox) and time.monotonic() < deadline_s:
            self._turn(deadline_s)

    def _turn(self, until_s: float | None = None) -> None:
        """Wait for something to happen, act upon it, and do what the time demands."""
        now_s = time.monotonic()
        times = [*self._times(), *([until_s] if until_s is not None else [])]
        for key, mask in self._selector.select(max(0.0, min(times) - now_s) if times else None):
            if isinstance(key.data, Serving):
                self._tend(key.data, mask)
            else:
                for message in self._link.heard(self._info, self._health):
                    self._receive(message)
        # Taken, and under way to a child: only now the broker may forget them.
        self._link.connection.acknowledge()
        self._keep_time(time.monotonic())
        self._link.pump()

    def _times(self) -> Iterator[float]:
        """Yield every time at which something is to be done."""
        moments = [
            self._link.connection.next_tick_s if self._proven else None,
            self._link.health_due_s(changed=self._tally.changed),
            self._stop_at_s,
            self._schedule.next_s if self._schedule is not None else None,
        ]
        for serving in self._servings:
            moments += [serving.child.deadline_s, serving.next_expiry_s]
            moments += [serving.child.restart_at_s] if self._stop_at_s is None else []
        yield from (moment for moment in moments if moment is not None)

    def _keep_time(self, now_s: float) -> None:
        for serving in self._servings:
            serving.expire(now_s)
            if serving.child.kill_if_late(now_s):
                _log.warning("%s takes too long: killed", serving.name)
            restart_s = serving.child.restart_at_s
            if restart_s is not None and now_s >= restart_s and self._stop_at_s is None:
                self._start_child(serving)
        if self._proven:
            self._link.connection.tick(now_s)
        if self._schedule is not None and self._stop_at_s is None and now_s >= self._schedule.next_s:
            self._beat(self._schedule, now_s)
        due_s = self._link.health_due_s(changed=self._tally.changed)
        if due_s is not None and now_s >= due_s:
            self._tally.changed = False
            self._link.publish_state((self._topics.health, self._health()))

    def _start_child(self, serving: Serving) -> None:
        serving.child.start(time.monotonic())
        self._selector.register(serving.child, selectors.EVENT_READ, serving)

    def _tend(self, serving: Serving, mask: int) -> None:
        if mask & selectors.EVENT_WRITE:
            serving.child.flush()
        if mask & selectors.EVENT_READ:
            answers, gone = serving.child.receive(time.monotonic())
            for answer in answers:
                serving.take(answer)
            if gone is not None:
                self._bury(serving)
                return
        self._feed(serving)

    def _feed(self, serving: Serving) -> None:
        serving.dispatch(time.monotonic())
        if serving.child.state != "down":
            writing = selectors.EVENT_WRITE if serving.child.wants_write else 0
            if self._selector.get_key(serving.child).events != selectors.EVENT_READ | writing:
                self._selector.modify(serving.child, selectors.EVENT_READ | writing, serving)

    def _bury(self, serving: Serving) -> None:
        self._selector.unregister(serving.child)
        how = serving.child.end(time.monotonic())
        without = f" without {serving.child.spares}" if serving.child.spares else ""
        if serving.name not in self._by_model and not without:
            if self._stop_at_s is not None:
                return
            raise serving.start_error(how)
        _log.warning("the process that generates %s %s; starting it again%s", serving.name, how, without)
        self._tally.changed = True
        serving.child_gone(how, self._load().retry_after_ms)

    def proven(self, serving: Serving) -> None:
        """Serve a bundle that has just proven itself: for the first time, or again."""
        manifest = serving.manifest
        assert manifest is not None
        if self._by_model.get(manifest.name, serving) is not serving:
            raise UsageError(
                f"Two bundles hold a model named {manifest.name!r}.", remedy="Leave one out, or rename it in its spec."
            )
        known = self._intake.specs.get(manifest.name)
        if known is None:
            format_named(manifest.spec.primary.media, self._settings.format)
        self._by_model[manifest.name] = serving
        self._intake.specs[manifest.name] = manifest.spec
        self._intake.unable.pop(manifest.name, None)
        self._tally.changed = True
        _log.info("%s proved itself on %s", manifest.name, serving.runtime)
        if known is not None and self._link.connection.connected:
            self._link.publish_state((self._topics.info, self._info()))

    def unable(self, serving: Serving, problem: Failed) -> None:
        """Go on without a bundle that cannot be opened again; at the start `_bury` refuses it."""
        if serving.name in self._by_model:
            self._intake.unable[serving.name] = problem.message
            self._tally.changed = True
            _log.error("%s cannot be served: %s %s", serving.name, problem.message, problem.remedy)

    def _receive(self, message: Incoming) -> None:
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
            self._by_model[job.model].offer(job, time.monotonic())
            self._feed(self._by_model[job.model])
            self._link.post(replies.progress(self._topics, job, "accepted"))

    def _load(self) -> Load:
        jobs = [job for serving in self._servings for job in serving.jobs]
        return Load(
            jobs=len(jobs),
            picture_bytes=sum(job.picture_bytes for job in jobs),
            retry_after_ms=self._tally.retry_after_ms(sum(serving.samples for serving in self._servings)),
            stopping=self._stop_at_s is not None,
        )

    def _refuse(self, rejection: Rejection) -> None:
        self._tally.failed()
        self._link.post(replies.error(self._topics, rejection))

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

    def _beat(self, schedule: Schedule, now_s: float) -> None:
        pending = self._unasked is not None and not self._unasked.over
        model = schedule.beat(now_s, skip=pending or not self._link.connection.connected)
        if model is not None and model not in self._intake.unable:
            # A bundle that was replaced since may need a picture or lack the format by now.
            with contextlib.suppress(InputError):
                self._unasked = self._intake.unasked(model, now_s)
                self._by_model[model].offer(self._unasked, now_s)
                self._feed(self._by_model[model])

    def _info(self) -> Info:
        return state.info(self._settings, list(self._by_model.values()))

    def _health(self) -> Health:
        return state.health(self._servings, self._intake.unable, self._tally, self._link, started_s=self._started_s)
