"""Texts over MQTT: a real daemon, a real broker, prompts from strangers."""

from __future__ import annotations

import json
import string
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from bundles import letters_bundle
from daemons import daemon
from probe import Probe, probe

import edge_aigc
from edge_aigc.cli import run as run_command

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from brokers import Mosquitto


@pytest.fixture(scope="module")
def letters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return letters_bundle(tmp_path_factory.mktemp("letters"))


@pytest.fixture(scope="module")
def stranger(broker: Mosquitto, letters: Path) -> Iterator[Probe]:
    with daemon(broker.url, letters, device="scribe"), probe(broker.url) as stranger:
        yield stranger


def test_a_text_is_published_as_text(stranger: Probe, letters: Path):
    request = {"id": "t1", "seed": 3, "controls": {"prompt": "spring", "temperature": 0.8, "length": 9}}
    stranger.publish("edge-aigc/scribe/request/letters", request)
    message = stranger.wait(lambda found: found.topic == "edge-aigc/scribe/out/letters/text")
    expected = edge_aigc.open(letters).generate(seed=3, prompt="spring", temperature=0.8, length=9).text
    assert message.payload.decode() == expected
    assert message.properties.ContentType == "text/plain; charset=utf-8"
    assert message.properties.PayloadFormatIndicator == 1


@pytest.mark.parametrize(
    ("controls", "words"),
    [
        ({"prompt": "Äpfel 😀"}, "does not know: 'Ä' (U+00C4)"),
        ({"prompt": "a" * 50_000}, "50,000 characters; this model takes at most 40"),
        ({"prompt": 12}, "not a text"),
        ({"prompt": ["a"]}, "cannot be read"),
        ({"prompt": None}, "cannot be read"),
        ({"temperature": "hot"}, "'hot', not a number from 0 to 100"),
        ({"temperature": 1e999}, "cannot be read"),
        ({"top_p": -0.1}, "not a number from 0 to 1"),
        ({"length": 10**9}, "not a whole number from 1 to 40"),
        ({"gru_state0": 1}, "has no control 'gru_state0'"),
        ({"prompt": "\u0000"}, "'\\x00' (U+0000)"),
    ],
)
def test_a_strangers_prompt_gets_an_answer_that_says_what_is_wrong(
    stranger: Probe, controls: dict[str, Any], words: str
):
    topic = f"edge-aigc/reply/{uuid.uuid4().hex}"
    payload = json.dumps({"controls": controls}).encode()
    stranger.publish("edge-aigc/scribe/request/letters", payload, ResponseTopic=topic)
    answer = stranger.wait(lambda found: found.topic == topic)
    assert words in json.loads(answer.payload)["error"]["message"]


@pytest.mark.usefixtures("stranger")
def test_request_shows_the_text(broker: Mosquitto, letters: Path, capsys: pytest.CaptureFixture[str]):
    command = ["request", "letters", "--broker", broker.url, "--device", "scribe", "--seed", "5", "--prompt", "ab"]
    assert run_command(command) == 0
    expected = edge_aigc.open(letters).generate(seed=5, prompt="ab").text
    assert capsys.readouterr().out == f"{expected}\n"


class TestGenerate:
    def test_it_prints_the_text(self, letters: Path, capsys: pytest.CaptureFixture[str]):
        assert run_command(["generate", str(letters), "--prompt", "ab", "--temperature", "0.8", "--seed", "3"]) == 0
        expected = edge_aigc.open(letters).generate(seed=3, prompt="ab", temperature=0.8).text
        assert capsys.readouterr().out == f"{expected}\n"

    def test_with_a_folder_it_saves_it(self, letters: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
        assert run_command(["generate", str(letters), "--seed", "3", "-o", str(tmp_path)]) == 0
        path = tmp_path / "letters-3.txt"
        assert capsys.readouterr().out == f"{path}\n"
        assert path.read_text("utf-8") == edge_aigc.open(letters).generate(seed=3).text

    def test_json_holds_the_text_and_its_tokens(self, letters: Path, capsys: pytest.CaptureFixture[str]):
        assert run_command(["generate", str(letters), "--seed", "3", "--length", "4", "--json"]) == 0
        (sample,) = json.loads(capsys.readouterr().out)["samples"]
        assert sample["text"] == edge_aigc.open(letters).generate(seed=3, length=4).text
        assert sample["tokens"] <= 4
        assert "path" not in sample

    def test_a_control_given_twice_is_a_misuse(self, letters: Path, capsys: pytest.CaptureFixture[str]):
        assert run_command(["generate", str(letters), "prompt=a", "--prompt", "b"]) == 2
        assert "given twice" in capsys.readouterr().err


def test_inspect_shows_the_loop(letters: Path, capsys: pytest.CaptureFixture[str]):
    assert run_command(["inspect", str(letters)]) == 0
    shown = capsys.readouterr().out
    assert "step graph, 1 state" in shown
    assert "temperature 1, among all tokens" in shown


def test_bench_tells_tokens_a_second(letters: Path, capsys: pytest.CaptureFixture[str]):
    assert run_command(["bench", str(letters), "--rounds", "10", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["tokens_per_s"] > 0


def test_a_model_that_can_only_go_on_from_a_text_is_served_and_benched(
    broker: Mosquitto, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    # Without a start its first token is a character as any other.
    words = json.dumps({"kind": "characters", "tokens": ["_", "<stop>", *string.ascii_lowercase], "stop": 1}).encode()
    bundle = letters_bundle(tmp_path, vocabulary=words)
    with daemon(broker.url, bundle, device="quill"), probe(broker.url) as stranger:
        stranger.publish("edge-aigc/quill/request/letters", {"seed": 1, "controls": {"prompt": "ab"}})
        message = stranger.wait(lambda found: found.topic == "edge-aigc/quill/out/letters/text")
        assert message.payload.startswith(b"ab")
        stranger.publish("edge-aigc/quill/request/letters", {"seed": 1}, ResponseTopic="edge-aigc/reply/quill")
        answer = stranger.wait(lambda found: found.topic == "edge-aigc/reply/quill")
        assert "goes on from a text, and none was given" in json.loads(answer.payload)["error"]["message"]
    assert run_command(["bench", str(bundle), "--rounds", "10", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["tokens_per_s"] > 0
