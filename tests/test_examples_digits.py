from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image, ImageFont

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "digits"
MODELS = ROOT / "converters" / "models"
MAX_BYTES = 1_500_000


@pytest.fixture(autouse=True)
def _beside_the_scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLE))


@pytest.fixture
def fonts() -> ModuleType:
    return importlib.import_module("fonts")


@pytest.fixture
def train() -> ModuleType:
    return importlib.import_module("train")


@pytest.fixture
def _quick(train: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A few steps are faster uncompiled."""
    import tensorflow as tf

    monkeypatch.setattr(train, "_SETTLING", (1, 4))
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def _a_font(fonts: ModuleType, side: str) -> Path:
    for path in fonts.find():
        if fonts.side_of(fonts.family_key(ImageFont.truetype(path).getname()[0])) == side:
            return Path(path)
    return pytest.fail(f"no font for the {side} is installed: apt-get install fonts-dejavu-core fonts-liberation")


@pytest.mark.usefixtures("_quick")
def test_a_few_steps_make_a_generator_with_the_names_and_shapes_of_the_shipped_one(
    fonts: ModuleType, train: ModuleType, tmp_path: Path
):
    import keras

    (tmp_path / "fonts").mkdir()
    font = _a_font(fonts, "generator")
    (tmp_path / "fonts" / font.name).symlink_to(font)
    output = tmp_path / "digits.keras"

    train.main(["--fonts", str(tmp_path / "fonts"), "--steps", "2", "--batch-size", "4", "--output", str(output)])

    model = keras.saving.load_model(output)
    assert _borders(model) == _borders(keras.saving.load_model(MODELS / "digits.keras"))
    assert getattr(model, "optimizer", None) is None


@pytest.mark.usefixtures("_quick")
def test_training_goes_on_from_its_checkpoint_as_if_it_had_not_stopped(train: ModuleType, tmp_path: Path):
    images = np.random.default_rng(0).integers(256, size=(20, 28, 28)).astype(np.uint8)
    digits = np.arange(20) % 10
    straight = train.train(images, digits, train.Plan(steps=2, batch_size=4), None)

    train.train(images, digits, train.Plan(steps=1, batch_size=4), tmp_path)
    resumed = train.train(images, digits, train.Plan(steps=2, batch_size=4), tmp_path)

    for left, right in zip(straight.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-3, atol=1e-4)


def test_no_family_is_on_two_sides(fonts: ModuleType):
    names = ["DejaVu Sans", "DejaVu Sans Mono", "DejaVu Serif", "Yrsa", "Rasa", "Liberation Sans", "Liberation Mono"]
    sides = {name: fonts.side_of(fonts.family_key(name)) for name in names}

    assert len({sides[name] for name in names if name.startswith("DejaVu")}) == 1
    assert len({sides[name] for name in names if name.startswith("Liberation")}) == 1
    assert sides["Yrsa"] == sides["Rasa"]


def test_faces_are_dealt_to_exactly_one_side_each(fonts: ModuleType):
    glyphs = np.zeros((10, 112, 112), np.uint8)
    faces = [fonts.Face(path=Path(str(i)), family=f"family{i}", glyphs=glyphs) for i in range(100)]

    sides = [fonts.on_side(faces, side) for side in ("generator", "judge", "exam")]

    assert sum(len(side) for side in sides) == len(faces)
    assert all(sides)
    assert len(sides[0]) > len(sides[1]) > len(sides[2])


def test_digits_fill_the_box_of_mnist_and_differ(fonts: ModuleType):
    face = fonts.read_face(_a_font(fonts, "generator"))

    images, digits = fonts.pictures([face], variants=1, seed=0, jitter=fonts.Jitter())

    assert images.shape == (10, 28, 28)
    assert images.dtype == np.uint8
    assert digits.tolist() == list(range(10))
    rows = np.flatnonzero(images[0].max(axis=1) > 128)
    assert 17 <= rows[-1] - rows[0] + 1 <= 23
    assert images[:, 0].max() < 128


def test_the_same_seed_draws_the_same_pictures(fonts: ModuleType):
    face = fonts.read_face(_a_font(fonts, "generator"))
    first, again, other = (
        fonts.pictures([face], variants=2, seed=seed, jitter=fonts.Jitter())[0] for seed in (1, 1, 2)
    )

    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("drawn", ["", "0000000000", "\U000effff" * 10], ids=["blank", "all the same", "missing"])
def test_a_font_without_digits_is_rejected(fonts: ModuleType, monkeypatch: pytest.MonkeyPatch, drawn: str):
    real = fonts._draw
    shown = dict(zip(fonts.DIGITS, drawn or " " * 10, strict=True))
    monkeypatch.setattr(fonts, "_draw", lambda font, character: real(font, shown.get(character, character)))

    with pytest.raises(fonts.NotDigitsError):
        fonts.read_face(_a_font(fonts, "generator"))


def test_a_damaged_font_is_rejected_and_skipped(fonts: ModuleType, tmp_path: Path):
    damaged = tmp_path / "damaged.ttf"
    damaged.write_bytes(b"not a font")

    with pytest.raises(fonts.NotDigitsError, match="damaged"):
        fonts.read_face(damaged)
    assert fonts.read_faces(fonts.find(tmp_path)) == []


def test_no_fonts_names_what_to_install(train: ModuleType, fonts: ModuleType, tmp_path: Path):
    with pytest.raises(fonts.NotDigitsError, match="No font"):
        train.font_pictures(tmp_path, 0)


def test_mnist_is_scaled_and_shaped_like_the_fonts(train: ModuleType, monkeypatch: pytest.MonkeyPatch):
    images = np.stack([np.zeros((28, 28), np.uint8), np.full((28, 28), 255, np.uint8)])
    downloaded = ((images, np.array([3, 7], np.uint8)), (images, np.array([0, 0], np.uint8)))
    monkeypatch.setattr("keras.datasets.mnist.load_data", lambda: downloaded)

    pictures, digits = train.mnist_pictures()
    scaled, onehot, latents = train.batch(pictures, digits, train.Plan(batch_size=5), 0)

    assert scaled.shape == (5, 28, 28, 1)
    assert scaled.dtype == np.float32
    assert set(np.unique(train.to_range(pictures))) == {-1.0, 1.0}
    assert set(onehot.argmax(axis=1)) <= {3, 7}
    assert latents.shape == (5, 64)


def test_diversity_is_nothing_for_one_picture_repeated(fonts: ModuleType):
    score = importlib.import_module("score")
    images, digits = fonts.pictures(
        [fonts.read_face(_a_font(fonts, "generator"))], variants=3, seed=0, jitter=fonts.Jitter()
    )

    assert score.spread(np.zeros_like(images), digits) == 0
    assert score.spread(images, digits) > 0


def test_the_sheet_has_a_column_a_digit():
    score = importlib.import_module("score")
    images = np.repeat(np.arange(10, dtype=np.uint8), 100)[:, None, None] * np.ones((28, 28), np.uint8)

    sheet: Image.Image = score.sheet(images)

    assert sheet.size == (840, 840)
    assert [sheet.getpixel((84 * i, 500)) for i in range(10)] == list(range(10))


def test_the_shipped_model_is_what_its_spec_says_and_small():
    import keras

    spec = tomllib.loads((MODELS / "digits.toml").read_text("utf-8"))
    model = keras.saving.load_model(MODELS / "digits.keras")

    latent, digit = spec["inputs"]
    assert _borders(model) == (
        {latent["name"]: (None, *latent["shape"][1:]), digit["name"]: (None, len(digit["classes"]))},
        {spec["outputs"][0]["name"]: (None, 28, 28, 1)},
    )
    assert (MODELS / "digits.keras").stat().st_size <= MAX_BYTES


def test_the_shipped_model_uses_only_what_the_edge_tpu_runs():
    import keras

    model = keras.saving.load_model(MODELS / "digits.keras")

    kinds = {type(layer).__name__ for layer in model.layers}
    assert kinds <= {
        *("InputLayer", "Concatenate", "Dense", "Reshape", "Conv2D", "Conv2DTranspose"),
        *("BatchNormalization", "ReLU", "Activation"),
    }


@pytest.mark.heavy
def test_the_shipped_model_draws_the_digits_asked_for():
    command = [sys.executable, str(EXAMPLE / "score.py"), str(MODELS / "digits.keras"), "--require", "0.95"]

    result = subprocess.run(command, capture_output=True, text=True, check=False)

    assert result.returncode == 0, result.stdout + result.stderr


def _borders(model: object) -> tuple[dict[str, tuple[int | None, ...]], dict[str, tuple[int | None, ...]]]:
    """Names and shapes of a Keras model's inputs and outputs."""
    inputs, outputs = getattr(model, "inputs"), getattr(model, "outputs")  # noqa: B009 Keras is untyped
    names = getattr(model, "output_names")  # noqa: B009
    return {tensor.name: tensor.shape for tensor in inputs}, {
        name: tensor.shape for name, tensor in zip(names, outputs, strict=True)
    }
