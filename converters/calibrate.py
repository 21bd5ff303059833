"""Inputs to run a generator on: drawn from its priors, or cropped from pictures.

A generator is its own data set: seeds are enough to calibrate it and to compare two forms of it.
Only a model whose input is a picture needs pictures, and then those that verify are never those that
calibrated.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from edge_aigc.errors import SpecError
from edge_aigc.priors import draw, random_words

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from edge_aigc.spec import GeneratorSpec, Picture

Array: TypeAlias = NDArray[Any]

GOLDEN_FIRST_SEED = 0
VERIFY_FIRST_SEED = 1 << 40
CALIBRATE_FIRST_SEED = 1 << 41
"""Three runs of seeds that never meet, so that nothing is verified on what it was calibrated on."""
VERIFY_SAMPLES = 64
"""PSNR is pooled over this many seeds: contract 1."""
CALIBRATE_SAMPLES = 64
"""More do not help: the digits' int8 reached 44.2, 43.7 and 43.7 dB with 64, 128 and 256, as outliers widen ranges."""

_SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp"}
_MOST_PICTURES = 500
_HELD_OUT_EVERY = 4
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """Pictures of the user's, divided once and for all."""

    calibrate: tuple[Image.Image, ...]
    verify: tuple[Image.Image, ...]
    sha256: tuple[str, ...]
    """Of the files of `calibrate`."""


def read_pictures(folder: Path, smallest: tuple[int, int]) -> Pictures:
    """Read the pictures of a folder and divide them: every fourth verifies, the others calibrate.

    Of a single picture the lower quarter verifies.

    Args:
        folder: Its PNG, JPEG, WebP and BMP files are taken in the order of their names, at most 500.
        smallest: Height and width that a crop needs; smaller pictures are left out.

    Raises:
        SpecError: There is no such folder, or no picture in it that is large enough.
    """
    if not folder.is_dir():
        raise SpecError(f"{folder} is not a folder.", remedy="Give `--calibration` a folder of pictures.")
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES)[:_MOST_PICTURES]
    read = [(path, picture) for path in files if (picture := _read(path)) is not None]
    height, width = smallest
    # The same picture under two names would otherwise calibrate and verify.
    distinct = {hashlib.sha256(picture.tobytes()).digest(): (path, picture) for path, picture in reversed(read)}
    large = [
        (path, pic) for path, pic in sorted(distinct.values(), key=_path) if pic.height >= height and pic.width >= width
    ]
    if not large:
        raise SpecError(
            f"{folder} holds {len(files)} picture files, {len(read)} of them readable, none at least {height}x{width}.",
            remedy="Give `--calibration` a folder with larger pictures, like those that the model will see.",
        )
    if len(large) == 1:
        return _halved(*large[0], height)
    held_out = [entry for index, entry in enumerate(large) if index % _HELD_OUT_EVERY == 1]
    kept = [entry for index, entry in enumerate(large) if index % _HELD_OUT_EVERY != 1]
    return Pictures(
        calibrate=tuple(picture for _, picture in kept),
        verify=tuple(picture for _, picture in held_out),
        sha256=tuple(_sha256(path) for path, _ in kept),
    )


def sample_inputs(
    spec: GeneratorSpec, pictures: Sequence[Image.Image], *, first_seed: int, count: int
) -> list[dict[str, Array]]:
    """Return the inputs of several samples, by the specification's names.

    Args:
        spec: The generator.
        pictures: Where picture inputs are cropped from, in turn; the seed picks the place.
        first_seed: The seeds are consecutive from here.
        count: How many samples.
    """
    samples = []
    for index in range(count):
        seed = first_seed + index
        cropped = {tensor.name: _crop(pictures[index % len(pictures)], tensor, seed) for tensor in spec.pictures}
        samples.append(draw(spec, seed=seed, pictures=cropped))
    return samples


def _crop(picture: Image.Image, tensor: Picture, seed: int) -> Array:
    _, height, width, channels = tensor.shape
    down, right = (int(word) for word in random_words(seed, f"{tensor.name}/crop", 2))
    top = (down * (picture.height - height + 1)) >> 64
    left = (right * (picture.width - width + 1)) >> 64
    part = picture.crop((left, top, left + width, top + height)).convert(_MODES[channels])
    low, high = tensor.range
    share = np.asarray(part, dtype=np.float32).reshape(tensor.shape) / np.float32(255.0)
    return (low + (high - low) * share).astype(tensor.dtype)


def _path(entry: tuple[Path, Image.Image]) -> Path:
    return entry[0]


def _read(path: Path) -> Image.Image | None:
    try:
        with Image.open(path) as picture:
            return picture.convert("RGBA" if picture.mode in {"RGBA", "LA", "PA"} else "RGB")
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None


def _halved(path: Path, picture: Image.Image, height: int) -> Pictures:
    below = max(picture.height // 4, height)
    if picture.height - below < height:
        raise SpecError(
            f"{path} alone, {picture.height}x{picture.width}, cannot be divided into parts of height {height}.",
            remedy="Give at least two pictures: one calibrates, another verifies.",
        )
    border = picture.height - below
    return Pictures(
        calibrate=(picture.crop((0, 0, picture.width, border)),),
        verify=(picture.crop((0, border, picture.width, picture.height)),),
        sha256=(_sha256(path),),
    )


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
