"""Pictures drawn from a seed, for nets that take a picture and have none: what they teach holds on photographs.

Things of all sizes lie over one another ("dead leaves"): their borders are edges of every direction and contrast, and
their surfaces are textures, gradients, strokes and type. Nets that restore pictures and were trained on such
drawings alone came close to those trained on photographs (Achddou, Gousseau, Ladjal, "Synthetic images as a
regularity prior for image restoration neural networks", 2021).
"""

from __future__ import annotations

import functools
import io
import string
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from edge_aigc.converters.distill.textures import SURFACES, as_bytes, colour, field

if TYPE_CHECKING:
    from edge_aigc.converters.distill.textures import Size

Array: TypeAlias = NDArray[Any]

_FINER = 2
"""Drawn this much larger and then reduced, so that edges fall between pixels."""
_LEAST_PX, _LARGEST_SHARE = 4.0, 0.4
"""Radii of things, all orders of size alike: things of photographs have no scale of their own (Lee, Mumford, Huang
2001, "Occlusion models for natural images")."""
_TYPE_PX = (8, 56)
_LETTERS = string.ascii_letters + string.digits + ".,!?&%"


def drawn_picture(seed: int, size: Size) -> Image.Image:
    """Return an RGB picture; the same seed and size give the same on one machine.

    Args:
        seed: At least 0.
        size: Height and width.
    """
    random = np.random.Generator(np.random.Philox(key=seed))
    finer = (size[0] * _FINER, size[1] * _FINER)
    picture = Image.fromarray(as_bytes(_surface(random, finer)))
    for _ in range(int(random.integers(20, 250))):
        _lay(random, picture)
    for _ in range(int(random.integers(0, 10))):
        _write(random, picture)
    return _taken(random, _lit(random, picture), size)


def _surface(random: np.random.Generator, size: Size) -> Array:
    return SURFACES[int(random.integers(len(SURFACES)))](random, size)


def _lay(random: np.random.Generator, picture: Image.Image) -> None:
    """Put one thing on top."""
    largest = _LARGEST_SHARE * min(picture.size)
    radius = float(np.exp(random.uniform(np.log(_LEAST_PX), np.log(largest))))
    centre = random.random(2) * picture.size
    outline = _outline(random, centre, radius)
    if radius < 12 or random.random() < 0.4:  # noqa: PLR2004 - too small for a texture, or plain
        ink = tuple(int(255 * tone) for tone in colour(random))
        ImageDraw.Draw(picture).polygon(outline, fill=ink)
        return
    left, top = (max(0, int(c - radius)) for c in centre)
    right, bottom = (min(s, int(c + radius) + 1) for c, s in zip(centre, picture.size, strict=True))
    if right - left < 2 or bottom - top < 2:  # noqa: PLR2004 - nothing of it is inside
        return
    mask = Image.new("L", (right - left, bottom - top))
    ImageDraw.Draw(mask).polygon([(x - left, y - top) for x, y in outline], fill=255)
    picture.paste(Image.fromarray(as_bytes(_surface(random, (bottom - top, right - left)))), (left, top), mask)


def _outline(random: np.random.Generator, centre: Array, radius: float) -> list[tuple[float, float]]:
    """Return a polygon: few corners, or so many that it is round, or a bar."""
    corners = int(random.choice([3, 4, 4, 5, 6, 24, 24, 24]))
    angles = np.linspace(0, 2 * np.pi, corners, endpoint=False) + random.uniform(0, 2 * np.pi)
    reach = radius * (np.ones(corners) if random.random() < 0.5 else random.uniform(0.5, 1, corners))  # noqa: PLR2004
    points = np.stack([np.cos(angles), np.sin(angles)], axis=1) * reach[:, None]
    turn, flatness = random.uniform(0, np.pi), random.uniform(0.1, 1)
    axis = np.array([np.cos(turn), np.sin(turn)])
    points -= np.outer(points @ axis, axis) * (1 - flatness)
    return [(float(x), float(y)) for x, y in centre + points]


def _write(random: np.random.Generator, picture: Image.Image) -> None:
    """Write a word somewhere, in some direction."""
    word = "".join(random.choice(list(_LETTERS), size=int(random.integers(2, 14))))
    font = _font(int(np.exp(random.uniform(*np.log(_TYPE_PX)))))
    _, _, width, height = (int(side) for side in font.getbbox(word))
    mask = Image.new("L", (width + 2, height + 2))
    ImageDraw.Draw(mask).text((0, 0), word, fill=255, font=font)
    if random.random() < 0.4:  # noqa: PLR2004 - most type is level
        mask = mask.rotate(random.uniform(-90, 90), expand=True, resample=Image.Resampling.BILINEAR)
    at = (int(random.uniform(-20, picture.width)), int(random.uniform(-10, picture.height)))
    picture.paste(tuple(int(255 * tone) for tone in colour(random)), at, mask)


@functools.cache
def _font(size_px: int) -> Any:
    return ImageFont.load_default(size_px)


def _lit(random: np.random.Generator, picture: Image.Image) -> Array:
    """Return the picture under uneven light, with a grain of its own; from 0 to 1."""
    size = (picture.height, picture.width)
    light = 1 + random.uniform(0, 0.3) * field(random, size, 2.5)
    grain = random.uniform(0, 0.06) * field(random, size, random.uniform(0.3, 1.2))
    shades: Array = np.asarray(picture, dtype=np.float64) / 255
    return np.clip(shades * light[..., None] + grain[..., None], 0, 1)


def _taken(random: np.random.Generator, shades: Array, size: Size) -> Image.Image:
    """Return it as a camera gives it: reduced, more or less sharp, noisy, compressed."""
    shades = shades ** np.exp(random.uniform(-0.4, 0.4))
    picture = Image.fromarray(as_bytes(shades)).resize(size[::-1], Image.Resampling.BOX)
    if random.random() < 0.5:  # noqa: PLR2004 - one in two
        picture = picture.filter(ImageFilter.GaussianBlur(random.uniform(0.3, 1.4)))
    if random.random() < 0.5:  # noqa: PLR2004
        noisy = np.asarray(picture) + random.standard_normal((*size, 3)) * random.uniform(0.5, 5)
        picture = Image.fromarray(np.clip(np.rint(noisy), 0, 255).astype(np.uint8))
    if random.random() < 0.5:  # noqa: PLR2004
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=int(random.integers(60, 97)))
        picture = Image.open(file).convert("RGB")
    return picture
