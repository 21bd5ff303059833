"""A daemon from its start to its end, and what it lives through."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from bundles import bundle_with_wrong_goldens, tiny_bundle
from daemons import daemon
from probe import as_json, probe
from strangers import ask

from edge_aigc.devices.daemon import Daemon
from edge_aigc.devices.settings import ChildSettings, DaemonSettings
from edge_aigc.mqtt.address import BrokerAddress

if TYPE_CHECKING:
    from brokers import Mosquitto
    from paho.mqtt.client import MQTTMessage

REQUEST = "edge-aigc/testbed/request/tiny"


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edge_aigc.cli", "run", *map(str, arguments), "--json"]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def error_of(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    fields: dict[str, str] = json.loads(done.stdout.splitlines()[-1])["error"]
    return fields


def test_sigterm_ends_it_in_order(broker: Mosquitto, tiny: Path):
    with probe(broker.url) as listener, daemon(broker.url, tiny) as running:
        children = running.children()
        code, took_s = running.stop()
        assert code == 0
        assert took_s < 5
        assert running.events[-1] == {"event": "stopped"}
        listener.wait(lambda m: m.topic == "edge-aigc/testbed/status" and m.payload == b"offline")
    with probe(broker.url) as late:
        status = late.wait(lambda m: m.topic == "edge-aigc/testbed/status")
        assert (status.payload, status.retain) == (b"offline", True)
    assert children
    assert not any(Path(f"/proc/{pid}").exists() for pid in children)


def test_a_second_daemon_of_the_same_name_ends_and_the_first_serves_on(broker: Mosquitto, tiny: Path):
    with daemon(broker.url, tiny, device="twin") as first, daemon(broker.url, tiny, device="twin") as second:
        assert second.process.wait(30) == 1
        second.stop()
        error = second.events[-1]["error"]
        assert error["code"] == "broker"
        assert error["message"].startswith("Another daemon serves as 'twin'")
        assert "--device" in error["remedy"]
        # The first was displaced twice: by the second's beginning, and by its coming back.
        assert first.wait_for("online", times=3)
        assert ask(broker.port, "edge-aigc/twin/request/tiny", "edge-aigc/reply/me", "{}").startswith(b"\x89PNG")
        with probe(broker.url) as late:
            assert late.wait(lambda m: m.topic == "edge-aigc/twin/status").payload == b"online"


def test_a_daemon_that_died_and_is_started_again_is_no_newcomer_to_itself(broker: Mosquitto, tiny: Path):
    with daemon(broker.url, tiny, device="risen") as first:
        first.process.kill()
        first.process.wait()
    with daemon(broker.url, tiny, device="risen") as second:
        assert ask(broker.port, "edge-aigc/risen/request/tiny", "edge-aigc/reply/me", "{}").startswith(b"\x89PNG")
        assert second.process.poll() is None


def test_sigterm_while_a_sample_hangs_answers_everybody_within_five_seconds(broker: Mosquitto, tiny: Path):
    with probe(broker.url) as listener, daemon(broker.url, tiny) as running:
        os.kill(running.children()[0], signal.SIGSTOP)
        for number in range(4):
            listener.publish(REQUEST, {"id": f"s{number}"})
        listener.wait(lambda m: (as_json(m) or {}).get("state") == "accepted", times=4)
        code, took_s = running.stop()
        assert (code, took_s < 5) == (0, True)
        listener.wait(lambda m: (as_json(m) or {}).get("error", {}).get("code") == "stopping", times=4)
        listener.wait(lambda m: m.topic.endswith("/status") and m.payload == b"offline")


def test_sigint_ends_it_too(broker: Mosquitto, tiny: Path):
    with daemon(broker.url, tiny) as running:
        running.process.send_signal(signal.SIGINT)
        assert running.process.wait(5) == 0


def test_a_bundle_that_does_not_prove_itself_is_not_served(tmp_path: Path):
    done = run(bundle_with_wrong_goldens(tmp_path))
    assert done.returncode == 1
    assert error_of(done)["code"] == "bundle"
    assert "does not prove itself" in error_of(done)["message"]


def test_a_bundle_with_one_byte_changed_is_not_served(tmp_path: Path):
    path = tiny_bundle(tmp_path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    done = run(path)
    assert (done.returncode, error_of(done)["code"]) == (1, "bundle")


def test_a_missing_bundle_and_two_of_one_name_are_refused(tiny: Path, tmp_path: Path):
    assert "No such file" in error_of(run(tmp_path / "none.aigc"))["message"]
    done = run(tiny, tiny_bundle(tmp_path))
    assert (done.returncode, error_of(done)["code"]) == (2, "usage")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--device", "a/b"], 2, "a/b"),
        (["--device", "reply"], 2, "reply"),
        (["--broker", "http://x"], 2, "http"),
        (["--broker", "mqtt://user:hunter2@x:notaport"], 2, "port"),
        (["--broker", "mqtts://127.0.0.1", "--ca", "/nowhere.pem"], 1, "/nowhere.pem"),
        (["--format", "gif"], 1, "gif"),
        (["--every", "0"], 2, "every"),
    ],
)
def test_bad_options_are_named(tiny: Path, arguments: list[str], code: int, words: str):
    done = run(tiny, *arguments)
    assert done.returncode == code
    assert words in error_of(done)["message"]
    assert "hunter2" not in done.stdout + done.stderr


def test_a_schedule_without_a_model_for_it_is_refused(negative: Path):
    done = run(negative, "--every", "1")
    assert (done.returncode, error_of(done)["code"]) == (2, "usage")


def test_it_publishes_unasked(broker: Mosquitto, tiny: Path):
    with probe(broker.url) as listener, daemon(broker.url, tiny, "--every", "0.2"):
        began_s = time.monotonic()
        listener.wait(lambda m: m.topic == "edge-aigc/testbed/out/tiny/image", times=5)
        assert 0.5 < time.monotonic() - began_s < 5
        seeds = {as_json(m)["seed"] for m in listener.on("/meta")}
        assert len(seeds) >= 5
        assert not listener.on("/response")


def test_a_child_that_hangs_is_killed_and_its_caller_told(broker: Mosquitto, tiny: Path):
    settings = DaemonSettings(
        broker=BrokerAddress.parse(broker.url),
        device="hangs",
        bundles=(tiny,),
        child=ChildSettings(sample_s=0.5),
    )
    with probe(broker.url) as listener, Daemon(settings) as running:

        def online(fields: dict[str, object]) -> None:
            if fields["event"] == "online":
                os.kill(running._reception.servings[0].child.pid or 0, signal.SIGSTOP)
                listener.publish("edge-aigc/hangs/request/tiny", {"id": "hung"})
                listener.publish("edge-aigc/hangs/request/tiny", {"id": "next"})

        def served(message: object) -> bool:
            reply = as_json(message) or {}  # type: ignore[arg-type]
            if reply.get("id") == "next" and reply.get("state") == "done":
                running.stop()
            return False

        running._link._tell = online
        listener._client.on_message = lambda _c, _d, message: (listener.messages.append(message), served(message))
        running.run()
        reply = listener.error(code="worker")
    assert reply["id"] == "hung"
    assert "longer than 0.5 s" in reply["error"]["message"]


def test_a_bundle_that_goes_bad_keeps_the_daemon_up_and_is_said_in_health(broker: Mosquitto, tmp_path: Path):
    path = tiny_bundle(tmp_path)
    good = path.read_bytes()
    with probe(broker.url) as listener, daemon(broker.url, path) as running:
        path.write_bytes(good[:-100])
        os.kill(running.children()[0], signal.SIGKILL)
        health = listener.wait(
            lambda m: (
                m.topic.endswith("testbed/health") and any("tiny.aigc" in problem for problem in as_json(m)["problems"])
            )
        )
        assert as_json(health)["state"] == "degraded"
        listener.publish(REQUEST, {"id": "j1"})
        assert "cannot be served now" in listener.error(code="worker")["error"]["message"]
        path.write_bytes(good)
        deadline_s = time.monotonic() + 20
        while time.monotonic() < deadline_s and not listener.on("/image"):
            listener.publish(REQUEST)
            time.sleep(0.2)
        assert listener.on("/image")


def test_the_parent_imports_no_numpy_no_pillow_and_no_interpreter(broker: Mosquitto, tiny: Path):
    heavy = ("numpy", "PIL", "ai_edge_litert", "tflite_runtime", "tensorflow")
    script = f"""
