"""The subscriber's side: ask a device, wait, see who is there and what comes.

>>> with Client("mqtt://127.0.0.1") as client:  # doctest: +SKIP
...     for received in client.request("digits", seed=7, controls={"digit": "3"}):
...         Path("3.png").write_bytes(received.payload)
"""

from __future__ import annotations

import secrets
import select
import time
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from edge_aigc.controls import check_seed
from edge_aigc.errors import BrokerError, InputError
from edge_aigc.mqtt.address import DEFAULT_BROKER, BrokerAddress
from edge_aigc.mqtt.answers import Answers, Pairing, Received
from edge_aigc.mqtt.asking import request_message
from edge_aigc.mqtt.connection import Connection
from edge_aigc.mqtt.events import Connected, Delivered, Lost, Subscribed, Subscription
from edge_aigc.mqtt.messages import Info, Request, parse_message
from edge_aigc.mqtt.packets import Incoming, Outgoing
from edge_aigc.mqtt.topics import REPLY, ROOT, DeviceTopics, check_device, check_model

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from edge_aigc.mqtt.events import Event

_SETTLE_S = 0.1
"""Retained messages may come a little after the message that we sent behind our subscription."""
_EVERYTHING = DeviceTopics("+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A device that a broker knows of."""

    name: str
    online: bool
    info: Info | None
    """What it says of itself, if it can be read."""

    @property
    def models(self) -> tuple[str, ...]:
        """The names of the models that it serves."""
        return tuple(model.name for model in self.info.models) if self.info else ()


class Client:
    """A connection to a broker for asking devices; use it in a `with`."""

    def __init__(self, broker: str | BrokerAddress = DEFAULT_BROKER, *, connect_s: float = 5.0) -> None:
        """Prepare; the `with` connects.

        Args:
            broker: ``mqtt://[user[:password]@]host[:port]`` or ``mqtts://…``.
            connect_s: How long the broker is waited for.

        Raises:
            UsageError: The address cannot be read.
        """
        self._address = broker if isinstance(broker, BrokerAddress) else BrokerAddress.parse(broker)
        self._connect_s = connect_s
        self._name = f"edge-aigc-client-{secrets.token_hex(6)}"
        self._own = f"{REPLY}/{self._name}"
        own = Subscription(topics=f"{self._own}/#")
        self._connection = Connection(self._address, client_id=self._name, subscriptions=(own,))
        self._pending: deque[Event] = deque()

    def __enter__(self) -> Client:  # noqa: PYI034 - Self is younger than Python 3.10
        """Connect.

        Raises:
            BrokerError: The broker is absent or refuses.
        """
        try:
            self._connect()
        except BaseException:
            self._connection.close()
            raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Leave the broker."""
        self._connection.close()

    def devices(self) -> list[Device]:
        """Return every device that the broker has a retained status of, by name.

        Raises:
            BrokerError: The connection was lost.
        """
        status: dict[str, bytes] = {}
        infos: dict[str, bytes] = {}
        retained = tuple(Subscription(topics=t, retained=True) for t in (_EVERYTHING.status, _EVERYTHING.info))
        self._subscribe(*retained)
        marker = f"{self._own}/marker"
        self._connection.publish(Outgoing(topic=marker, payload=b""))
        until_s = [time.monotonic() + self._connect_s]
        for message in self._messages(lambda: until_s[0]):
            levels = message.topic.split("/")
            if message.topic == marker:
                until_s[0] = time.monotonic() + _SETTLE_S
            elif len(levels) == 3 and levels[2] in {"status", "info"}:  # noqa: PLR2004 - root, device, what
                (status if levels[2] == "status" else infos)[levels[1]] = message.payload
        return [
            Device(name=name, online=word == b"online", info=_info(infos.get(name)))
            for name, word in sorted(status.items())
        ]

    def request(  # noqa: PLR0913 - keyword-only, and what a request consists of
        self,
        model: str,
        *,
        device: str | None = None,
        seed: int | None = None,
        count: int = 1,
        controls: Mapping[str, str | float] | None = None,
        inputs: Mapping[str, bytes] | None = None,
        format: str | None = None,  # noqa: A002 - as the request names it
        timeout_s: float = 30.0,
    ) -> Iterator[Received]:
        """Ask for samples; the request is sent at once, the samples come as they are made.

        Args:
            model: Its name.
            device: Which device; None takes the one that is online and serves the model.
            seed: Unsigned 64-bit; None lets the device pick.
            count: How many samples: seed, seed + 1, and so on.
            controls: By input name: a label, an index or a number.
            inputs: The bytes of a picture's file, for every picture input.
            format: ``png``, ``webp``, ``jpeg``, ``npy``; None takes the device's default.
            timeout_s: How long each sample is waited for.

        Raises:
            BrokerError: Nobody or more than one serves the model, the connection was lost, the time is over,
                or what came is damaged.
            RemoteError: The device refused.
            InputError: The request cannot be sent: a seed out of range, pictures that are too large.
            UsageError: A name that no device or model can have.
        """
        request = Request(
            id=secrets.token_hex(8),
            seed=None if seed is None else check_seed(seed),
            count=count,
            controls=dict(controls or {}),
            format=format,
            expires_ms=max(1, min(86_400_000, int(timeout_s * 1e3 * max(1, count)))),
        )
        check_model(model)
        topics = DeviceTopics(self._serving(model) if device is None else check_device(device))
        message = request_message(request, topics, model, inputs or {}, protocol=self._connection.protocol)
        if self._connection.protocol == "5":
            message = replace(message, response_topic=f"{self._own}/{request.id}", correlation=str(request.id).encode())
        else:
            out, response = topics.out(model, "#"), topics.response
            self._subscribe(Subscription(topics=out), Subscription(topics=response))
        limit = self._connection.packet_limit_bytes
        if limit is not None and len(message.payload) > limit:
            raise InputError(
                f"The request has {len(message.payload):,} B; the broker takes packets of at most {limit:,} B.",
                remedy="Give a smaller picture, or raise `max_packet_size` in the broker's configuration.",
            )
        sent_at_s = time.monotonic()
        ticket = self._connection.publish(message)
        return self._answers(request, topics, ticket, sent_at_s, timeout_s)

    def watch(self, *, device: str | None = None, model: str | None = None) -> Iterator[Received]:
        """Yield what devices publish unasked or for everybody from now on, for ever.

        Raises:
            BrokerError: The connection was lost.
            UsageError: A name that no device or model can have.
        """
        topics = DeviceTopics("+" if device is None else check_device(device))
        self._subscribe(Subscription(topics=topics.out("+" if model is None else check_model(model), "+")))
        return self._watched()

    def _connect(self) -> None:
        deadline_s = time.monotonic() + self._connect_s
        while time.monotonic() < deadline_s:
            event = self._next_event(deadline_s)
            if isinstance(event, Connected):
                return
        raise BrokerError(
            f"The broker {self._address} did not answer within {self._connect_s:g} s.",
            remedy="Check the address and that an MQTT broker listens there (`sudo apt install mosquitto`).",
        )

    def _next_event(self, deadline_s: float | None) -> Event | None:
        """Return the next event, or None when the time is over.

        Raises:
            BrokerError: There is no connection (any more).
        """
        while not self._pending:
            left_s = None if deadline_s is None else deadline_s - time.monotonic()
            if left_s is not None and left_s <= 0:
                return None
            tick_s = max(0.0, self._connection.next_tick_s - time.monotonic())
            select.select([self._connection], [], [], tick_s if left_s is None else min(left_s, tick_s))
            self._pending.extend(self._connection.events())
            self._connection.acknowledge()
            self._connection.tick(time.monotonic())
        event = self._pending.popleft()
        if isinstance(event, Lost):
            raise BrokerError(event.refusal.message, remedy=event.refusal.remedy)
        return event

    def _messages(self, deadline_s: Callable[[], float | None]) -> Iterator[Incoming]:
        while (event := self._next_event(deadline_s())) is not None:
            if isinstance(event, Incoming):
                yield event

    def _watched(self) -> Iterator[Received]:
        pairing = Pairing()
        for message in self._messages(lambda: None):
            levels = message.topic.split("/")
            if len(levels) == 5 and levels[0] == ROOT and levels[2] == "out":  # noqa: PLR2004 - see DeviceTopics.out
                received = pairing.seen(message, levels)
                if received is not None:
                    yield received

    def _subscribe(self, *subscriptions: Subscription) -> None:
        self._connection.subscribe(subscriptions)
        deadline_s = time.monotonic() + self._connect_s
        kept: list[Event] = []
        while (event := self._next_event(deadline_s)) is not None:
            if isinstance(event, Subscribed):
                self._pending.extendleft(reversed(kept))
                return
            kept.append(event)
        raise BrokerError(f"The broker {self._address} does not answer.", remedy="Look into the broker's log.")

    def _serving(self, model: str) -> str:
        """Return the one online device that serves a model."""
        devices = self.devices()
        able = [device.name for device in devices if device.online and model in device.models]
        if len(able) == 1:
            return able[0]
        if able:
            raise BrokerError(
                f"{len(able)} devices serve {model!r}: {', '.join(able[:10])}.", remedy="Choose one with --device."
            )
        online = "; ".join(f"{d.name} serves {', '.join(d.models) or 'nothing known'}" for d in devices if d.online)
        raise BrokerError(
            f"No device at {self._address} that is online serves {model!r}"
            + (f": {online[:500]}." if online else "; none is online."),
            remedy="Start one with `edge-aigc run BUNDLE`, or check the model's name.",
        )

    def _answers(
        self, request: Request, topics: DeviceTopics, ticket: int, sent_at_s: float, timeout_s: float
    ) -> Iterator[Received]:
        left, last_s = request.count, sent_at_s
        device = topics.base.rpartition("/")[2]
        answers = Answers(request, topics, f"{self._own}/{request.id}")
        while left:
            event = self._next_event(last_s + timeout_s)
            if event is None:
                raise BrokerError(
                    f"{device} did not answer within {timeout_s:g} s ({request.count - left} of {request.count} came).",
                    remedy="Check that it is online and serves the model; allow more time with --timeout.",
                )
            if isinstance(event, Delivered) and event.ticket == ticket:
                _check_heard(event, device)
            elif isinstance(event, Incoming) and (received := answers.take(event, device)) is not None:
                left, last_s = left - 1, event.received_at_s
                yield replace(received, round_trip_ms=(event.received_at_s - sent_at_s) * 1e3)


def _check_heard(event: Delivered, device: str) -> None:
    if event.refused is not None:
        raise BrokerError(
            f"The broker does not take requests for {device} from us: {event.refused.lower()}.",
            remedy="Allow this user to write to edge-aigc/+/request/# in the broker's access rules.",
        )
    if event.unheard:
        raise BrokerError(
            f"No device named {device} listens.", remedy="Check its name, and that `edge-aigc run` runs there."
        )


def _info(payload: bytes | None) -> Info | None:
    """Return what a device says of itself; None if it is of another release and cannot be read."""
    try:
        return parse_message(payload, Info, topic="info") if payload else None
    except BrokerError:
        return None
