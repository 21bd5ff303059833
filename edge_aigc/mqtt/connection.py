"""A connection to a broker that comes back.

paho does the protocol, one client of it for each time we connect, driven from the caller's thread:
handing every message from thread to thread costs half a millisecond each way. Only the opening of a
connection, which can block for seconds, has a thread of its own for as long as it takes. What was
published but not acknowledged when a connection is lost is the caller's to publish again.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from edge_aigc.errors import BrokerError
from edge_aigc.mqtt import wire
from edge_aigc.mqtt.backoff import Backoff
from edge_aigc.mqtt.events import Connected, Lost, Subscribed, delivered
from edge_aigc.mqtt.packets import Packed, incoming_from
from edge_aigc.mqtt.reasons import FAILURE, UNSUPPORTED_VERSION
from edge_aigc.mqtt.refusals import absence, loss, refusal, silence, unsubscribable
from edge_aigc.mqtt.sockets import Sockets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edge_aigc.mqtt.address import BrokerAddress
    from edge_aigc.mqtt.events import Event, Protocol, Subscription
    from edge_aigc.mqtt.lean import LeanClient
    from edge_aigc.mqtt.packets import Outgoing
    from edge_aigc.mqtt.refusals import Refusal

_PACKETS_A_TURN = 32
"""Read before the caller has its turn; the rest waits in the broker, so that a flood fills no memory here."""
_ANSWER_S = 2.0
"""How long a broker may take to answer CONNECT."""
_MISC_S = 1.0
"""How often paho looks after its keep-alive."""


class Connection:
    """A connection to one broker, MQTT 5 where the broker has it.

    Use it in a `with`; call `tick` when `next_tick_s` has come, and `events` when `fileno` is readable.

    Attributes:
        protocol: What is spoken, or tried next.
        next_tick_s: When there is something to do, on the monotonic clock.
        packet_limit_bytes: The largest packet that the broker takes; None if it names none.
        in_flight_limit: How many messages may be published and not acknowledged.
    """

    def __init__(
        self,
        address: BrokerAddress,
        *,
        client_id: str,
        subscriptions: tuple[Subscription, ...] = (),
        will: Outgoing | None = None,
        session_expiry_s: int = 0,
        keep_alive_s: int = 30,
    ) -> None:
        """Prepare; nothing is sent before the first `tick`.

        Args:
            address: The broker.
            client_id: The same for the same device, so that its session is found again.
            subscriptions: Made again at every connection.
            will: What the broker publishes when we vanish.
            session_expiry_s: How long an MQTT 5 broker keeps messages for us while we are away.
            keep_alive_s: Seconds of silence after which the broker is pinged.

        Raises:
            FileError: The certificates for TLS cannot be read.
        """
        self._address = address
        self._client_id = client_id
        self._subscriptions = subscriptions
        self._will = will
        self._session_expiry_s = session_expiry_s
        self._keep_alive_s = keep_alive_s
        self._tls = wire.tls_context(address)
        self._inbox: deque[tuple[int, str, Any]] = deque()
        self._sockets = Sockets()
        self._client: LeanClient | None = None
        self._silent_since_s: float | None = None
        self._generation = 0
        self._backoff = Backoff()
        self._connected_at_s: float | None = None
        self.next_tick_s = 0.0
        self.protocol: Protocol = "5"
        self.packet_limit_bytes: int | None = None
        self.in_flight_limit = wire.IN_FLIGHT

    def __enter__(self) -> Connection:  # noqa: PYI034 - Self is younger than Python 3.10
        """Return it."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Leave the broker in order."""
        self.close()

    def fileno(self) -> int:
        """Return what becomes readable when there are events."""
        return self._sockets.fileno()

    def wake(self) -> None:
        """Make `fileno` readable; may be called from a signal handler or another thread."""
        self._sockets.wake()

    @property
    def connected(self) -> bool:
        """Whether messages can be published."""
        return self._connected_at_s is not None

    def tick(self, now_s: float) -> None:
        """Do what is due: begin to connect, or ping the broker."""
        if now_s < self.next_tick_s:
            return
        self.next_tick_s = now_s + _MISC_S
        if self._client is None:
            self._begin()
        elif self._sockets.open:
            if self._silent_since_s is not None and now_s - self._silent_since_s > _ANSWER_S:
                self._inbox.append((self._generation, "silent", None))
                self.wake()
            self._client.loop_misc()
            self._sockets.update()
            if self._inbox:
                self.wake()

    def events(self) -> Iterator[Event]:
        """Yield what happened since the last call; never blocks.

        Messages of the last call are acknowledged now at the latest.
        """
        self.acknowledge()
        for _ in range(_PACKETS_A_TURN):
            if not self._sockets.serve() or self._inbox:
                break
        while self._inbox:
            generation, kind, value = self._inbox.popleft()
            if generation == self._generation:
                event = self._event(kind, value)
                if event is not None:
                    yield event

    def publish(self, message: Outgoing) -> int:
        """Hand a message to the network; call only while connected, and within the limits.

        Returns:
            The ticket that `Delivered` names.

        Raises:
            BrokerError: There is no connection.
        """
        if self._client is None:
            raise BrokerError(f"There is no connection to {self._address}.", remedy="Wait until it is back.")
        properties: Any = Packed(message, time.monotonic()) if self.protocol == "5" else None
        sent = self._client.publish(message.topic, message.payload, message.qos, message.retain, properties)
        self._sockets.update()
        return sent.mid

    def acknowledge(self) -> None:
        """Tell the broker that the messages of the last `events` are in good hands."""
        if self._client is not None:
            self._client.acknowledge()
            self._sockets.update()

    def hold_acknowledgements(self) -> None:
        """Have the kernel delay its next TCP acknowledgement, as it does for whoever only listens."""
        self._sockets.hold_acknowledgements()

    def subscribe(self, subscriptions: tuple[Subscription, ...]) -> None:
        """Subscribe to more, for this connection; `Subscribed` follows."""
        if self._client is not None:
            self._client.subscribe(wire.filters(subscriptions, self.protocol))
            self._sockets.update()

    def close(self) -> None:
        """Leave the broker in order, so that it forgets the session and publishes no will."""
        self.acknowledge()
        self._generation += 1
        client, self._client = self._client, None
        if client is not None:
            wire.leave(client, self.protocol)
        self._connected_at_s = None
        self._sockets.close()

    def _begin(self) -> None:
        self._generation += 1
        generation = self._generation
        self._client = wire.new_client(
            self._address,
            client_id=self._client_id,
            protocol=self.protocol,
            will=self._will,
            tls=self._tls,
            put=lambda kind, value: self._inbox.append((generation, kind, value)),
        )
        threading.Thread(target=self._open, args=(self._client, generation), daemon=True).start()

    def _open(self, client: LeanClient, generation: int) -> None:
        """Open a connection, in a thread of its own: looking up a name can take long."""
        expiry_s = self._session_expiry_s if self.protocol == "5" else None
        try:
            wire.connect(client, self._address, keep_alive_s=self._keep_alive_s, session_expiry_s=expiry_s)
        except (OSError, ValueError) as exc:
            self._inbox.append((generation, "failed", exc))
        else:
            self._inbox.append((generation, "opened", client))
            if generation != self._generation:
                client.disconnect()  # nobody wants it any more
        self.wake()

    def _event(self, kind: str, value: Any) -> Event | None:
        handlers: dict[str, Callable[[Any], Event | None]] = {
            "message": incoming_from,
            "delivered": lambda value: delivered(*value),
            "opened": self._opened,
            "silent": self._silent,
            "answered": self._answered,
            "subscribed": self._subscribed,
            "failed": lambda error: self._over(absence(self._address, error)),
            "lost": lambda reason: self._over(loss(self._address, reason)),
        }
        return handlers[kind](value)

    def _opened(self, client: LeanClient) -> None:
        self._silent_since_s = time.monotonic()
        self._sockets.attach(client)

    def _silent(self, _value: None) -> Event | None:
        """Give up on a broker that takes CONNECT and says nothing; amqtt does so to MQTT 5 with a will."""
        if self.protocol == "5":
            self._downgrade()
            return None
        self.protocol = "5"
        return self._over(silence(self._address))

    def _downgrade(self) -> None:
        self._drop()
        self.protocol = "3.1.1"
        self.next_tick_s = 0.0

    def _answered(self, value: tuple[Any, Any]) -> Event | None:
        reason, properties = value
        self._silent_since_s = None
        if reason.value == UNSUPPORTED_VERSION and self.protocol == "5":
            self._downgrade()
            return None
        if reason.value >= FAILURE:
            return self._over(refusal(self._address, reason))
        # paho leaves these two to us: it would send what the broker answers by hanging up.
        self.packet_limit_bytes = getattr(properties, "MaximumPacketSize", None)
        self.in_flight_limit = min(wire.IN_FLIGHT, getattr(properties, "ReceiveMaximum", wire.IN_FLIGHT))
        if not self._subscriptions:
            return self._in()
        self.subscribe(self._subscriptions)
        return None

    def _subscribed(self, codes: list[Any]) -> Event | None:
        spared = set() if self.connected else {n for n, entry in enumerate(self._subscriptions) if entry.optional}
        failures = [str(code) for n, code in enumerate(codes) if code.value >= FAILURE and n not in spared]
        if failures:
            return self._over(unsubscribable(self._address, failures[0]))
        return Subscribed() if self.connected else self._in()

    def _in(self) -> Connected:
        self._connected_at_s = time.monotonic()
        return Connected(protocol=self.protocol)

    def _over(self, why: Refusal) -> Lost:
        now_s = time.monotonic()
        held_s = 0.0
        if self._connected_at_s is not None:
            held_s = now_s - self._connected_at_s
            self.protocol = "5"  # what comes back may be a newer broker
        self._drop()
        self.next_tick_s = now_s + self._backoff.wait_s(held_s=held_s, lasting=why.lasting)
        return Lost(refusal=why)

    def _drop(self) -> None:
        """Let go of paho's client."""
        client, self._client = self._client, None
        self._connected_at_s = None
        self._generation += 1
        self._sockets.detach()
        if client is not None:
            with contextlib.suppress(OSError, ValueError):
                client.disconnect()
