"""Addresses, topics, packets, the outbox: what needs no broker."""

from __future__ import annotations

import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt._packet import decode_publish
from paho.mqtt.enums import MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edge_aigc.devices.outbox import Outbox
from edge_aigc.errors import UsageError
from edge_aigc.mqtt.address import BrokerAddress
from edge_aigc.mqtt.backoff import Backoff
from edge_aigc.mqtt.lean import UnexpectedError, read_publish
from edge_aigc.mqtt.packets import Outgoing, Packed, packet_bytes
from edge_aigc.mqtt.topics import check_device, device_from, response_topic_problem


def test_an_address_says_everything():
    address = BrokerAddress.parse("mqtts://ada:s%40cret@[::1]:9000", ca_file=Path("ca.pem"), environment={})
    assert (address.host, address.port, address.user, address.password) == ("::1", 9000, "ada", "s@cret")
    assert str(address) == "[::1]:9000"


def test_ports_and_passwords_have_defaults():
    environment = {"EDGE_AIGC_MQTT_PASSWORD": "hidden"}
    assert BrokerAddress.parse("mqtts://pi.local", environment=environment).port == 8883
    address = BrokerAddress.parse("mqtt://ada@pi.local", environment=environment)
    assert (address.port, address.password) == (1883, "hidden")


def test_a_password_is_never_shown():
    address = BrokerAddress.parse("mqtt://ada:hunter2@pi.local", environment={})
    assert "hunter2" not in repr(address) + str(address)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "pi.local",
        "http://pi.local",
        "mqtt://",
        "mqtt://:1883",
        "mqtt://pi.local:0",
        "mqtt://pi.local:99999",
        "mqtt://pi.local:x",
        "mqtt://pi.local/topic",
        "mqtt://pi.local?x=1",
        "mqtt://" + "x" * 64 + ".local",
        "mqtt://a..b",
        "mqtt://[::1",
    ],
)
def test_what_is_no_address_is_misuse(url: str):
    with pytest.raises(UsageError) as caught:
        BrokerAddress.parse(url, environment={})
    assert "mqtt://" in caught.value.remedy


def test_certificates_without_tls_are_misuse():
    with pytest.raises(UsageError, match="CA file"):
        BrokerAddress.parse("mqtt://pi.local", ca_file=Path("ca.pem"), environment={})


@given(st.text())
def test_any_host_name_gives_a_device_name(name: str):
    assert check_device(device_from(name)) == device_from(name)


@pytest.mark.parametrize("name", ["", "a/b", "+", "#", ".hidden", "-x", "reply", "x" * 64, "ü"])
def test_a_device_name_is_one_safe_level(name: str):
    with pytest.raises(UsageError):
        check_device(name)


@given(st.text(alphabet=string.printable + "\0ü"))
def test_no_answer_leaves_the_allowed_prefix(topic: str):
    if response_topic_problem(topic, ("edge-aigc/",)) is None:
        assert topic.startswith("edge-aigc/")
        assert not set(topic) & set("+#\0")


@given(
    st.sampled_from(["request", "set", "status", "info", "health", "out", "state", "response"]),
    st.text(alphabet=string.ascii_letters, max_size=5),
    st.text(alphabet=string.ascii_letters + "/", max_size=9),
)
def test_no_answer_goes_where_devices_act(what: str, device: str, rest: str):
    assert response_topic_problem(f"edge-aigc/{device}/{what}/{rest}", ("edge-aigc/",)) is not None
    assert response_topic_problem(f"edge-aigc/{device}/{what}", ("edge-aigc/",)) is not None


MESSAGE = Outgoing(
    topic="a",
    payload=b"payload",
    content_type="image/png",
    is_text=True,
    response_topic="b",
    correlation=b"\x00\x01",
    expires_at_s=100.0,
    user=(("id", "x" * 200), ("ü", "☃")),
)


def test_paho_reads_the_properties_that_we_pack():
    found = Properties(PacketTypes.PUBLISH)
    packed = Packed(MESSAGE, 40.0).pack()
    _, length = found.unpack(packed)
    assert length == len(packed)
    assert found.ContentType == "image/png"
    assert found.PayloadFormatIndicator == 1
    assert found.ResponseTopic == "b"
    assert found.CorrelationData == b"\x00\x01"
    assert found.MessageExpiryInterval == 60
    assert found.UserProperty == [("id", "x" * 200), ("ü", "☃")]


@given(
    flags=st.sampled_from([0x30, 0x31, 0x32, 0x33, 0x3A, 0x34]),
    packet=st.binary(max_size=60)
    | st.builds(
        lambda topic, properties, rest: len(topic).to_bytes(2, "big") + topic + b"\0\7" + properties + rest,
        st.binary(max_size=5),
        st.sampled_from(
            [
                b"\0",
                Packed(MESSAGE, 40.0).pack(),
                b"\2\x23\1",
                b"\x80",
                b"\3\1\1\1",
                b"\4\1\1\1\1",
                b"\2\1\5",
                b"\5\3\0\2\0a",
            ]
        ),
        st.binary(max_size=9),
    ),
)
def test_our_reader_reads_as_pahos_or_leaves_it_to_paho(flags: int, packet: bytes):
    try:
        message = read_publish(flags, packet)
    except (UnexpectedError, UnicodeDecodeError):
        return
    found = decode_publish(flags, packet, MQTTProtocolVersion.MQTTv5)
    assert (message.mid, message._topic, message.payload) == (found.mid, found.topic, bytes(found.payload))
    assert (message.qos, message.dup, message.retain) == (found.qos, found.dup, found.retain)
    for name in (
        "ContentType",
        "PayloadFormatIndicator",
        "ResponseTopic",
        "CorrelationData",
        "MessageExpiryInterval",
        "UserProperty",
    ):
        assert getattr(message.properties, name, None) == getattr(found.properties, name, None)


