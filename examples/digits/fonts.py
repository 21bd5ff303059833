"""Pictures of digits, drawn from the free fonts of Debian: the data that the digits generator learns from.

A *face* is one font file; its ten digits are drawn large once, and every picture is one of them, slightly moved,
turned, slanted, thickened or thinned, and reduced to 28x28, white on black, as in MNIST.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

Pixels = NDArray[np.uint8]
Side = Literal["generator", "judge", "exam"]

DIGITS = "0123456789"
SIDE_PX = 28
_GLYPH_PX = 20  # MNIST fits each digit into a 20x20 box in the middle of 28x28: yann.lecun.com/exdb/mnist
_OVERSAMPLE = 4  # drawn at four times the size, then averaged: smooth edges
_DRAWN_PT = 160
_FACES_PER_FAMILY = 12  # so that a family of 70 styles does not outweigh one of a single style
_UNASSIGNED = "\U000effff"  # a code point no font has: what the font draws for "missing"
_FAINT = 150  # of 255: a face whose brightest tenth of lit pixels is below this is a hairline, grey at 28x28
_SAME = 0.02  # mean difference of two pictures, of 1, under which they show the same shape

PACKAGES = tuple(
    f"fonts-{name}"
    for name in [
        "adf-accanthis",
        "adf-baskervald",
        "adf-gillius",
        "adf-libris",
        "adf-romande",
        "adf-switzera",
        "adf-tribun",
        "adf-universalis",
        "averia-sans-gwf",
        "averia-serif-gwf",
        "b612",
        "cabin",
        "cantarell",
        "cardo",
        "clear-sans",
        "comfortaa",
        "comic-neue",
        "courier-prime",
        "crosextra-caladea",
        "dancingscript",
        "dejavu-core",
        "ebgaramond",
        "gfs-artemisia",
        "gfs-didot",
        "gfs-neohellenic",
        "go",
        "inconsolata",
        "inter",
        "junction",
        "jura",
        "karla",
        "kaushanscript",
        "lato",
        "league-mono",
        "league-spartan",
        "liberation",
        "linuxlibertine",
        "lmodern",
        "lobster",
        "lobstertwo",
        "manrope",
        "mononoki",
        "oldstandard",
        "open-sans",
        "oxygen",
        "paratype",
        "play",
        "quattrocento",
        "quicksand",
        "roadgeek",
        "roboto-unhinted",
        "roboto-slab",
        "routed-gothic",
        "sil-andika",
        "sil-charis",
        "sil-gentiumplus",
        "sora",
        "stix",
        "texgyre",
        "tuffy",
        "yanone-kaffeesatz",
        "yrsa-rasa",
    ]
)
"""Text fonts of Debian 12 main, where every package is free; none that are outlines, stencils or scrawls."""

_SAME_DESIGN = {"rasa": "yrsa"}
"""Families that share their digits under two names: fonts-yrsa-rasa says that both have one Latin."""


class NotDigitsError(ValueError):
    """The font cannot be read, or what it draws for 0 to 9 are not ten different shapes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Face:
    """One font file's ten digits."""

    path: Path
    family: str
    """Key of the family: faces that share it are always on the same side."""
    glyphs: Pixels
    """Ten white-on-black pictures, shape ``(10, 112, 112)``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Jitter:
    """How far a picture may differ from the font's own drawing; each figure is the end of a symmetric range."""

    shift_px: float = 0.7
    rotate_deg: float = 3.0
    shear: float = 0.06
    scale: float = 0.06
    stroke_share: float = 0.3
    """Share of pictures whose strokes are thickened or thinned by a quarter pixel a side."""


def find(folder: Path | None = None) -> list[Path]:
    """Font files in ``folder``, or of those `PACKAGES` that are installed; sorted."""
    paths = folder.rglob("*") if folder else map(Path, _installed_files())
    return sorted({path for path in paths if path.suffix.lower() in {".ttf", ".otf"} and path.is_file()})


def missing_packages() -> list[str]:
    """Those of `PACKAGES` that are not installed."""
    return [name for name in PACKAGES if not _package_files(name)]


def family_key(name: str) -> str:
    """First word of a font's family name, so that its mono, serif and condensed relatives count as one family.

    >>> family_key("DejaVu Sans Mono") == family_key("DejaVu Serif")
    True
    """
    word = re.match(r"[A-Z]?[a-z]+|[A-Z0-9]+(?![a-z])|.", name)
    key = (word.group() if word else name).lower()
    return _SAME_DESIGN.get(key, key)


def side_of(family: str) -> Side:
    """Who may see a family: the generator (70 %), the judge (20 %), or the judge's own exam (10 %)."""
    percent = hashlib.sha256(family.encode()).digest()[0] * 100 // 256
    return "generator" if percent < 70 else "judge" if percent < 90 else "exam"  # noqa: PLR2004 the shares above


