"""`convert` of models that write: what the user states, what is refused, what comes out."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
import sequence_nets

import edge_aigc
from edge_aigc.bundle import read_bundle
from edge_aigc.cli import run as run_command

if TYPE_CHECKING:
    from pathlib import Path

CHARACTERS = [chr(0x4E00 + number) for number in range(38)]
WORDS = {"kind": "characters", "tokens": ["<start>", "<stop>", *CHARACTERS], "start": 0, "stop": 1}
HERE = ("--profile", "rpi4", "--meter", "here")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GRU and its vocabulary."""
    import keras
    from keras import layers

    keras.utils.clear_session()  # names count up from one model to the next
    folder = tmp_path_factory.mktemp("writers")
    sequence_nets.recurrent(layers.GRU(16, return_sequences=True)).save(folder / "gru.keras")
    sequence_nets.transformer(learnt=True, before=True).save(folder / "gpt.keras")
    (folder / "vocabulary.json").write_text(json.dumps(WORDS), "utf-8")
    return folder


def converted(place: Path, *arguments: object) -> int:
    return run_command(["convert", *map(str, arguments), *HERE, "-o", str(place / "made.aigc")])


def told(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().err.replace("\n", " ")


def test_flags_alone_are_enough(place: Path):
    assert converted(place, place / "gru.keras", "--family", "autoregressive", "--recipe", "float32") == 0
    generator = edge_aigc.open(place / "made.aigc")
    assert generator.spec.loop is not None
    assert generator.spec.loop.state == {"gru_state0": "gru_state0_next"}
    assert generator.spec.loop.context is None
    assert generator.manifest.files["vocabulary.json"].bytes == (place / "vocabulary.json").stat().st_size
    assert generator.generate(seed=1).text == generator.generate(seed=1).text


def test_the_golden_vectors_are_steps_in_the_middle_of_texts(place: Path):
    from edge_aigc.golden import unpack_vectors

    assert converted(place, place / "gru.keras", "--family", "autoregressive", "--recipe", "float32") == 0
    vectors = unpack_vectors(read_bundle(place / "made.aigc"))
    assert sum(bool(vector.inputs["gru_state0"].any()) for vector in vectors) >= len(vectors) - 1


def test_a_text_generator_is_made_again_from_what_its_bundle_records(place: Path, tmp_path: Path):
    import keras

    moved = shutil.copy(place / "gru.keras", tmp_path)
    again = tmp_path / "again.aigc"
    flags = ("--family", "autoregressive", "--recipe", "int8", "--min-fidelity", "50")
    keras.utils.clear_session()  # as in processes of their own: names of layers begin anew
    assert converted(place, place / "gru.keras", *flags) == 0
    keras.utils.clear_session()
    assert run_command(["convert", moved, *HERE, "--like", str(place / "made.aigc"), "-o", str(again)]) == 0
    assert read_bundle(again).content == read_bundle(place / "made.aigc").content


def test_a_specification_states_the_loop(place: Path, tmp_path: Path):
    spec = tmp_path / "poet.toml"
    spec.write_text('name = "poet"\n[loop]\ntemperature = 0.5\nlength = 9\nstop = ["\u4e01"]\n', "utf-8")
    words = ["--vocabulary", place / "vocabulary.json"]
    assert converted(place, place / "gru.keras", "--spec", spec, *words, "--recipe", "float32") == 0
    loop = edge_aigc.open(place / "made.aigc").spec.loop
    assert loop is not None
    assert (loop.temperature, loop.length, loop.stop) == (0.5, 9, ("\u4e01",))


@pytest.mark.heavy
def test_a_window_writes_what_the_step_graph_writes(place: Path):
    texts = []
    for how in (["--context", 40], ["--window", 40]):
        options = ["--family", "autoregressive", "--recipe", "float32", *how]
        assert converted(place, place / "gpt.keras", *options) == 0
        generator = edge_aigc.open(place / "made.aigc")
        texts.append([generator.generate(seed=seed, length=30).text for seed in range(4)])
    assert texts[0] == texts[1]


def test_an_attention_ends_when_its_places_are_full(place: Path):
    options = ["--family", "autoregressive", "--recipe", "float32", "--context", 8]
    assert converted(place, place / "gpt.keras", *options) == 0
    generator = edge_aigc.open(place / "made.aigc")
    assert generator.spec.loop is not None
    assert generator.spec.loop.context == 8
    assert max(len(generator.generate(seed=seed).text or "") for seed in range(6)) == 8


@pytest.mark.heavy
def test_a_text_ends_where_the_models_table_of_positions_ends(place: Path, capfd: pytest.CaptureFixture[str]):
    options = ["--family", "autoregressive", "--recipe", "float32"]
    assert converted(place, place / "gpt.keras", *options) == 0
    loop = edge_aigc.open(place / "made.aigc").spec.loop
    assert loop is not None
    assert loop.context == sequence_nets.MOST
    assert converted(place, place / "gpt.keras", *options, "--context", sequence_nets.MOST + 1) == 1
    assert f"knows {sequence_nets.MOST} positions" in capfd.readouterr().err


def test_the_step_graph_of_another_framework_is_taken_as_it_is(tmp_path: Path):
    from bundles import DATA, VOCABULARY

    (tmp_path / "vocabulary.json").write_bytes(VOCABULARY)
    options = ["--family", "autoregressive", "--recipe", "float32", "--vocabulary", tmp_path / "vocabulary.json"]
    assert converted(tmp_path, DATA / "letters.tflite", *options) == 0
    loop = edge_aigc.open(tmp_path / "made.aigc").spec.loop
    assert loop is not None
    assert loop.state == {"gru_state0": "gru_state0_next"}


@pytest.mark.heavy
@pytest.mark.parametrize("recipe", ["float16", "dynamic", "int8"])
@pytest.mark.parametrize("model", ["gru", "gpt"])
def test_step_graphs_take_the_other_recipes(place: Path, model: str, recipe: str):
    options = ["--family", "autoregressive", "--recipe", recipe, "--min-fidelity", 50]
    assert converted(place, place / f"{model}.keras", *options) in {0, 3}
    generator = edge_aigc.open(place / "made.aigc")
    assert generator.generate(seed=1).text == generator.generate(seed=1).text


class TestRefusals:
    @pytest.mark.parametrize(
        ("options", "code", "words"),
        [
            ([], 1, "If these are tokens, and the model writes more of them, say `--family autoregressive`"),
            (["--vocabulary", "x.json"], 2, "belongs to a model that writes"),
            (["--window", "4"], 2, "belongs to a model that writes"),
            (["--family", "autoregressive", "--window", "4", "--context", "4"], 2, "Give one of the two"),
            (["--family", "autoregressive", "--vocabulary", "none.json"], 1, "none.json is not there"),
        ],
    )
    def test_options_that_say_nothing(
        self, place: Path, options: list[str], code: int, words: str, capsys: pytest.CaptureFixture[str]
    ):
        assert converted(place, place / "gru.keras", *options) == code
        assert words in told(capsys)

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            ("[]", "is not a vocabulary"),
            (json.dumps({**WORDS, "tokens": WORDS["tokens"][:-1]}), "lists 39 tokens; the model gives scores for 40"),
        ],
    )
    def test_a_vocabulary_that_is_not_the_models(
        self, place: Path, tmp_path: Path, content: str, words: str, capsys: pytest.CaptureFixture[str]
    ):
        path = tmp_path / "words.json"
        path.write_text(content, "utf-8")
        assert converted(place, place / "gru.keras", "--family", "autoregressive", "--vocabulary", path) == 1
        assert words in told(capsys)

    def test_a_model_of_pictures(self, place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
        import nets

        model: Any = nets.gan(tmp_path)
        assert converted(place, model, "--family", "autoregressive") == 1
        assert "take its tokens" in told(capsys)

    def test_a_loop_that_is_no_table(self, place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
        spec = tmp_path / "poet.toml"
        spec.write_text("loop = 3\n", "utf-8")
        assert converted(place, place / "gru.keras", "--spec", spec) == 1
        assert "not a table" in told(capsys)
