"""What surfaces look like: fields of noise, colours, stripes, strokes; each drawn from random numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

if TYPE_CHECKING:
    from collections.abc import Callable

Array: TypeAlias = NDArray[Any]
Size: TypeAlias = tuple[int, int]
"""Height and width."""

_CHROMA = 0.12
"""How far colours of nature stray from grey, standard deviation; one in seven is as vivid as a thing that was made."""
_VIVID = 0.15


def field(random: np.random.Generator, size: Size, slope: float) -> Array:
    """Return noise whose amplitude falls as frequency to the power of a slope, mean 0, deviation 1, shape ``size``.

    Args:
        random: Is drawn from.
        size: Of the field.
        slope: 0 is white; 1 is how photographs fall (Field 1987, "Relations between the statistics of natural images");
            2 are clouds.
    """
    height, width = size
    frequencies = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    frequencies[0, 0] = np.inf
    spectrum = np.fft.rfft2(random.standard_normal(size)) * frequencies**-slope
    values = np.fft.irfft2(spectrum, s=size)
    normal: Array = (values - values.mean()) / (values.std() or 1.0)
    return normal


def colour(random: np.random.Generator) -> Array:
    """Return a colour, shape (3,), from 0 to 1."""
    if random.random() < _VIVID:
        return random.random(3)
    tone: Array = np.clip(random.random() + _CHROMA * random.standard_normal(3), 0, 1)
    return tone


def blend(values: Array, one: Array, other: Array) -> Array:
    """Return a picture that goes from one colour to another as values go from 0 to 1, shape (height, width, 3)."""
    share = np.clip(values, 0, 1)[..., None]
    picture: Array = one * (1 - share) + other * share
    return picture


def noise(random: np.random.Generator, size: Size) -> Array:
    """Return stone, cloud, bark: noise of some slope between two colours, stretched along an axis or not."""
    height, width = size
    stretch = int(random.integers(1, 7)) if random.random() < 0.4 else 1  # noqa: PLR2004 - as often as not
    values = field(random, (height, -(-width // stretch)), random.uniform(0.4, 2.2))
    values = np.repeat(values, stretch, axis=1)[:, :width]
    contrast = random.uniform(0.05, 0.4)
    return blend(0.5 + contrast * values, colour(random), colour(random))


def stripes(random: np.random.Generator, size: Size) -> Array:
    """Return waves, stripes or squares in some direction, their edges soft or hard, bent a little."""
    rows, columns = np.indices(size)
    bend = field(random, size, 2.5) * random.uniform(0, 4)
    waves = _wave(random, rows + bend, columns)
    if random.random() < 0.4:  # noqa: PLR2004 - as above
        waves = waves * _wave(random, columns + bend, -rows)
    hardness = np.exp(random.uniform(0, 3))
    return blend(0.5 + 0.5 * np.clip(hardness * waves, -1, 1), colour(random), colour(random))


def gradient(random: np.random.Generator, size: Size) -> Array:
    """Return a plane or a cone between two colours."""
    height, width = size
    down, right = np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)[None]
    angle = random.uniform(0, 2 * np.pi)
    plane = np.cos(angle) * down + np.sin(angle) * right
    cone = np.hypot(down - random.uniform(-1, 1), right - random.uniform(-1, 1))
    return blend(0.5 + 0.5 * plane if random.random() < 0.5 else cone, colour(random), colour(random))  # noqa: PLR2004


def strokes(random: np.random.Generator, size: Size) -> Array:
    """Return fur, grass, hatching: many thin lines of about one direction over a ground."""
    height, width = size
    picture = Image.fromarray(as_bytes(gradient(random, size)))
    pen = ImageDraw.Draw(picture)
    angle, straying = random.uniform(0, 2 * np.pi), random.uniform(0.02, 0.5)
    one, other = colour(random), colour(random)
    thick = int(random.integers(1, 5))
    for _ in range(int(height * width / 400)):
        turn = angle + straying * random.standard_normal()
        reach = random.uniform(6, 40)
        top, left = random.uniform(0, height), random.uniform(0, width)
        share = random.random()
        ink = tuple(int(255 * tone) for tone in one * share + other * (1 - share))
        pen.line([left, top, left + reach * np.cos(turn), top + reach * np.sin(turn)], fill=ink, width=thick)
    return np.asarray(picture, dtype=np.float64) / 255


SURFACES: tuple[Callable[[np.random.Generator, Size], Array], ...] = (noise, noise, stripes, gradient, strokes)
"""All that a thing may be covered with; what stands twice comes twice as often. Shape (height, width, 3), 0 to 1."""


def as_bytes(picture: Array) -> Array:
    """Return numbers from 0 to 1 as bytes."""
    shades: Array = np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8)
    return shades


def _wave(random: np.random.Generator, rows: Array, columns: Array) -> Array:
    angle, period = random.uniform(0, np.pi), np.exp(random.uniform(np.log(4), np.log(48)))
    along: Array = np.sin((np.cos(angle) * rows + np.sin(angle) * columns) * (2 * np.pi / period))
    return along
