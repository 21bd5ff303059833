"""`doctor` on brokers with planted faults: found, mended by the command that it names, found no more."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from brokers import amqtt, free_port, mosquitto
from doctors import mend

from edge_aigc.devices.doctor.broker import check
from edge_aigc.devices.doctor.patient import Patient, text_of
from edge_aigc.mqtt.address import BrokerAddress


def configured(broker, remedy):
    """Run a remedy for Debian's mosquitto on one whose configuration lies elsewhere and that no service starts."""
    steps = remedy.replace("/etc/mosquitto", str(broker.folder)).split(" && ")
    assert steps[-1] in {"service mosquitto restart", "systemctl restart mosquitto"}
    mend(" && ".join(steps[:-1]))
    broker.stop()
    broker.start()


def test_nagle_in_the_broker_is_found_and_turned_off(on_board):
    with mosquitto(nodelay=False) as broker:
        seen = on_board("--broker", broker.url)
        assert set(seen.problems) == {"broker-nagle"}
        assert "holds small messages back" in seen["broker-nagle"]["message"]
        configured(broker, seen["broker-nagle"]["remedy"])
        assert not on_board("--broker", broker.url).problems


def test_an_absent_broker_is_found_and_started(on_board, tmp_path):
    url = f"mqtt://127.0.0.1:{(port := free_port())}"
    seen = on_board("--broker", url, env={"EDGE_AIGC_CACHE": str(tmp_path)})
    assert set(seen.problems) == {"broker-absent"}
    mend(seen["broker-absent"]["remedy"])
    try:
        assert not on_board("--broker", url).problems
    finally:
        for process in Path("/proc").glob("[0-9]*"):
            if f"{tmp_path}/mosquitto-{port}.conf" in text_of(process / "cmdline"):
                os.kill(int(process.name), signal.SIGTERM)


def test_a_wrong_password_is_found_and_asked_for(on_board):
    with mosquitto(password=("ada", "right")) as broker:
        url = broker.url.replace("//", "//ada@")
        wrong = {"EDGE_AIGC_MQTT_PASSWORD": "wrong"}
        seen = on_board("--broker", url, env=wrong)
        assert set(seen.problems) == {"broker-credentials"}
        assert "'ada'" in seen["broker-credentials"]["message"]
        remedy = seen["broker-credentials"]["remedy"]
        assert not on_board("--broker", url, env=wrong, before=remedy, typed="right\n").problems


def test_a_broker_that_wants_a_name_is_found_and_told(on_board):
    with mosquitto(password=("ada", "right")) as broker:
        here = {"EDGE_AIGC_BROKER": broker.url}
        seen = on_board(env=here)
        assert set(seen.problems) == {"broker-credentials"}
        remedy = seen["broker-credentials"]["remedy"]
        assert not on_board(env=here, before=remedy, typed="ada\nright\n").problems


def test_access_rules_against_us_are_found_and_changed(on_board):
    rules = "user ada\ntopic read weather/#\n"
    with mosquitto(rules=rules, password=("ada", "right")) as broker:
        url = broker.url.replace("//", "//ada:right@")
        seen = on_board("--broker", url)
        assert set(seen.problems) == {"broker-mute"}
        configured(broker, seen["broker-mute"]["remedy"])
        assert not on_board("--broker", url).problems


def test_a_broker_of_yesterday_is_noted(on_board):
    with amqtt() as url:
        seen = on_board("--broker", url)
        assert not seen.problems
        assert seen["broker-protocol"]["severity"] == "note"


def test_something_else_on_the_port_is_told_from_a_broker(on_board):
    server = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(port := free_port())]
    with subprocess.Popen(
        server, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={"PYTHONUNBUFFERED": "1"}
    ) as web:
        assert web.stdout is not None
        web.stdout.readline()
        seen = on_board("--broker", f"mqtt://127.0.0.1:{port}")
        web.terminate()
    assert len(seen.problems) == 1
    assert next(iter(seen.problems)) in {"broker-silent", "broker-lost"}


def test_a_broker_elsewhere_is_mended_there():
    with mosquitto(nodelay=False) as broker:
        # The whole of 127.0.0.0/8 is this machine; 0.0.0.0 reaches it without being called so.
        address = BrokerAddress.parse(broker.url.replace("127.0.0.1", "0.0.0.0"))  # noqa: S104
        (found,) = check(Patient(broker=address))
    assert found.id == "broker-nagle"
    assert found.remedy is not None
    assert found.remedy.startswith("ssh -t 0.0.0.0 ")
    assert "| sudo tee -a" in found.remedy


def test_an_absent_broker_elsewhere_is_started_there_as_it_is():
    address = BrokerAddress.parse(f"mqtt://0.0.0.0:{free_port()}")
    (found,) = check(Patient(broker=address))
    assert (found.id, found.remedy) == (
        "broker-absent",
        "ssh -t 0.0.0.0 'sudo systemctl enable --now mosquitto'",
    )
