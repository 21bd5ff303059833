"""Look at a broker: whether it lets us in, what it speaks, and whether it holds small messages back."""

from __future__ import annotations

import secrets
import select
import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_aigc.mqtt.connection import Connection
from edge_aigc.mqtt.events import Connected, Lost, Subscription
from edge_aigc.mqtt.packets import Incoming, Outgoing
from edge_aigc.mqtt.refusals import silence
from edge_aigc.mqtt.topics import REPLY

if TYPE_CHECKING:
    from edge_aigc.mqtt.address import BrokerAddress
    from edge_aigc.mqtt.events import Protocol
    from edge_aigc.mqtt.refusals import Refusal

_PAIRS = 9
"""At 44 ms each, where Nagle's algorithm is on: 0.4 s."""
_ARRIVAL_S = 2.0
"""A message that is not here by then does not come."""
_POLL_S = 0.05
_HELD_MS = 20.0
"""Half of the shortest time for which Linux delays an acknowledgement (TCP_DELACK_MIN, 40 ms)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkup:
    """What was seen."""

    refusal: Refusal | None = None
    """Why we are not in; everything below is then None."""
    protocol: Protocol | None = None
    first_ms: float | None = None
    """From publishing to arrival, of the first of two small messages sent at once; None: it did not arrive."""
    second_ms: float | None = None
    """Of the second."""
    packet_limit_bytes: int | None = None
    """What an MQTT 5 broker says that it takes at most; None if it names none."""

    @property
    def holds_back(self) -> bool:
        """Whether the second waits until the first is acknowledged: Nagle's algorithm (RFC 896)."""
        return self.first_ms is not None and self.second_ms is not None and self.second_ms - self.first_ms > _HELD_MS


def look_at(address: BrokerAddress, *, limit_s: float) -> Checkup:
    """Connect twice, and send pairs of small messages from one connection to the other.

    The receiving end delays its TCP acknowledgements, as a listener does that has nothing to say: a broker
    with Nagle's algorithm holds each second message back until then. At QoS 1 the same happens to whoever
    waits for an answer, but only now and then, for our own acknowledgements carry those of TCP.

    Args:
        address: The broker's.
        limit_s: For all of it.

    Raises:
        FileError: The certificates for TLS cannot be read.
    """
    deadline_s = time.monotonic() + limit_s
    name = f"edge-aigc-doctor-{secrets.token_hex(6)}"
    topic = f"{REPLY}/{name}"
    listener = Connection(address, client_id=name, subscriptions=(Subscription(topics=topic),))
    with listener, Connection(address, client_id=f"{name}-2") as speaker:
        for connection in (listener, speaker):
            connection.protocol = listener.protocol  # found out once
            refusal = _connect(connection, address, deadline_s)
            if refusal is not None:
                return Checkup(refusal=refusal)
        pairs: list[tuple[float, float]] = []
        while len(pairs) < _PAIRS and time.monotonic() < deadline_s:
            pair = _pair(listener, speaker, topic, deadline_s)
            if pair is None:
                break
            pairs.append(pair)
        return Checkup(
            protocol=listener.protocol,
            first_ms=statistics.median(first for first, _ in pairs) if pairs else None,
            second_ms=statistics.median(second for _, second in pairs) if pairs else None,
            packet_limit_bytes=listener.packet_limit_bytes,
        )


def _connect(connection: Connection, address: BrokerAddress, deadline_s: float) -> Refusal | None:
    while time.monotonic() < deadline_s:
        connection.tick(time.monotonic())
        select.select([connection], [], [], _POLL_S)
        for event in connection.events():
            if isinstance(event, Lost):
                return event.refusal
            if isinstance(event, Connected):
                return None
    return silence(address)


def _pair(listener: Connection, speaker: Connection, topic: str, deadline_s: float) -> tuple[float, float] | None:
    """Return the milliseconds until the first and until the second of two messages arrived."""
    listener.hold_acknowledgements()
    started_s = time.monotonic()
    for word in (b"1", b"2"):
        speaker.publish(Outgoing(topic=topic, payload=word, qos=0))
    arrived: list[float] = []
    deadline_s = min(deadline_s, started_s + _ARRIVAL_S)
    while time.monotonic() < deadline_s:
        for connection in (listener, speaker):
            connection.tick(time.monotonic())
        select.select([listener, speaker], [], [], _POLL_S)
        for event in (*speaker.events(), *listener.events()):
            if isinstance(event, Lost):
                return None
            if isinstance(event, Incoming):
                arrived.append((event.received_at_s - started_s) * 1e3)
        if len(arrived) == 2:  # noqa: PLR2004 - a pair
            return arrived[0], arrived[1]
    return None
