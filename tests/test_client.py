"""The subscriber's side, against a real daemon on real brokers."""

from __future__ import annotations

import gc
import io
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from brokers import amqtt, free_port, mosquitto
from daemons import daemon
from PIL import Image
from probe import probe

import edge_aigc
from edge_aigc import Client
from edge_aigc.errors import BrokerError, InputError, RemoteError, UsageError
from edge_aigc.mqtt.address import BrokerAddress
from edge_aigc.mqtt.answers import Pairing, received_from
from edge_aigc.mqtt.messages import Meta
from edge_aigc.mqtt.packets import Incoming

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from brokers import Mosquitto


def picture(side: int) -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise((side, side), 100).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="module", params=["5", "3.1.1"])
def url(request: pytest.FixtureRequest, tiny: Path, negative: Path) -> Iterator[str]:
    """A broker of each protocol with a daemon on it."""
    if request.param == "5":
        with mosquitto() as running, daemon(running.url, tiny, negative):
            yield running.url
    else:
        with amqtt() as address, daemon(address, tiny, negative):
            yield address


def test_it_finds_the_device_and_gets_what_the_seed_gives(url: str, tiny: Path):
    with Client(url) as client:
        first, second = client.request("tiny", seed=2**64 - 1, count=2, controls={"digit": "3"})
    generator = edge_aigc.open(tiny)
    assert first.payload == generator.generate(seed=2**64 - 1, digit=3).encode("png")
    assert second.payload == generator.generate(seed=0, digit=3).encode("png")
    assert (first.seed, first.index, second.seed, second.index) == (2**64 - 1, 0, 0, 1)
    assert (first.content_type, first.device, first.model) == ("image/png", "testbed", "tiny")
    assert first.round_trip_ms is not None
    assert first.gen_ms is not None
    assert 0 < first.gen_ms < first.round_trip_ms


def test_it_asks_for_formats(url: str):
    with Client(url) as client:
        (received,) = client.request("tiny", device="testbed", format="webp")
    assert received.content_type == "image/webp"
    assert received.payload[8:12] == b"WEBP"


def test_it_sends_pictures(url: str):
    with Client(url) as client:
        (received,) = client.request("negative", inputs={"photo": picture(8)})
    assert received.model == "negative"


def test_a_refusal_is_raised_with_the_devices_own_words(url: str):
    with Client(url) as client, pytest.raises(RemoteError, match="has no class 'x'") as caught:
        list(client.request("tiny", controls={"digit": "x"}))
    assert caught.value.remote_code == "input"
    assert caught.value.remedy


def test_a_client_goes_on_after_an_error(url: str):
    with Client(url) as client:
        with pytest.raises(RemoteError):
            list(client.request("tiny", device="testbed", count=10**9))
        assert len(list(client.request("tiny", device="testbed", count=3))) == 3


def test_devices_lists_who_is_there(url: str):
    with Client(url) as client:
        (device,) = client.devices()
    assert (device.name, device.online, set(device.models)) == ("testbed", True, {"tiny", "negative"})


def test_a_model_that_nobody_serves_is_told_with_what_is_served(url: str):
    with Client(url) as client, pytest.raises(BrokerError, match="testbed serves"):
        client.request("digits")


def test_what_cannot_be_sent_is_refused_before_it_is(url: str):
    with Client(url) as client:
        with pytest.raises(InputError, match="2\\^64"):
            client.request("tiny", device="testbed", seed=2**64)
        with pytest.raises(InputError, match="at most 65,536 B"):
            client.request("tiny", device="testbed", controls={"digit": "x" * 70_000})


@pytest.mark.usefixtures("served")
def test_a_large_picture_travels_raw_on_mqtt_5(broker: Mosquitto):
    with Client(broker.url) as client, pytest.raises(RemoteError, match="400x400"):
        list(client.request("negative", device="testbed", inputs={"photo": picture(400)}))


@pytest.mark.usefixtures("served")
def test_watch_yields_what_everybody_may_see(broker: Mosquitto):
    with Client(broker.url) as client, probe(broker.url) as asker:
        watched = client.watch(model="tiny")
        asker.publish("edge-aigc/testbed/request/tiny", {"seed": 5})
        received = next(watched)
    assert (received.seed, received.device, received.content_type) == (5, "testbed", "image/png")


