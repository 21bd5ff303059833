"""The whole path in one command, over both brokers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from edge_aigc.cli import broker, run
from edge_aigc.errors import BrokerError


@pytest.mark.parametrize("kind", ["mosquitto", pytest.param("amqtt", marks=pytest.mark.heavy)])
def test_the_demonstration_ends_with_ten_pictures(capfd, tmp_path, monkeypatch, kind):
    if kind == "amqtt":
        monkeypatch.setattr(broker.shutil, "which", lambda *_, **__: None)
    assert run(["demo", "-o", str(tmp_path), "--json"]) == 0
    printed = json.loads(capfd.readouterr().out)
    assert printed["broker"] == kind
    assert len(printed["samples"]) == 10
    for sample in printed["samples"]:
        assert sample["round_trip_ms"] > 0
        with Image.open(sample["path"]) as image:
            assert (image.format, image.size) == ("PNG", (28, 28))
    assert (tmp_path / "digits-rpi4.aigc").exists()


@pytest.mark.heavy
def test_a_broker_that_is_not_there_is_told_and_waited_for_only_so_long(capfd, tmp_path, monkeypatch):
    monkeypatch.setattr("edge_aigc.cli.demo._TIMEOUT_S", 4.0)
    assert run(["demo", "-o", str(tmp_path), "--broker", "mqtt://127.0.0.1:1", "--json"]) == 1
    captured = capfd.readouterr()
    assert json.loads(captured.out)["error"]["code"] == "worker"
    assert "127.0.0.1:1" in captured.err


def test_a_step_that_fails_ends_the_demonstration_with_its_own_words(capfd, tmp_path):
    assert run(["demo", "-o", str(tmp_path), "--profile", "rpi44", "--json"]) == 1
    assert json.loads(capfd.readouterr().out)["error"]["remedy"].startswith("Did you mean 'rpi4'")


def test_without_any_broker_the_remedy_names_both(monkeypatch):
    monkeypatch.setattr(broker.shutil, "which", lambda *_, **__: None)
    monkeypatch.setattr(broker.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(BrokerError, match=r"apt install mosquitto.*edge-aigc\[demo\]"), broker.local_broker():
        pass


def test_a_broker_is_stopped_when_it_is_no_longer_needed():
    with broker.local_broker() as (_, address):
        pid = next(pid for pid in running() if address.rpartition(":")[2] in command_line(pid))
    assert pid not in running()


def running():
    return {int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()}


def command_line(pid):
    """Return a process's arguments, and the configuration that they name, as text."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
        texts = [Path(word).read_text() for word in words if word.endswith("mosquitto.conf")]
    except OSError:
        return ""
    return " ".join([*words, *texts])
