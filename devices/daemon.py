"""The daemon: requests in, samples out, one `with` and one loop.

It holds MQTT and never a model: it imports neither NumPy nor Pillow nor an interpreter, so no model
can take it down. `Serving` keeps the children at work; `Reception` deals with who asks; `Link` publishes.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import selectors
import signal
import time
from typing import TYPE_CHECKING

from edge_aigc.devices.link import Link
from edge_aigc.devices.reception import Reception
from edge_aigc.devices.schedule import Schedule
from edge_aigc.devices.serving import Serving
from edge_aigc.mqtt.topics import DeviceTopics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edge_aigc.devices.settings import DaemonSettings

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
        self._reception = Reception(settings, self._topics, self._link, self._feed)
        self._proven = False
        self._schedule: Schedule | None = None
        self._stop_at_s: float | None = None
        self._selector = selectors.DefaultSelector()
        self._cleanup = contextlib.ExitStack()

    def __enter__(self) -> Daemon:  # noqa: PYI034 - Self is younger than Python 3.10
        """Open what `run` needs."""
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._selector)
            stack.enter_context(self._link.connection)
            for serving in self._reception.servings:
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
            BrokerError: Another daemon of this name was there before.
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
        self._reception.stopping = True
        self._link.connection.wake()

    def _prove(self) -> None:
        for serving in self._reception.servings:
            self._start_child(serving)
        while self._stop_at_s is None and len(self._reception.by_model) < len(self._reception.servings):
            self._turn()
        if self._stop_at_s is not None:
            return
        self._proven = True
        gc.freeze()  # what is there now stays: a full collection over it takes 5 ms, in the middle of a request
        if self._settings.every_s is not None:
            self._schedule = Schedule(self._reception.specs, self._settings.every_s, time.monotonic())
        self._tell({"event": "ready", "device": self._settings.device, "models": sorted(self._reception.by_model)})

    def _finish(self, stop_at_s: float) -> None:
        for serving in self._reception.servings:
            serving.cancel(keep_under_way=True)
        while any(serving.jobs for serving in self._reception.servings) and time.monotonic() < stop_at_s:
            self._turn()
        for serving in self._reception.servings:
            serving.cancel(keep_under_way=False)
        self._reception.publish_health()
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
                for message in self._link.heard(self._reception.info, self._reception.health):
                    self._reception.receive(message)
        # Taken, and under way to a child: only now the broker may forget them.
        self._link.connection.acknowledge()
        self._keep_time(time.monotonic())
        self._link.pump()

    def _times(self) -> Iterator[float]:
        """Yield every time at which something is to be done."""
        moments = [
            self._link.connection.next_tick_s if self._proven else None,
            self._reception.health_due_s,
            self._stop_at_s,
            self._schedule.next_s if self._schedule is not None else None,
        ]
        for serving in self._reception.servings:
            moments += [serving.child.deadline_s, serving.next_expiry_s]
            moments += [serving.child.restart_at_s] if self._stop_at_s is None else []
        yield from (moment for moment in moments if moment is not None)

    def _keep_time(self, now_s: float) -> None:
        for serving in self._reception.servings:
            serving.expire(now_s)
            if serving.child.kill_if_late(now_s):
                _log.warning("%s takes too long: killed", serving.name)
            restart_s = serving.child.restart_at_s
            if restart_s is not None and now_s >= restart_s and self._stop_at_s is None:
                self._start_child(serving)
        if self._proven:
            self._link.connection.tick(now_s)
        if self._schedule is not None and self._stop_at_s is None and now_s >= self._schedule.next_s:
            self._reception.beat(self._schedule, now_s)
        due_s = self._reception.health_due_s
        if due_s is not None and now_s >= due_s:
            self._reception.publish_health()

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
        if serving.name not in self._reception.by_model and not without:
            if self._stop_at_s is not None:
                return
            raise serving.start_error(how)
        _log.warning("the process that generates %s %s; starting it again%s", serving.name, how, without)
        self._reception.child_gone(serving, how)
