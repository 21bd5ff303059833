"""The poems example: what it reads, how it learns, what it writes."""

from __future__ import annotations

import importlib
import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edge_aigc.cli import run as run_command
from edge_aigc.vocabulary import parse_vocabulary

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

EXAMPLE = Path(__file__).parents[1] / "examples" / "poems"
MAX_BYTES = 3_000_000
POEM = "\x1b[32m《送别》\x1b[m\n\x1b[33m作者:王维\x1b[m\n下马饮君酒\uff0c问君何所之。\n君言不得意\uff0c归卧南山陲。\n"


@pytest.fixture(autouse=True)
def _beside_the_scripts(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(str(EXAMPLE))
    # The digits' scripts have one of this name, too.
    others = sys.modules.pop("train", None)
    yield
    sys.modules.pop("train", None)
    if others is not None:
        sys.modules["train"] = others


@pytest.fixture
def corpus() -> ModuleType:
    return importlib.import_module("corpus")


@pytest.fixture
def fortunes(tmp_path: Path) -> Path:
    prose = "\x1b[32m《散文》\x1b[m\n这一行不是诗\n"
    (tmp_path / "tang300").write_text(f"{POEM}%\n{prose}%\n{POEM}", "utf-8")
    (tmp_path / "song100").write_text(POEM, "utf-8")
    return tmp_path


def test_titles_authors_and_prose_are_left_out(corpus: ModuleType, fortunes: Path):
    read = corpus.read_corpus(fortunes)
    assert read.poems == (("下马饮君酒\uff0c问君何所之。", "君言不得意\uff0c归卧南山陲。"),) * 3


def test_every_couplet_begins_an_example_and_the_rest_is_filled_up(corpus: ModuleType, fortunes: Path):
    read = corpus.read_corpus(fortunes)
    rows = corpus.examples(read, 40)
    assert rows.shape == (6, 41)
    assert (rows[:, 0] == corpus.START).all()
    text = "".join(read.characters[token] for token in rows[1] if token > corpus.STOP)
    assert text == "君言不得意\uff0c归卧南山陲。"
    assert (rows[1, 14:] == corpus.STOP).all()


def test_the_vocabulary_is_what_edge_aigc_reads(corpus: ModuleType, fortunes: Path, tmp_path: Path):
    read = corpus.read_corpus(fortunes)
    corpus.write_vocabulary(read, tmp_path / "vocabulary.json")
    vocabulary = parse_vocabulary((tmp_path / "vocabulary.json").read_bytes(), origin="vocabulary.json")
    assert vocabulary.encode("下马\n") == read.encode("下马\n")


def test_without_the_package_its_name_is_told(corpus: ModuleType, tmp_path: Path):
    with pytest.raises(corpus.CorpusError, match="apt-get install fortunes-zh"):
        corpus.read_corpus(tmp_path)


def test_a_few_steps_train_a_model_like_the_shipped_one(fortunes: Path, tmp_path: Path):
    import keras

    train = importlib.import_module("train")
    out, words = tmp_path / "poems.keras", tmp_path / "words.json"
    arguments = ["--fortunes", fortunes, "--epochs", "1", "--output", out, "--vocabulary", words]
    assert train.main([str(argument) for argument in arguments]) == 0
    model = keras.saving.load_model(out)
    shipped = keras.saving.load_model(EXAMPLE / "poems.keras")
    assert [layer.name for layer in model.layers] == [layer.name for layer in shipped.layers]
    assert model.outputs[0].shape[-1] == len(json.loads(words.read_text("utf-8"))["tokens"])
    assert getattr(model, "optimizer", None) is None


def test_the_loss_counts_nothing_after_the_first_stop():
    train = importlib.import_module("train")
    wanted = np.array([[5, 1, 1, 1]], np.int32)
    logits = np.zeros((1, 4, 8), np.float32)
    logits[0, :2, 1] = 1.0
    other = logits.copy()
    other[0, 2:] = np.random.default_rng(0).standard_normal((2, 8))
    assert float(train._loss(wanted, logits)) == pytest.approx(float(train._loss(wanted, other)))


def test_what_is_shipped_is_small_and_belongs_together():
    import keras

    vocabulary = parse_vocabulary((EXAMPLE / "vocabulary.json").read_bytes(), origin="vocabulary.json")
    model = keras.saving.load_model(EXAMPLE / "poems.keras")
    assert (EXAMPLE / "poems.keras").stat().st_size <= MAX_BYTES
    assert model.outputs[0].shape == (None, None, len(vocabulary.tokens))


@pytest.mark.heavy
def test_the_readme_converts_and_prints_the_same_poem_twice(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    bundle = tmp_path / "poems-rpi4.aigc"
    spec = ["--spec", str(EXAMPLE / "poems.toml"), "--profile", "rpi4", "--meter", "here", "-o", str(bundle)]
    assert run_command(["convert", str(EXAMPLE / "poems.keras"), *spec]) == 0
    capsys.readouterr()
    poems = []
    for _ in range(2):
        ask = ["generate", str(bundle), "--prompt", "春", "--temperature", "0.8", "--seed", "3"]
        assert run_command(ask) == 0
        poems.append(capsys.readouterr().out)
    assert poems[0] == poems[1]
    assert poems[0].startswith("春")
    marks = "\uff0c。\uff01\uff1f\uff1b\uff1a"
    lengths = {len(part) for part in re.split(f"[{marks}\n]+", poems[0]) if part}
    assert lengths & {5, 7}
