"""A daemon that serves, asked by strangers over a real broker."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image
from probe import as_json
from strangers import ask, subscriber

import edge_aigc
from edge_aigc.mqtt.messages import AI_LABEL

if TYPE_CHECKING:
    from brokers import Mosquitto
    from probe import Probe

    from edge_aigc.devices.emulate.device import DaemonProcess

BASE = "edge-aigc/testbed"
REQUEST = f"{BASE}/request/tiny"

pytestmark = [pytest.mark.usefixtures("served"), pytest.mark.device]


def test_an_output_is_the_sample_that_the_seed_gives(listener: Probe, tiny: Path):
    listener.publish(REQUEST, {"id": "a1", "seed": 7, "controls": {"digit": "3"}})
    image = listener.wait(lambda m: m.topic == f"{BASE}/out/tiny/image")
    assert bytes(image.payload) == edge_aigc.open(tiny).generate(seed=7, digit="3").encode("png")


def test_an_output_says_what_it_is(listener: Probe):
    listener.publish(REQUEST, {"id": "a2", "seed": 2**64 - 1, "count": 2, "expires_ms": 60_000})
    second = listener.wait(
        lambda m: m.topic.endswith("/image") and dict(m.properties.UserProperty)["id"] == "a2", times=2
    )
    facts = dict(second.properties.UserProperty)
    assert second.properties.ContentType == "image/png"
    assert 50 <= second.properties.MessageExpiryInterval <= 60
    assert not hasattr(second.properties, "PayloadFormatIndicator")
    assert (facts["seed"], facts["index"], facts["count"]) == ("0", "1", "2")
    assert facts["ai"] == AI_LABEL
    assert {"model", "model_sha256", "sha256", "gen_ms"} <= set(facts)
    meta = as_json(listener.wait(lambda m: m.topic.endswith("/meta") and as_json(m)["id"] == "a2", times=2))
    assert meta["seed"] == 0
    assert meta["sha256"] == facts["sha256"]
    assert meta["content_type"] == "image/png"


def test_accepted_and_done_are_told_on_response(listener: Probe):
    listener.publish(REQUEST, {"id": "a3", "count": 2})
    listener.wait(lambda m: (as_json(m) or {}) == {"id": "a3", "state": "done", "model": "tiny", "count": 2})
    states = [as_json(m)["state"] for m in listener.on("/response") if as_json(m).get("id") == "a3"]
    assert states == ["accepted", "done"]


def test_an_empty_request_gives_one_sample_with_a_fresh_seed(listener: Probe):
    for _ in range(2):
        listener.publish(REQUEST)
    listener.wait(lambda m: m.topic.endswith("/meta"), times=2)
    seeds = [as_json(m)["seed"] for m in listener.on("/meta")]
    assert len(set(seeds)) == 2
    assert all(0 <= seed < 2**53 for seed in seeds)


def test_to_a_response_topic_go_the_outputs_and_nothing_else(listener: Probe):
    listener.publish(
        REQUEST, {"id": "a4", "seed": 1, "count": 2}, ResponseTopic="edge-aigc/reply/me", CorrelationData=b"\x00\xff"
    )
    listener.wait(lambda m: m.topic.endswith("/response") and (as_json(m) or {}).get("state") == "done")
    answers = listener.on("edge-aigc/reply/me")
    assert len(answers) == 2
    assert all(m.properties.CorrelationData == b"\x00\xff" for m in answers)
    assert all(bytes(m.payload).startswith(b"\x89PNG") for m in answers)
    assert not listener.on("/image")
    assert not listener.on("/meta")


def test_an_error_goes_to_the_response_topic_alone(listener: Probe):
    listener.publish(
        REQUEST, {"id": "a5", "controls": {"digit": 10}}, ResponseTopic="edge-aigc/reply/me", CorrelationData=b"5"
    )
    reply = listener.error(code="input", topic="edge-aigc/reply/me")
    assert reply["id"] == "a5"
    assert "numbered 0 to 9" in reply["error"]["message"]
    assert not listener.on("/response")
    message = listener.on("edge-aigc/reply/me")[0]
    assert message.properties.CorrelationData == b"5"
    assert message.properties.PayloadFormatIndicator == 1


@pytest.mark.parametrize(
    "topic",
    [
        "homeassistant/light/attic/config",
        "$SYS/broker/uptime",
        "edge-aigc/other/request/tiny",
        "edge-aigc/other/set/schedule",
        "edge-aigc/testbed/status",
        "edge-aigc/testbed/out/tiny/image",
        "edge-aigc/" + "x" * 600,
    ],
)
def test_a_response_topic_that_is_not_allowed_gets_nothing(listener: Probe, topic: str):
    listener.publish(REQUEST, {"id": "a6"}, ResponseTopic=topic)
    reply = listener.error(code="response_topic", topic=f"{BASE}/response")
    assert "edge-aigc/reply/" in reply["error"]["remedy"]
    assert not [m for m in listener.messages if m.topic == topic and not m.retain]


@pytest.mark.parametrize(
    ("payload", "code", "words"),
    [
        (b"not json", "input", "cannot be read"),
        (b'{"id":"b","sead":1}', "input", "sead"),
        (b'{"id":"b","seed":"1"}', "input", "seed"),
        (b'{"id":"b","seed":1.5}', "input", "seed"),
        (b'{"id":"b","seed":-1}', "input", "2^64"),
        (b'{"id":"b","seed":18446744073709551616}', "input", ""),
        (b'{"id":"b","count":1000000000}', "input", "1,000,000,000 samples"),
        (b'{"id":"b","count":0}', "input", "count"),
        (b'{"id":"b","controls":{"digit":"eleven"}}', "input", "eleven"),
        (b'{"id":"b","controls":{"digit":-1}}', "input", "-1"),
        (b'{"id":"b","controls":{"digit":true}}', "input", "bool"),
        (b'{"id":"b","controls":{"latent":1}}', "input", "latent"),
        (b'{"id":"b","format":"gif"}', "input", "gif"),
        (b'{"id":"b","expires_ms":0}', "input", "expires_ms"),
        (b'{"id":"b c"}', "input", "id"),
        (b"[" * 50_000, "input", "cannot be read"),
        (b'{"controls":' * 5000, "input", ""),
        (b"\xff\xfe", "input", "cannot be read"),
        (b"x" * 1_000_000, "input", "1,000,000 B"),
    ],
)
def test_a_bad_request_is_answered_and_nothing_else_happens(listener: Probe, payload: bytes, code: str, words: str):
    listener.publish(REQUEST, payload)
    reply = listener.error(code=code)
    assert words in reply["error"]["message"]
    assert reply["error"]["remedy"]
    assert len(json.dumps(reply)) < 2000
    assert not listener.on("/image")
    assert not [m for m in listener.on("/response") if (as_json(m) or {}).get("state")]


@pytest.mark.parametrize(
    ("topic", "remedy"),
    [("tini", "'tiny'"), ("", "serves"), ("tiny/photo/x", "request/MODEL/INPUT"), ("tiny/latent", "JSON")],
)
def test_a_request_for_nothing_that_is_here_says_what_is(listener: Probe, topic: str, remedy: str):
    listener.publish(f"{BASE}/request/{topic}".rstrip("/"), b"x")
    reply = listener.wait(lambda m: "error" in (as_json(m) or {}))
    assert remedy in as_json(reply)["error"]["remedy"]


def test_a_repeated_id_is_not_run_again(listener: Probe):
    for _ in range(2):
        listener.publish(REQUEST, {"id": "c1", "seed": 1})
    listener.error(code="duplicate")
    listener.wait(lambda m: (as_json(m) or {}).get("state") == "done")
    time.sleep(0.1)
    assert len(listener.on("/image")) == 1


def test_a_request_that_failed_may_be_sent_again(listener: Probe):
    listener.publish(REQUEST, {"id": "c2", "controls": {"digit": "x"}})
    listener.error(code="input")
    listener.publish(REQUEST, {"id": "c2"})
    listener.wait(lambda m: (as_json(m) or {}) == {"id": "c2", "state": "done", "model": "tiny", "count": 1})


def test_a_retained_request_is_never_acted_upon(listener: Probe):
    listener.publish(REQUEST, {"id": "c3"}, retain=True)
    listener.publish(REQUEST, b"", retain=True)  # clears it; itself a retained publish
    listener.publish(REQUEST, {"id": "c4"})
    listener.wait(lambda m: (as_json(m) or {}).get("id") == "c4" and as_json(m).get("state") == "done")
    assert not [m for m in listener.on("/response") if as_json(m).get("id") == "c3"]
    listener.wait(lambda m: m.topic == f"{BASE}/health" and as_json(m)["dropped"].get("retained", 0) >= 2)


def test_info_and_health_are_retained_and_complete(listener: Probe):
    info = as_json(listener.wait(lambda m: m.topic == f"{BASE}/info" and m.retain))
    assert {model["name"] for model in info["models"]} == {"tiny", "negative"}
    assert info["models"][0]["formats"] == ["png", "webp", "jpeg"]
    assert info["limits"] == {"request_bytes": 65536, "picture_bytes": 8 << 20, "count": 64, "queue": 64}
    assert info["device"] == "testbed"
    health = as_json(listener.wait(lambda m: m.topic == f"{BASE}/health" and m.retain))
    assert health["protocol"] == "5"
    assert health["state"] == "ok"
    status = listener.wait(lambda m: m.topic == f"{BASE}/status")
    assert bytes(status.payload) == b"online"


def test_mosquitto_sub_gets_a_png_that_pillow_opens(broker: Mosquitto, listener: Probe):
    command = subscriber(broker.port, "-q", "1", "-t", f"{BASE}/out/tiny/image", "-C", "1", "-N", "-W", "10")
    with subprocess.Popen(command, stdout=subprocess.PIPE) as listening:
        time.sleep(0.3)
        listener.publish(REQUEST, {"seed": 3})
        content, _ = listening.communicate(timeout=10)
    with Image.open(io.BytesIO(content)) as image:
        assert image.size == (8, 8)


def test_mosquitto_rr_does_a_request_and_response(broker: Mosquitto):
    content = ask(broker.port, REQUEST, "edge-aigc/reply/rr", '{"seed": 3}')
    with Image.open(io.BytesIO(content)) as image:
        assert image.size == (8, 8)


def stopped_child(served: DaemonProcess) -> int:
    """Return the child that serves tiny, stopped: the next samples stay in the making."""
    for pid in served.children():
        if b"tiny.aigc" in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, signal.SIGSTOP)
            return pid
    raise AssertionError("no child")


def test_an_expired_request_is_not_run(served: DaemonProcess, listener: Probe):
    pid = stopped_child(served)
    try:
        listener.publish(REQUEST, {"id": "f1"})
        listener.publish(REQUEST, {"id": "f2", "expires_ms": 50})
        listener.publish(REQUEST, {"id": "f3"}, MessageExpiryInterval=1)
        assert listener.error(code="expired")["id"] == "f2"
        listener.wait(lambda m: (as_json(m) or {}).get("id") == "f3" and "error" in as_json(m))
    finally:
        os.kill(pid, signal.SIGCONT)
    listener.wait(lambda m: (as_json(m) or {}).get("id") == "f1" and as_json(m).get("state") == "done")
    assert [as_json(m)["id"] for m in listener.on("/meta")] == ["f1"]


def test_a_full_queue_says_busy_and_when_to_come_back(served: DaemonProcess, listener: Probe):
    pid = stopped_child(served)
    try:
        for number in range(65):
            listener.publish(REQUEST, {"id": f"g{number}"})
        reply = listener.error(code="busy")
        assert reply["id"] == "g64"
        assert reply["error"]["retry_after_ms"] >= 100
    finally:
        os.kill(pid, signal.SIGCONT)
    listener.wait(lambda m: (as_json(m) or {}).get("state") == "done", times=64)


def test_a_killed_child_costs_one_caller_one_error_and_comes_back(
    served: DaemonProcess, listener: Probe, emulated_board: str | None
):
    pid = stopped_child(served)
    for number in range(3):
        listener.publish(REQUEST, {"id": f"h{number}"})
    listener.wait(lambda m: (as_json(m) or {}).get("state") == "accepted", times=3)
    killed_s = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    reply = listener.error(code="worker", seconds=1.0)
    assert reply["id"] == "h0"
    assert "SIGKILL" in reply["error"]["message"]
    assert reply["error"]["retry_after_ms"] > 0
    listener.wait(lambda m: (as_json(m) or {}).get("state") == "done", times=2)
    assert emulated_board is not None or time.monotonic() - killed_s < 2.0
    assert served.process.poll() is None
    health = listener.wait(lambda m: m.topic.endswith("/health") and as_json(m)["restarts"] >= 1)
    assert as_json(health)["state"] in {"ok", "degraded"}


def test_requests_by_the_hundred_are_all_answered(listener: Probe):
    for number in range(200):
        listener.publish(REQUEST, {"id": f"i{number}"})

    def answered(message: Any) -> bool:
        reply = as_json(message) or {}
        return str(reply.get("id", "")).startswith("i") and (reply.get("state") == "done" or "error" in reply)

    listener.wait(answered, times=200)