@pytest.mark.parametrize("name", ["a/b", "+", "#", "", "a\0b"])
def test_names_that_nobody_can_have_are_misuse(broker: Mosquitto, name: str):
    with Client(broker.url) as client:
        for ask in (client.request, lambda model: client.watch(model=model)):
            with pytest.raises(UsageError):
                ask(name)
        with pytest.raises(UsageError):
            client.request("tiny", device=name)


def test_two_devices_with_the_model_are_named(tiny: Path):
    with (
        mosquitto() as broker,
        daemon(broker.url, tiny, device="attic"),
        daemon(broker.url, tiny, device="barn"),
        Client(broker.url) as client,
        pytest.raises(BrokerError, match="attic, barn") as caught,
    ):
        client.request("tiny")
    assert "--device" in caught.value.remedy


def test_a_device_that_is_not_there_is_told_at_once(broker: Mosquitto):
    with Client(broker.url) as client, pytest.raises(BrokerError, match="No device named nobody"):
        list(client.request("tiny", device="nobody"))


def test_time_runs_out(broker: Mosquitto):
    # A subscriber that never answers stands in for a device that hangs.
    with probe(broker.url), Client(broker.url) as client, pytest.raises(BrokerError, match=r"within 0\.3 s"):
        list(client.request("tiny", device="mute", timeout_s=0.3))


def test_an_absent_broker_is_named_with_the_remedy():
    port = free_port()
    with pytest.raises(BrokerError, match=f"127.0.0.1:{port}") as caught, Client(f"mqtt://127.0.0.1:{port}"):
        pass
    assert "mosquitto" in caught.value.remedy


def test_a_refusing_broker_is_told_from_an_absent_one():
    with mosquitto(password=("ada", "secret")) as guarded:
        with pytest.raises(BrokerError, match="refuses"), Client(guarded.url):
            pass
        with Client(guarded.url.replace("//", "//ada:secret@")) as client:
            assert client.devices() == []


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_tls_is_spoken_and_certificates_are_checked(tmp_path: Path, tiny: Path):
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    subprocess.run([*command, *names, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    tmp_path.chmod(0o755)
    key.chmod(0o644)
    with mosquitto("user root", f"certfile {certificate}", f"keyfile {key}") as broker:
        url = broker.url.replace("mqtt:", "mqtts:")
        with daemon(url, tiny, "--ca", certificate), Client(BrokerAddress.parse(url, ca_file=certificate)) as client:
            assert len(list(client.request("tiny", count=20))) == 20
        with pytest.raises(BrokerError, match="TLS"), Client(url):
            pass
    gc.collect()  # paho leaves the socket of a failed handshake to the collector, which warns


def test_a_broker_that_goes_away_ends_the_wait():
    with mosquitto() as broker, probe(broker.url), Client(broker.url) as client:
        answers = client.request("tiny", device="mute")
        broker.stop()
        with pytest.raises(BrokerError, match="lost"):
            next(answers)


def test_a_broken_address_is_misuse():
    with pytest.raises(UsageError):
        Client("tcp://127.0.0.1")


META = Meta(
    id="a",
    index=0,
    count=1,
    seed=1,
    model="tiny",
    model_sha256="0" * 64,
    sha256="ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",  # of abc
    content_type="image/png",
    bytes=3,
    gen_ms=1.0,
    invoke_ms=0.5,
    encode_ms=1.0,
)
ABC = Incoming(topic="edge-aigc/d/out/tiny/image", payload=b"abc", retain=False, redelivered=False, received_at_s=0.0)


def test_bytes_that_were_changed_on_their_way_are_refused():
    assert received_from(ABC, META, "d").payload == b"abc"
    with pytest.raises(BrokerError, match="does not have the hash"):
        received_from(replace(ABC, payload=b"abd"), META, "d")


def test_bytes_are_matched_with_the_facts_that_came_before():
    pairing = Pairing()
    pairing.expect(META)
    assert pairing.match(replace(ABC, payload=b"abd"), "d") is None
    received = pairing.match(ABC, "d")
    assert received is not None
    assert received.seed == 1
    assert pairing.match(ABC, "d") is None
