"""`request` and `watch` as they are typed."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from brokers import free_port
from PIL import Image
from probe import probe

from edge_aigc.cli import run as edge_aigc
from edge_aigc.cli.watch import file_name
from edge_aigc.mqtt.answers import Received

if TYPE_CHECKING:
    from pathlib import Path

    from brokers import Mosquitto


@pytest.fixture(autouse=True)
def _broker_is_the_default(broker: Mosquitto, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGE_AIGC_BROKER", broker.url)


def answered(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    return result


@pytest.mark.usefixtures("served")
class TestRequest:
    def test_it_saves_and_prints_the_paths(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
        assert edge_aigc(["request", "tiny", "digit=3", "--seed", "7", "--count", "2", "-o", str(tmp_path)]) == 0
        paths = [str(tmp_path / "tiny-7.png"), str(tmp_path / "tiny-8.png")]
        assert capsys.readouterr().out.splitlines() == paths
        for path in paths:
            with Image.open(path) as image:
                assert image.size == (8, 8)

    def test_json_holds_what_scripts_rely_on(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
        file = tmp_path / "three.webp"
        assert edge_aigc(["request", "tiny", "--device", "testbed", "--seed", "1", "-o", str(file), "--json"]) == 0
        result = answered(capsys)
        (sample,) = result["samples"]
        assert sample["path"] == str(file)
        assert sample["seed"] == 1
        assert sample["gen_ms"] > 0
        assert result["id"] == sample["id"]
        assert result["round_trip_ms"] > 0
        assert file.read_bytes()[8:12] == b"WEBP"

    def test_it_never_writes_over_another_sample_of_the_same_seed(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ):
        path = tmp_path / "tiny-7.png"
        path.write_bytes(b"something else")
        words = ["request", "tiny", "--seed", "7", "-o", str(tmp_path), "--json"]
        assert edge_aigc(words) == 1
        assert answered(capsys)["error"]["code"] == "file"
        assert path.read_bytes() == b"something else"
        assert edge_aigc([*words, "--force"]) == 0
        assert path.read_bytes()[:4] == b"\x89PNG"

    def test_it_sends_a_picture(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
        photo = tmp_path / "photo.png"
        Image.new("RGB", (8, 8), (255, 0, 51)).save(photo)
        assert edge_aigc(["request", "negative", "--input", f"photo={photo}", "-o", str(tmp_path)]) == 0
        with Image.open(capsys.readouterr().out.strip()) as image:
            assert image.getpixel((0, 0)) == (0, 255, 204)

    def test_the_devices_refusal_is_told(self, capsys: pytest.CaptureFixture[str]):
        assert edge_aigc(["request", "tiny", "digit=eleven", "--json"]) == 1
        error = answered(capsys)["error"]
        assert error["code"] == "remote"
        assert "eleven" in error["message"]
        assert error["remedy"]

    @pytest.mark.parametrize(
        ("arguments", "code"),
        [
            (["--count", "0"], "usage"),
            (["--timeout", "0"], "usage"),
            (["digit"], "usage"),
            (["--input", "photo"], "usage"),
            (["--seed", "-1"], "input"),
            (["--input", "photo=/nowhere.png"], "file"),
            (["--broker", "nonsense"], "usage"),
            (["--count", "1000000000"], "remote"),
            (["--format", "gif"], "remote"),
        ],
    )
    def test_bad_input_is_named(self, arguments: list[str], code: str, capsys: pytest.CaptureFixture[str]):
        assert edge_aigc(["request", "tiny", *arguments, "--json"]) == (2 if code == "usage" else 1)
        assert answered(capsys)["error"]["code"] == code


def test_an_absent_broker_is_told_with_the_remedy(capsys: pytest.CaptureFixture[str]):
    assert edge_aigc(["request", "tiny", "--broker", f"mqtt://127.0.0.1:{free_port()}", "--json"]) == 1
    error = answered(capsys)["error"]
    assert error["code"] == "broker"
    assert "mosquitto" in error["remedy"]


@pytest.mark.usefixtures("served")
def test_watch_saves_and_lists_what_comes(broker: Mosquitto, tmp_path: Path):
    command = [sys.executable, "-m", "edge_aigc.cli", "watch", "--broker", broker.url, "-o", str(tmp_path)]
    with (
        subprocess.Popen([*command, "--count", "2", "--json"], stdout=subprocess.PIPE, text=True) as watching,
        probe(broker.url) as asker,
    ):
        for seed in range(200):
            if watching.poll() is not None:
                break
            asker.publish("edge-aigc/testbed/request/tiny", {"seed": seed})
            with contextlib.suppress(subprocess.TimeoutExpired):
                watching.wait(0.1)
        lines = [json.loads(line) for line in watching.stdout or ()]
    assert len(lines) == 2
    for line in lines:
        with Image.open(line["path"]) as image:
            assert image.size == (8, 8)
        assert line["model"] == "tiny"
        assert line["device"] == "testbed"
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("word", ["../../etc/passwd", "a/b", "..", ".hidden", "-rf", "nul\0", "x" * 500, "ü☃", ""])
def test_a_watched_file_has_a_safe_name_whatever_the_topic_says(word: str, tmp_path: Path):
    received = Received(
        payload=b"",
        device=word,
        model=word,
        id=word,
        seed=None,
        index=0,
        sha256="0" * 64,
        content_type=word,
        gen_ms=None,
        invoke_ms=None,
        encode_ms=None,
        received_at_s=0.0,
    )
    name = file_name(received)
    assert (tmp_path / name).resolve().parent == tmp_path.resolve()
    assert not name.startswith((".", "-"))
    assert len(name) < 200
    assert name.endswith(".bin")


@pytest.mark.parametrize("verb", ["run", "request", "watch"])
def test_help_shows_an_example(verb: str, capsys: pytest.CaptureFixture[str]):
    assert edge_aigc([verb, "--help"]) == 0
    words = capsys.readouterr().out
    assert "Example" in words
    assert "--broker" in words