def test_a_message_without_properties_has_an_empty_list_of_them():
    assert Packed(Outgoing(topic="a", payload=b""), 0.0).pack() == b"\x00"


def test_waits_double_and_start_over_after_a_good_connection():
    backoff = Backoff()
    waits = [backoff.wait_s(held_s=0.0, lasting=False) for _ in range(12)]
    assert 0.25 <= waits[0] <= 0.375
    assert 2.0 <= waits[3] <= 3.0
    assert 15.0 <= waits[-1] <= 22.5
    assert backoff.wait_s(held_s=60.0, lasting=False) <= 0.375
    assert Backoff().wait_s(held_s=60.0, lasting=True) >= 1.0


def message(number: int, **changes: object) -> Outgoing:
    return Outgoing(topic=str(number), payload=bytes(10), **changes)  # type: ignore[arg-type]


class Wire:
    """Stands in for a connection: tickets count up."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    def publish(self, outgoing: Outgoing) -> int:
        self.sent.append(outgoing.topic)
        return len(self.sent)


def pump(outbox: Outbox, wire: Wire, *, in_flight: int = 16, packet: int | None = None, now_s: float = 0.0) -> None:
    outbox.pump(wire.publish, in_flight_limit=in_flight, packet_limit_bytes=packet, now_s=now_s)


def test_the_oldest_go_first_when_there_is_no_room():
    outbox, wire = Outbox(limit=3, limit_bytes=1000), Wire()
    for number in range(5):
        outbox.put(message(number))
    pump(outbox, wire)
    assert wire.sent == ["2", "3", "4"]
    assert outbox.dropped == {"outbox_full": 2}


def test_bytes_count_too_but_one_large_message_is_kept():
    outbox = Outbox(limit=100, limit_bytes=25)
    for number in range(3):
        outbox.put(message(number))
    assert len(outbox) == 2
    outbox.put(Outgoing(topic="large", payload=bytes(1000)))
    assert len(outbox) == 1


def test_no_more_are_in_flight_than_the_broker_takes():
    outbox, wire = Outbox(limit=100, limit_bytes=1000), Wire()
    for number in range(5):
        outbox.put(message(number))
    pump(outbox, wire, in_flight=2)
    assert wire.sent == ["0", "1"]
    assert outbox.delivered(1, None) is not None
    pump(outbox, wire, in_flight=2)
    assert wire.sent == ["0", "1", "2"]


def test_what_was_not_acknowledged_is_sent_again_in_order_and_one_by_one():
    outbox, wire = Outbox(limit=100, limit_bytes=1000), Wire()
    for number in range(3):
        outbox.put(message(number))
    pump(outbox, wire)
    outbox.lost()
    pump(outbox, wire)
    assert wire.sent[3:] == ["0"]
    outbox.delivered(4, None)
    pump(outbox, wire)
    assert wire.sent[3:] == ["0", "1"]


def test_a_message_that_the_broker_hangs_up_on_is_given_up_and_the_rest_arrives():
    outbox, wire = Outbox(limit=100, limit_bytes=1000), Wire()
    outbox.put(message(0))
    outbox.put(message(1))
    for _ in range(3):
        pump(outbox, wire)
        outbox.lost()
    pump(outbox, wire)
    assert wire.sent[-1] == "1"
    assert outbox.dropped == {"given_up": 1}


def test_expired_and_oversized_messages_are_dropped_and_counted():
    outbox, wire = Outbox(limit=100, limit_bytes=10_000), Wire()
    outbox.put(message(0, expires_at_s=5.0))
    outbox.put(Outgoing(topic="large", payload=bytes(500)))
    outbox.put(message(1))
    pump(outbox, wire, packet=200, now_s=6.0)
    assert wire.sent == ["1"]
    assert outbox.dropped == {"expired": 1, "too_large": 1}


def test_what_the_broker_refuses_is_counted():
    outbox, wire = Outbox(limit=100, limit_bytes=1000), Wire()
    outbox.put(message(0))
    pump(outbox, wire)
    assert outbox.delivered(1, "Not authorized") is None
    assert outbox.delivered(99, None) is None
    assert outbox.dropped == {"refused_by_broker": 1}
    assert len(outbox) == 0


def test_state_goes_first_and_is_not_kept_through_a_loss():
    outbox, wire = Outbox(limit=100, limit_bytes=1000), Wire()
    outbox.put(message(0))
    outbox.put_first([message(1, retain=True), message(2, retain=True)])
    pump(outbox, wire)
    assert wire.sent == ["1", "2", "0"]
    outbox.lost()
    assert len(outbox) == 1


def test_the_size_of_a_packet_counts_everything():
    assert packet_bytes(MESSAGE) >= len(MESSAGE.payload) + len(Packed(MESSAGE, 40.0).pack()) + len(MESSAGE.topic)
