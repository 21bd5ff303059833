"""Score a digits generator: are its digits read as the ones asked for, and do they differ as much as fonts do?

The reader is a small network trained here on the judge's fonts, none of which the generator has seen, and examined
on fonts of a third group.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
from fonts import (
    DIGITS,
    SIDE_PX,
    Face,
    Jitter,
    NotDigitsError,
    Pixels,
    find,
    missing_packages,
    on_side,
    pictures,
    read_faces,
)
from keras import layers
from PIL import Image

from edge_aigc.bundle import read_bundle
from edge_aigc.interpreter import Interpreter

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PER_CLASS = 100
_EPOCHS = 8
_BATCH_SIZE = 64
_JUDGE_JITTER = Jitter(
    shift_px=1.5, rotate_deg=6.0, shear=0.12, scale=0.12, stroke_share=0.4
)  # wider than the generator's: a steady reader
_BELOW = 3  # the exit code of a promise not kept, as in `edge-aigc` itself
_SHEET_ROWS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """What was measured; every share is of 1."""

    judge_accuracy: float
    """Of the reader, on fonts that neither it nor the generator has seen."""
    read_as_asked: float
    """Share of the samples that the reader takes for the digit asked for."""
    by_digit: dict[str, float]
    diversity: float
    """Mean distance between two samples of a digit, relative to that between two pictures of the training fonts."""
    samples: int


def train_judge(faces: list[Face], seed: int) -> Any:
    """A convolutional reader of ``(n, 28, 28)`` pictures of 0 to 255, which answers with ten logits."""
    keras.utils.set_random_seed(seed)
    images, digits = pictures(faces, variants=20, seed=seed, jitter=_JUDGE_JITTER)
    judge = keras.Sequential(
        [
            keras.Input((SIDE_PX, SIDE_PX)),
            layers.Rescaling(1 / 255),
            layers.Reshape((SIDE_PX, SIDE_PX, 1)),
            layers.Conv2D(16, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dropout(0.4),
            layers.Dense(64, activation="relu"),
            layers.Dense(len(DIGITS)),
        ]
    )
    judge.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    judge.fit(images, digits, batch_size=_BATCH_SIZE, epochs=_EPOCHS, verbose=0)
    return judge


@dataclass(frozen=True, slots=True, kw_only=True)
class _Input:
    name: str
    shape: tuple[int, ...]


class Bundled:
    """The generator of a bundle, asked as a Keras model is."""

    def __init__(self, path: Path) -> None:
        """Load it.

        Raises:
            BundleError: It is no bundle.
        """
        bundle = read_bundle(path)
        self._interpreter = Interpreter(bundle.content[bundle.manifest.model.file])
        self._names = bundle.manifest.model.inputs
        self.inputs = [_Input(name=one.name, shape=one.shape) for one in bundle.manifest.spec.inputs]

    def predict(self, asked: dict[str, Any], verbose: int = 0) -> Any:
        """Return pictures of shape ``(n, 28, 28, 1)``, made one by one."""
        del verbose
        count = len(asked[self._names[0]])
        rows = ([asked[name][at : at + 1] for name in self._names] for at in range(count))
        return np.concatenate([_floats(self._interpreter.run(row)[0]) for row in rows])


def _floats(picture: NDArray[Any]) -> NDArray[Any]:
    """Return a picture in [-1, 1], as pixels leave some bundles in 8 bits."""
    return picture if picture.dtype != np.uint8 else picture.astype(np.float32) / 127.5 - 1


def draw(generator: Any, per_class: int, seed: int) -> tuple[Pixels, NDArray[np.int64]]:
    """Ask a generator for every digit ``per_class`` times.

    Args:
        generator: A model with inputs ``latent`` (standard normal) and ``digit`` (one-hot); its picture is in [-1, 1].
        per_class: Samples of each digit.
        seed: Of the latents.

    Returns:
        Pictures of shape ``(10 * per_class, 28, 28)``, and the digits asked for.
    """
    latent_size = next(tensor.shape[1] for tensor in generator.inputs if tensor.name == "latent")
    digits = np.repeat(np.arange(len(DIGITS)), per_class)
    latents = np.random.default_rng(seed).standard_normal((len(digits), latent_size), dtype=np.float32)
    asked = np.eye(len(DIGITS), dtype=np.float32)[digits]
    images = generator.predict({"latent": latents, "digit": asked}, verbose=0)[..., 0]
    return np.round((np.clip(images, -1, 1) + 1) * 127.5).astype(np.uint8), digits


def spread(images: Pixels, digits: NDArray[np.int64]) -> float:
    """Mean Euclidean distance between two pictures of the same digit: all pairs of 100 pictures, all digits."""
    means = []
    for digit in range(len(DIGITS)):
        own = images[digits == digit].reshape(-1, SIDE_PX**2) / 255
        own = own[:: max(1, len(own) // _PER_CLASS)][:_PER_CLASS]
        distances = np.linalg.norm(own[:, np.newaxis] - own[np.newaxis], axis=2)
        means.append(distances.sum() / (len(own) * (len(own) - 1)))
    return float(np.mean(means))


def score(generator: Any, faces: list[Face], seed: int) -> tuple[Score, Pixels]:
    """Measure a generator; the samples come back as well, shape ``(1000, 28, 28)``, a hundred of each digit in order.

    Raises:
        NotDigitsError: A side of the split has no font.
    """
    sides = {side: on_side(faces, side) for side in ("generator", "judge", "exam")}
    if empty := [side for side, own in sides.items() if not own]:
        raise NotDigitsError(
            f"No font for the {' and the '.join(empty)} was found. Install: {' '.join(missing_packages())}"
        )
    judge = train_judge(sides["judge"], seed)
    exam_images, exam_digits = pictures(sides["exam"], variants=4, seed=seed, jitter=Jitter())
    images, digits = draw(generator, _PER_CLASS, seed)
    right = _read(judge, images) == digits
    known_images, known_digits = pictures(sides["generator"], variants=1, seed=seed, jitter=Jitter())
    figures = Score(
        judge_accuracy=float(np.mean(_read(judge, exam_images) == exam_digits)),
        read_as_asked=float(right.mean()),
        by_digit={digit: float(right[digits == i].mean()) for i, digit in enumerate(DIGITS)},
        diversity=spread(images, digits) / spread(known_images, known_digits),
        samples=len(images),
    )
    return figures, images


def sheet(images: Pixels) -> Image.Image:
    """The first samples of each digit: a column a digit, ten rows, enlarged three times."""
    columns = images.reshape(len(DIGITS), -1, SIDE_PX, SIDE_PX)[:, :_SHEET_ROWS]
    pixels = columns.transpose(1, 2, 0, 3).reshape(_SHEET_ROWS * SIDE_PX, len(DIGITS) * SIDE_PX)
    return Image.fromarray(pixels).resize((pixels.shape[1] * 3, pixels.shape[0] * 3), Image.Resampling.NEAREST)


def _read(judge: Any, images: Pixels) -> NDArray[np.int64]:
    answers: NDArray[np.int64] = np.argmax(judge.predict(images, verbose=0), axis=1)
    return answers


def _table(figures: Score) -> str:
    rows = [
        f"read as asked   {figures.read_as_asked:7.1%}  of {figures.samples:,} samples",
        *(f"  digit {digit}       {share:7.1%}" for digit, share in figures.by_digit.items()),
        f"diversity       {figures.diversity:7.1%}  of the training fonts'",
        f"judge           {figures.judge_accuracy:7.1%}  right on fonts new to it",
    ]
    return "\n".join(rows)


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Score a digits generator.")
    parser.add_argument("model", type=Path, help="a .keras generator, or a bundle of one")
    parser.add_argument(
        "--fonts", type=Path, metavar="FOLDER", help="font files (default: those of the Debian packages)"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--require", type=float, default=0.0, metavar="SHARE", help="fail if fewer samples are read as asked"
    )
    parser.add_argument("--sheet", type=Path, metavar="PNG", help="save a picture of the first samples")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Score as the command line says; the exit code is 3 if the requirement is not met."""
    options = _arguments(argv)
    bundled = options.model.suffix == ".aigc"
    generator = Bundled(options.model) if bundled else keras.saving.load_model(options.model, compile=False)
    figures, images = score(generator, read_faces(find(options.fonts)), options.seed)
    if options.sheet:
        sheet(images).save(options.sheet)
    sys.stdout.write((json.dumps(asdict(figures)) if options.json else _table(figures)) + "\n")
    return 0 if figures.read_as_asked >= options.require else _BELOW


if __name__ == "__main__":
    sys.exit(main())