import sys
from pathlib import Path
from edge_aigc.devices.daemon import Daemon
from edge_aigc.devices.settings import DaemonSettings
from edge_aigc.mqtt.address import BrokerAddress
settings = DaemonSettings(broker=BrokerAddress.parse({broker.url!r}), device="light", bundles=(Path({str(tiny)!r}),))
with Daemon(settings, on_event=lambda fields: fields["event"] == "online" and daemon.stop()) as daemon:
    daemon.run()
print([name for name in {heavy!r} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.heavy
def test_fifty_kills_under_load_cost_no_caller_an_answer(broker: Mosquitto, tiny: Path):
    resumed_s: list[float] = []
    sent = 0

    def ask() -> str:
        nonlocal sent
        sent += 1
        listener.publish(REQUEST, {"id": f"k{sent}", "expires_ms": 30_000})
        return f"k{sent}"

    with probe(broker.url) as listener, daemon(broker.url, tiny) as running:
        for _ in range(50):
            for _ in range(20):
                ask()
            (child,) = running.children()
            os.kill(child, signal.SIGKILL)
            killed_s = time.monotonic()
            # A request that reaches the dead child before its end is noticed gets an error, and is sent again.
            before = len(listener.messages)
            asked = ask()
            while (end := _ends(listener.messages[before:]).get(asked)) != "done":
                if end is not None:
                    asked = ask()
                assert time.monotonic() - killed_s < 10
                time.sleep(0.005)
            resumed_s.append(time.monotonic() - killed_s)
        deadline_s = time.monotonic() + 30
        while len(ends := _ends(listener.messages)) < sent and time.monotonic() < deadline_s:
            time.sleep(0.05)
        assert running.process.poll() is None
    assert set(ends.values()) <= {"done", "worker", "busy"}
    assert len(ends) == sent
    resumed_s.sort()
    failed = sum(end != "done" for end in ends.values())
    print(f"resumed after median {resumed_s[25]:.3f} s, max {resumed_s[-1]:.3f} s; {sent} requests, {failed} errors")  # noqa: T201
    assert resumed_s[-1] < 2.0


def _ends(messages: list[MQTTMessage]) -> dict[str, str]:
    """Return how each request ended: `done`, or the code of its error."""
    replies = [as_json(message) for message in list(messages) if message.topic.endswith("/response")]
    return {
        reply["id"]: reply["error"]["code"] if "error" in reply else "done"
        for reply in replies
        if "error" in reply or reply["state"] == "done"
    }
