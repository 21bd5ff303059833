"""The daemon's side of the broker: everything it publishes, and what it says of itself.

`info` and `health`, then `online` last, at every connection; what could not be published waits in
the outbox.
"""

from __future__ import annotations

import logging
import secrets
import time
from typing import TYPE_CHECKING

from edge_aigc.devices import replies
from edge_aigc.devices.outbox import Outbox
from edge_aigc.errors import BrokerError
from edge_aigc.mqtt.connection import Connection
from edge_aigc.mqtt.events import Connected, Delivered, Lost, Subscription
from edge_aigc.mqtt.messages import Info, parse_message
from edge_aigc.mqtt.packets import Incoming, Outgoing, packet_bytes

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_aigc.devices.settings import DaemonSettings
    from edge_aigc.mqtt.messages import Health
    from edge_aigc.mqtt.refusals import Refusal
    from edge_aigc.mqtt.topics import DeviceTopics

_log = logging.getLogger("edge_aigc")


class Link:
    """A connection with an outbox.

    Attributes:
        connection: To the broker.
        life: Of this daemon; see `Info`.
        outbox: What the broker has not acknowledged.
        health_due_s: When health is published next.
    """

    def __init__(
        self, settings: DaemonSettings, topics: DeviceTopics, tell: Callable[[dict[str, object]], None]
    ) -> None:
        """Prepare; `tick` connects.

        Args:
            settings: Of the daemon.
            topics: Of its device.
            tell: Told of `online` and `offline`.
        """
        self.connection = Connection(
            settings.broker,
            client_id=f"edge-aigc-{settings.device}",
            subscriptions=(
                Subscription(topics=topics.requests),
                Subscription(topics=topics.info, retained=True, optional=True),
            ),
            will=replies.state(topics.status, b"offline"),
            session_expiry_s=settings.session_s,
        )
        self.outbox = Outbox(limit=settings.limits.outbox, limit_bytes=settings.limits.outbox_bytes)
        self._settings = settings
        self._topics = topics
        self._tell = tell
        # Clocks of devices may be wrong, but what was said once stays: of two, both find the same one the later.
        self.life = f"{time.time_ns():020d}-{secrets.token_hex(4)}"
        self._introduced = self._known = False
        self._trouble: str | None = None
        self._health_s = time.monotonic()

    def post(self, *messages: Outgoing) -> None:
        """Publish now or, while there is no connection, later."""
        for message in messages:
            self.outbox.put(message)
        self.pump()

    def too_large(self, message: Outgoing) -> int | None:
        """Return the broker's limit in bytes if a message is over it; as far as it is known."""
        limit = self.connection.packet_limit_bytes
        return limit if limit is not None and packet_bytes(message) > limit else None

    def pump(self) -> None:
        """Publish what may go now."""
        if self.connection.connected:
            self.outbox.pump(
                self.connection.publish,
                in_flight_limit=self.connection.in_flight_limit,
                packet_limit_bytes=self.connection.packet_limit_bytes,
                now_s=time.monotonic(),
            )

    def heard(self, info: Callable[[], Info], health: Callable[[], Health]) -> list[Incoming]:
        """Act upon what the connection tells, and return the messages that came.

        Raises:
            BrokerError: Another daemon that began before us is online under our name.
        """
        incoming: list[Incoming] = []
        for event in self.connection.events():
            if isinstance(event, Incoming) and event.topic == self._topics.info:
                self._met(event.payload)
            elif isinstance(event, Incoming):
                incoming.append(event)
            elif isinstance(event, Connected):
                self._connected(event, info(), health())
            elif isinstance(event, Lost):
                self._lost(event.refusal)
            elif isinstance(event, Delivered):
                self._delivered(event)
        return incoming

    def health_due_s(self, *, changed: bool) -> float | None:
        """Return when health is to be published next, or None while there is no connection."""
        wait_s = self._settings.health_shortest_s if changed else self._settings.health_s
        return self._health_s + wait_s if self.connection.connected else None

    def publish_state(self, *messages: tuple[str, Info | Health]) -> None:
        """Publish retained messages before all else."""
        self._health_s = time.monotonic()
        self.outbox.put_first([replies.state(topic, message) for topic, message in messages])
        self.pump()

    def goodbye(self) -> None:
        """Publish `offline`, as the broker would if we vanished."""
        self.post(replies.state(self._topics.status, b"offline"))

    def _connected(self, event: Connected, info: Info, health: Health) -> None:
        _log.info("connected to %s over MQTT %s", self._settings.broker, event.protocol)
        self._trouble = None
        self._health_s = time.monotonic()
        topics = self._topics
        states = ((topics.info, info), (topics.health, health), (topics.status, b"online"))
        self.outbox.put_first([replies.state(topic, message) for topic, message in states])
        self.pump()

    def _lost(self, refusal: Refusal) -> None:
        self.outbox.lost()
        self._known = self._introduced
        # One line for a change, not for each attempt.
        if refusal.message != self._trouble:
            self._trouble = refusal.message
            _log.warning("%s %s Trying again.", refusal.message, refusal.remedy)
            self._tell({"event": "offline", "message": refusal.message, "remedy": refusal.remedy})

    def _met(self, payload: bytes) -> None:
        """Notice another daemon of our name by what it says of itself.

        Brokers let the later of two clients of one name in and hang up on the other, few of them saying why; both
        would come back for ever. What is retained before the broker had our own word is of a life that may be over.
        """
        try:
            life = parse_message(payload, Info, topic=self._topics.info).life
        except BrokerError:
            return  # of another release, or nobody's
        if not self._known or not life or life == self.life:
            return
        if life > self.life:
            _log.warning("another daemon was started as %s; it ends when it meets us", self._settings.device)
            return
        raise BrokerError(
            f"Another daemon serves as {self._settings.device!r} at {self._settings.broker}; this one came second and "
            "ends.",
            remedy="Serve all bundles from one daemon, `edge-aigc run ONE.aigc TWO.aigc`, or give this one a name of "
            "its own with `--device`.",
        )

    def _delivered(self, event: Delivered) -> None:
        message = self.outbox.delivered(event.ticket, event.refused)
        if event.refused is not None:
            _log.warning("the broker did not take a message: %s", event.refused)
        if message is not None and message.topic == self._topics.info:
            self._introduced = event.refused is None
        if message is not None and message.topic == self._topics.status and message.payload == b"online":
            fields = {"broker": str(self._settings.broker), "protocol": self.connection.protocol}
            self._tell({"event": "online", "device": self._settings.device, **fields})
