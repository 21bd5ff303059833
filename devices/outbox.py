"""Messages on their way to the broker, in memory: bounded, the oldest out first, counted.

Everything that is published goes through here: `put`, `pump` while connected, `delivered` when the
broker answered, `lost` when the connection ended. What was sent and not answered is sent again.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_aigc.mqtt.packets import packet_bytes

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_aigc.mqtt.packets import Outgoing

_ATTEMPTS = 3
"""A message that was under way at this many losses of the connection is taken for their cause."""


@dataclass(slots=True, kw_only=True)
class _Entry:
    message: Outgoing
    attempts: int = 0


class Outbox:
    """What is still to be published.

    Attributes:
        dropped: By reason, how many messages were given up.
    """

    def __init__(self, *, limit: int, limit_bytes: int) -> None:
        """Hold at most ``limit`` messages and ``limit_bytes`` of payload, or one that is larger."""
        self._limit = limit
        self._limit_bytes = limit_bytes
        self._waiting: deque[_Entry] = deque()
        self._waiting_bytes = 0
        self._in_flight: dict[int, _Entry] = {}
        self.dropped: Counter[str] = Counter()

    def __len__(self) -> int:
        """Return how many messages the broker has not acknowledged."""
        return len(self._waiting) + len(self._in_flight)

    def put(self, message: Outgoing) -> None:
        """Add a message; the oldest go when there is no room."""
        self._waiting.append(_Entry(message=message))
        self._waiting_bytes += len(message.payload)
        while len(self._waiting) > 1 and (len(self._waiting) > self._limit or self._waiting_bytes > self._limit_bytes):
            self._popped()
            self.dropped["outbox_full"] += 1

    def put_first(self, messages: list[Outgoing]) -> None:
        """Add messages that go before all others, in their order."""
        self._waiting.extendleft(_Entry(message=message) for message in reversed(messages))
        self._waiting_bytes += sum(len(message.payload) for message in messages)

    def pump(
        self,
        publish: Callable[[Outgoing], int],
        *,
        in_flight_limit: int,
        packet_limit_bytes: int | None,
        now_s: float,
    ) -> None:
        """Publish what may go now.

        Args:
            publish: Hands a message to the network and returns its ticket.
            in_flight_limit: How many may be unacknowledged.
            packet_limit_bytes: Larger ones would make the broker hang up: they are dropped.
            now_s: On the monotonic clock.
        """
        while self._waiting and len(self._in_flight) < in_flight_limit:
            suspect = self._waiting[0].attempts > 0 or any(e.attempts for e in self._in_flight.values())
            if suspect and self._in_flight:
                return  # alone, so that a message the broker hangs up on is found out
            entry = self._popped()
            message = entry.message
            if message.expires_at_s is not None and now_s >= message.expires_at_s:
                self.dropped["expired"] += 1
            elif packet_limit_bytes is not None and packet_bytes(message) > packet_limit_bytes:
                self.dropped["too_large"] += 1
            else:
                ticket = publish(message)
                if message.qos:
                    self._in_flight[ticket] = entry

    def delivered(self, ticket: int, refused: str | None) -> Outgoing | None:
        """Forget a message that the broker answered for; return it if the broker took it."""
        entry = self._in_flight.pop(ticket, None)
        if entry is None:
            return None
        if refused is not None:
            self.dropped["refused_by_broker"] += 1
            return None
        return entry.message

    def lost(self) -> None:
        """Take back what was not acknowledged, but for retained state, which is told anew."""
        for entry in reversed(self._in_flight.values()):
            entry.attempts += 1
            if entry.message.retain:
                continue
            if entry.attempts >= _ATTEMPTS:
                self.dropped["given_up"] += 1
                continue
            self._waiting.appendleft(entry)
            self._waiting_bytes += len(entry.message.payload)
        self._in_flight.clear()

    def _popped(self) -> _Entry:
        entry = self._waiting.popleft()
        self._waiting_bytes -= len(entry.message.payload)
        return entry