def read_face(path: Path) -> Face:
    """Draw the digits of one font.

    Raises:
        NotDigitsError: The file is damaged, or a digit is blank, missing, or the same as another.
    """
    try:
        font = ImageFont.truetype(path, _DRAWN_PT)
        glyphs = np.stack([_draw(font, digit) for digit in DIGITS])
        absent = _draw(font, _UNASSIGNED)
    except (OSError, ValueError) as exc:
        raise NotDigitsError(f"{path.name}: {exc}") from exc
    shapes = glyphs.reshape(len(DIGITS), -1) / 255
    if not shapes.any(axis=1).all():
        raise NotDigitsError(f"{path.name}: a digit is blank.")
    if _brightness(glyphs) < _FAINT:
        raise NotDigitsError(f"{path.name}: its strokes are too thin for {SIDE_PX} pixels.")
    if min(np.abs(shapes - absent.ravel() / 255).mean(axis=1)) < _SAME:
        raise NotDigitsError(f"{path.name}: a digit is missing.")
    if min(np.abs(a - b).mean() for i, a in enumerate(shapes) for b in shapes[:i]) < _SAME:
        raise NotDigitsError(f"{path.name}: two digits look the same.")
    return Face(path=path, family=family_key(font.getname()[0] or path.stem), glyphs=glyphs)


def read_faces(paths: list[Path]) -> list[Face]:
    """Every usable face: not digits, drawn before, and beyond twelve of a family are left out."""
    by_family: dict[str, dict[bytes, Face]] = defaultdict(dict)
    for path in paths:
        try:
            face = read_face(path)
        except NotDigitsError:
            continue
        seen = hashlib.sha256(face.glyphs.tobytes()).digest()
        by_family[face.family].setdefault(seen, face)
    return [face for family in sorted(by_family) for face in _spread(list(by_family[family].values()))]


def on_side(faces: list[Face], side: Side) -> list[Face]:
    """Those of ``faces`` that ``side`` may see."""
    return [face for face in faces if side_of(face.family) == side]


def pictures(faces: list[Face], *, variants: int, seed: int, jitter: Jitter) -> tuple[Pixels, NDArray[np.int64]]:
    """Draw every digit of every face ``variants`` times.

    Returns:
        Pictures of shape ``(n, 28, 28)``, white on black, and the digits they show, shape ``(n,)``.
    """
    rng = np.random.default_rng(seed)
    drawn = [_vary(glyph, rng, jitter) for face in faces for glyph in face.glyphs for _ in range(variants)]
    return np.stack(drawn), np.tile(np.repeat(np.arange(len(DIGITS)), variants), len(faces))


@cache
def _package_files(name: str) -> tuple[str, ...]:
    """What an installed Debian package put on this machine; nothing where it, or dpkg, is absent."""
    try:
        listing = subprocess.run(["dpkg", "--listfiles", name], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ()
    return tuple(listing.stdout.splitlines()) if listing.returncode == 0 else ()


def _installed_files() -> list[str]:
    return [file for name in PACKAGES for file in _package_files(name)]


def _draw(font: ImageFont.FreeTypeFont, character: str) -> Pixels:
    """Draw one character, its ink fitted into the middle of the picture; all black if it has no ink."""
    side, box = SIDE_PX * _OVERSAMPLE, _GLYPH_PX * _OVERSAMPLE
    left, top, right, bottom = (round(edge) for edge in font.getbbox(character))
    canvas = Image.new("L", (side, side))
    if right <= left or bottom <= top:
        return np.asarray(canvas)
    ink = Image.new("L", (right - left, bottom - top))
    ImageDraw.Draw(ink).text((-left, -top), character, fill=255, font=font)
    ink = ink.crop(ink.getbbox())
    ratio = box / max(ink.size)
    ink = ink.resize((max(1, round(ink.width * ratio)), max(1, round(ink.height * ratio))), Image.Resampling.LANCZOS)
    canvas.paste(ink, ((side - ink.width) // 2, (side - ink.height) // 2))
    return np.asarray(canvas)


def _brightness(glyphs: Pixels) -> float:
    """What nine tenths of the lit pixels stay below, once the glyphs are 28x28."""
    small = glyphs.reshape(-1, SIDE_PX, _OVERSAMPLE, SIDE_PX, _OVERSAMPLE).mean(axis=(2, 4))
    return float(np.percentile(small[small > 0], 90))


def _vary(glyph: Pixels, rng: np.random.Generator, jitter: Jitter) -> Pixels:
    """One picture of a large glyph, shape ``(28, 28)``."""
    drawn, centre = Image.fromarray(glyph), glyph.shape[0] / 2
    if rng.random() < jitter.stroke_share:
        drawn = drawn.filter(ImageFilter.MaxFilter(3) if rng.random() < 0.5 else ImageFilter.MinFilter(3))  # noqa: PLR2004 a coin
    turn, slant = np.deg2rad(rng.uniform(-1, 1) * jitter.rotate_deg), rng.uniform(-1, 1) * jitter.shear
    turned = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    matrix = turned @ np.array([[1, slant], [0, 1]]) / (1 + rng.uniform(-1, 1) * jitter.scale)
    moved = rng.uniform(-1, 1, 2) * jitter.shift_px * _OVERSAMPLE
    offset = centre - matrix @ (centre + moved)
    coefficients = (*matrix[0], offset[0], *matrix[1], offset[1])
    moved_glyph = drawn.transform(drawn.size, Image.Transform.AFFINE, coefficients, Image.Resampling.BILINEAR)
    return np.asarray(moved_glyph.reduce(_OVERSAMPLE))


def _spread(faces: list[Face]) -> list[Face]:
    """At most twelve of a family's faces, evenly over its list."""
    step = max(1, len(faces) / _FACES_PER_FAMILY)
    return [faces[int(i * step)] for i in range(min(len(faces), _FACES_PER_FAMILY))]


if __name__ == "__main__":
    sys.stdout.write(" ".join(PACKAGES) + "\n")
