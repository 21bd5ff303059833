"""A plain MQTT client that records everything: what strangers would see and send."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from typing import TYPE_CHECKING, Any

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Probe:
    """Everything that a broker delivers to a subscriber of `#`."""

    def __init__(self, url: str, *, patience: float = 1.0) -> None:
        """Connect over MQTT 5 and subscribe; waits are so many times as long as they say."""
        self._patience = patience
        self.messages: list[MQTTMessage] = []
        host, port = url.removeprefix("mqtt://").split(":")
        self._client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        self._client.on_message = lambda _c, _d, message: self.messages.append(message)
        subscribed = threading.Event()
        self._client.on_subscribe = lambda *_: subscribed.set()
        self._client.connect(host, int(port))
        self._client.loop_start()
        self._client.subscribe("#", options=SubscribeOptions(qos=1, retainAsPublished=True))
        assert subscribed.wait(5)

    def publish(self, topic: str, payload: bytes | dict[str, Any] = b"", *, retain: bool = False, **props: Any) -> None:
        """Publish at QoS 1 and wait until the broker has it; properties by paho's names."""
        properties: Any = Properties(PacketTypes.PUBLISH)
        for name, value in props.items():
            setattr(properties, name, value)
        content = json.dumps(payload).encode() if isinstance(payload, dict) else payload
        self._client.publish(topic, content, 1, retain, properties).wait_for_publish(5)

    def wait(self, wanted: Callable[[MQTTMessage], bool], *, seconds: float = 10.0, times: int = 1) -> MQTTMessage:
        """Return a message, the n-th that is wanted; it may have come already."""
        deadline_s = time.monotonic() + seconds * self._patience
        while time.monotonic() < deadline_s:
            found = [message for message in list(self.messages) if wanted(message)]
            if len(found) >= times:
                return found[times - 1]
            time.sleep(0.005)
        raise AssertionError(f"not among {[(m.topic, bytes(m.payload)[:120]) for m in self.messages]}")

    def error(self, *, code: str, topic: str | None = None, seconds: float = 10.0) -> dict[str, Any]:
        """Return an error reply, wherever it went unless told."""

        def wanted(message: MQTTMessage) -> bool:
            if topic is not None and message.topic != topic:
                return False
            reply = as_json(message)
            return isinstance(reply, dict) and isinstance(reply.get("error"), dict) and reply["error"]["code"] == code

        reply: dict[str, Any] = as_json(self.wait(wanted, seconds=seconds))
        return reply

    def on(self, suffix: str) -> list[MQTTMessage]:
        """Return what came on topics that end so."""
        return [message for message in list(self.messages) if message.topic.endswith(suffix)]

    def close(self) -> None:
        """Disconnect."""
        self._client.disconnect()
        self._client.loop_stop()


def as_json(message: MQTTMessage) -> Any:
    """Return a payload as JSON, or None."""
    try:
        return json.loads(bytes(message.payload))
    except (ValueError, RecursionError):
        return None


@contextlib.contextmanager
def probe(url: str, *, patience: float = 1.0) -> Iterator[Probe]:
    """Listen for the length of a `with`."""
    listening = Probe(url, patience=patience)
    try:
        yield listening
    finally:
        listening.close()
