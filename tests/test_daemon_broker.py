"""A daemon and its broker: absent, deaf, forbidding, old, gone and back."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

from brokers import amqtt, free_port, mosquitto
from daemons import daemon
from probe import as_json, probe
from strangers import ask, subscriber

if TYPE_CHECKING:
    import pytest
    from brokers import Mosquitto

REQUEST = "edge-aigc/testbed/request/tiny"


def test_a_daemon_that_vanishes_is_said_to_be_offline(broker: Mosquitto, tiny: Path):
    with probe(broker.url) as listener, daemon(broker.url, tiny) as running:
        children = running.children()
        running.process.kill()
        listener.wait(lambda m: m.topic.endswith("/status") and m.payload == b"offline")
        deadline_s = time.monotonic() + 5
        while any(Path(f"/proc/{pid}").exists() for pid in children) and time.monotonic() < deadline_s:
            time.sleep(0.02)
        assert not any(Path(f"/proc/{pid}").exists() for pid in children)


def test_an_absent_broker_is_waited_for_and_told_of_once(tiny: Path):
    port = free_port()
    with daemon(f"mqtt://127.0.0.1:{port}", tiny, wait=False) as running:
        offline = running.wait_for("offline")
        assert f"127.0.0.1:{port}" in offline["message"]
        assert "mosquitto" in offline["remedy"]
        time.sleep(1.5)
        assert len([line for line in running.words if "No MQTT broker" in line]) == 1
        code, took_s = running.stop()
        assert (code, took_s < 5) == (0, True)


def test_a_wrong_password_is_told_and_not_hammered(tiny: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("EDGE_AIGC_MQTT_PASSWORD", "not-it")
    with mosquitto("log_type all", password=("ada", "secret")) as guarded:
        with daemon(guarded.url.replace("//", "//ada@"), tiny, wait=False) as running:
            offline = running.wait_for("offline")
            assert "refuses the user 'ada'" in offline["message"]
            time.sleep(2.2)
            attempts = (guarded.folder / "mosquitto.log").read_text(encoding="utf-8").count("New client connected")
            refused = (guarded.folder / "mosquitto.log").read_text(encoding="utf-8").count("not authorised")
            assert attempts == 0
            assert 1 <= refused <= 3
            assert not any("not-it" in line for line in running.words)
        monkeypatch.setenv("EDGE_AIGC_MQTT_PASSWORD", "secret")
        with daemon(guarded.url.replace("//", "//ada@"), tiny):
            pass


def test_a_broker_that_comes_back_finds_everything_as_it_was(tiny: Path):
    with mosquitto() as broker, daemon(broker.url, tiny, "--every", "0.2") as running:
        broker.stop()
        running.wait_for("offline")
        broker.start()
        running.wait_for("online", times=2, seconds=10)
        with probe(broker.url) as listener:
            listener.wait(lambda m: m.topic.endswith("/status") and m.payload == b"online")
            listener.wait(lambda m: m.topic.endswith("/info"))
            listener.publish(REQUEST, {"id": "back"})
            listener.wait(lambda m: (as_json(m) or {}).get("id") == "back" and as_json(m).get("state") == "done")


def test_what_is_made_while_the_broker_is_away_is_delivered_when_it_is_back(tiny: Path):
    with mosquitto() as broker, daemon(broker.url, tiny) as running:
        with probe(broker.url) as listener:
            os.kill(running.children()[0], signal.SIGSTOP)
            listener.publish(REQUEST, {"id": "kept", "count": 3})
            listener.wait(lambda m: (as_json(m) or {}).get("state") == "accepted")
        broker.stop()
        running.wait_for("offline")
        os.kill(running.children()[0], signal.SIGCONT)
        time.sleep(0.3)
        # It waits until somebody listens again: what comes before that is delivered to nobody.
        running.process.send_signal(signal.SIGSTOP)
        broker.start()
        with probe(broker.url) as listener:
            running.process.send_signal(signal.SIGCONT)
            listener.wait(lambda m: m.topic.endswith("/image"), times=3)


def test_a_request_sent_during_a_short_absence_is_served(tiny: Path):
    # The broker keeps the session; the daemon is cut off by a client that takes its name for a moment.
    with mosquitto() as broker, daemon(broker.url, tiny) as running, probe(broker.url) as listener:
        taker = subscriber(
            broker.port, "-V", "5", "-i", "edge-aigc-testbed", "-c", "-t", "nothing", "-W", "1", "-x", "60"
        )
        subprocess.run(taker, check=False, capture_output=True)
        listener.publish(REQUEST, {"id": "meanwhile"})
        running.wait_for("offline")
        listener.wait(lambda m: (as_json(m) or {}).get("id") == "meanwhile" and as_json(m).get("state") == "done")


def test_a_broker_that_takes_only_small_packets_gets_an_error_instead(tiny: Path):
    with mosquitto("max_packet_size 600") as broker, daemon(broker.url, tiny, "--format", "png") as running:
        del running
        answer = ask(broker.port, REQUEST, "edge-aigc/reply/" + "r" * 200, '{"id": "big"}')
        assert json.loads(answer)["error"]["code"] == "too_large"


def test_an_old_broker_is_spoken_to_in_its_own_protocol(tiny: Path):
    with amqtt() as url, daemon(url, tiny, wait=False) as running:
        assert running.wait_for("online")["protocol"] == "3.1.1"


def test_a_port_that_is_no_broker_does_not_keep_it_from_ending(tiny: Path):
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        address = f"mqtt://127.0.0.1:{deaf.getsockname()[1]}"
        with daemon(address, tiny, wait=False) as running:
            running.wait_for("ready")
            time.sleep(0.3)
            code, took_s = running.stop()
            assert (code, took_s < 5) == (0, True)
