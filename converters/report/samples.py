"""Samples as a page shows them: pictures, sounds, text, clouds and plain numbers, from both forms side by side."""

from __future__ import annotations

import base64
import functools
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edge_aigc.converters.fidelity import Pair
from edge_aigc.media import audio
from edge_aigc.media.image import to_pixels

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from edge_aigc.converters.fidelity import Evidence
    from edge_aigc.spec import Output

Array: TypeAlias = NDArray[Any]

_SHOWN_PX = 256
"""Larger pictures are shrunk to this for the page."""
_LEAST_PX = 128
"""Smaller ones are drawn larger, pixel by pixel."""
_COLUMNS = 240
"""Of a waveform."""
_MOST_POINTS = 800
_MOST_TOKENS = 400
_LIKELIEST = 6
_GAINS = tuple(2.0**step for step in range(11))


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One array as a page shows it; what does not apply is empty."""

    title: str
    picture: str = ""
    """A data URI of a PNG."""
    width: int = 0
    height: int = 0
    sound: str = ""
    """A data URI of a WAV."""
    path: str = ""
    """The `d` of an SVG path in a box of 240 x 80."""
    dots: tuple[tuple[float, float], ...] = ()
    """In a box of 100 x 100."""
    words: tuple[tuple[str, bool], ...] = ()
    """Each token, and whether the other form says another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One sample from both forms, and the difference."""

    sample: int
    value: float
    worst: bool
    views: tuple[View, ...]


def shown(evidence: Evidence, tokens: Sequence[str] = ()) -> tuple[Shown, ...]:
    """Return the samples of an evidence for a page: the worst first.

    Args:
        evidence: Of one output.
        tokens: What the tokens of text are, by number; empty shows the numbers.
    """
    show = _VIEWS.get(evidence.output.media, _numbers)
    if evidence.output.media == "text":
        show = functools.partial(_texts, tokens=tokens)
    gain = _gain(evidence)
    pairs = dict.fromkeys((evidence.worst.sample, *(pair.sample for pair in evidence.pairs)))
    known = {pair.sample: pair for pair in (*evidence.pairs, evidence.worst)}
    return tuple(
        Shown(
            sample=sample,
            value=known[sample].value,
            worst=sample == evidence.worst.sample,
            views=show(known[sample], evidence.output, gain),
        )
        for sample in pairs
    )


def viewed(values: Array, output: Output, tokens: Sequence[str] = ()) -> View:
    """Return one output alone.

    Args:
        values: In the model's own units.
        output: What they are.
        tokens: As for `shown`.
    """
    if output.media == "image":
        return _picture("", to_pixels(values, output))
    if output.media == "audio":
        return View(title="", sound=_uri("audio/wav", audio.encode(values, output)), path=_wave(values, output))
    alone = Pair(sample=0, value=0.0, reference=values, found=values)
    if output.media == "text":
        return _texts(alone, output, 1.0, tokens=tokens)[0]
    return _VIEWS.get(output.media, _numbers)(alone, output, 1.0)[0]


def _gain(evidence: Evidence) -> float:
    """Return what differences are multiplied with: the largest power of two that keeps most of them in the range."""
    limits = evidence.output.range
    if limits is None or evidence.output.media not in {"image", "audio"}:
        return 1.0
    largest = max(_largest(pair) for pair in (*evidence.pairs, evidence.worst))
    return max((gain for gain in _GAINS if gain * largest <= limits[1] - limits[0]), default=1.0)


def _difference(gain: float) -> str:
    return f"difference \N{MULTIPLICATION SIGN} {gain:g}"


def _largest(pair: Pair) -> float:
    apart = np.abs(pair.reference.astype(np.float64) - pair.found)
    return float(np.quantile(apart, 0.99)) if np.isfinite(apart).all() else 0.0


def _pictures(pair: Pair, output: Output, gain: float) -> tuple[View, ...]:
    assert output.range is not None
    low, high = output.range
    a, b = (np.clip(values.astype(np.float64), low, high) for values in (pair.reference, pair.found))
    apart = np.clip(gain * np.abs(a - b)[..., :3], 0, high - low)
    plain = msgspec.structs.replace(output, range=(0.0, high - low))
    return (
        _picture("source", to_pixels(pair.reference, output)),
        _picture("bundle", to_pixels(pair.found, output)),
        _picture(_difference(gain), to_pixels(apart, plain)),
    )


def _picture(title: str, pixels: NDArray[np.uint8]) -> View:
    picture = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    picture.thumbnail((_SHOWN_PX, _SHOWN_PX))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    scale = max(1, round(_LEAST_PX / max(picture.size)))
    return View(
        title=title,
        picture=_uri("image/png", buffer.getvalue()),
        width=picture.width * scale,
        height=picture.height * scale,
    )


def _sounds(pair: Pair, output: Output, gain: float) -> tuple[View, ...]:
    assert output.range is not None
    low, high = output.range
    apart = (low + high) / 2 + gain * (pair.found.astype(np.float64) - pair.reference)
    return tuple(
        View(title=title, sound=_uri("audio/wav", audio.encode(values, output)), path=_wave(values, output))
        for title, values in (
            ("source", pair.reference),
            ("bundle", pair.found),
            (_difference(gain), np.clip(apart, low, high)),
        )
    )


def _wave(values: Array, output: Output) -> str:
    """Return a filled outline: the loudest and the softest of each column."""
    pcm = audio.to_pcm(values, output)[:, 0] / 32767
    columns = np.array_split(pcm, min(_COLUMNS, len(pcm)))
    step = _COLUMNS / len(columns)
    tops = [f"{index * step:.1f},{40 - 38 * column.max():.1f}" for index, column in enumerate(columns)]
    bottoms = [f"{index * step:.1f},{40.5 - 38 * column.min():.1f}" for index, column in enumerate(columns)]
    return f"M{' L'.join(tops)} L{' L'.join(reversed(bottoms))} Z"


def _clouds(pair: Pair, output: Output, gain: float) -> tuple[View, ...]:
    del output, gain
    low, high = pair.reference[0].min(axis=0), pair.reference[0].max(axis=0)
    middle, width = (low + high) / 2, float((high - low).max()) or 1.0
    views = []
    for title, values in (("source", pair.reference), ("bundle", pair.found)):
        points = values[0][:: -(-values.shape[1] // _MOST_POINTS)]
        placed = np.clip(50 + 92 * (points - middle) / width, 0, 100)
        views += [
            View(
                title=f"{title}, {axes}",
                dots=tuple((round(float(p[i]), 1), round(100 - float(p[j]), 1)) for p in placed),
            )
            for axes, i, j in (("front", 0, 1), ("side", 2, 1))
        ]
    return tuple(views)


def _texts(pair: Pair, output: Output, gain: float, *, tokens: Sequence[str]) -> tuple[View, ...]:
    """Return the likeliest token of every step; of a single step the likeliest few, and how likely they are."""
    del output, gain
    if int(np.prod(pair.reference.shape[:-1])) == 1:
        return _one_step(pair.reference.ravel(), pair.found.ravel(), tokens)
    a, b = (np.argmax(values, axis=-1).ravel()[:_MOST_TOKENS] for values in (pair.reference, pair.found))
    return tuple(
        View(
            title=title,
            words=tuple(
                (_token(int(token), tokens), bool(one != other)) for token, one, other in zip(side, a, b, strict=True)
            ),
        )
        for title, side in (("source, next tokens", a), ("bundle, next tokens", b))
    )


def _one_step(reference: Array, found: Array, tokens: Sequence[str]) -> tuple[View, ...]:
    orders = [np.argsort(-side, kind="stable")[:_LIKELIEST] for side in (reference, found)]
    views = []
    for title, logits, own, other in (
        ("source, next token", reference, orders[0], orders[1]),
        ("bundle, next token", found, orders[1], orders[0]),
    ):
        shares = np.exp(logits.astype(np.float64) - logits.max())
        shares /= shares.sum()
        words = tuple(
            (f"{_token(int(token), tokens)} {shares[token]:.1%} ", bool(token != twin))
            for token, twin in zip(own, other, strict=True)
        )
        views.append(View(title=title, words=words))
    return tuple(views)


def _token(number: int, tokens: Sequence[str]) -> str:
    return tokens[number] if number < len(tokens) else str(number)


def _numbers(pair: Pair, output: Output, gain: float) -> tuple[View, ...]:
    del output, gain
    a, b = (values.ravel().astype(np.float64)[:_COLUMNS] for values in (pair.reference, pair.found))
    low, width = float(a.min()), float(np.ptp(a)) or 1.0
    return tuple(View(title=title, path=_line((side - low) / width)) for title, side in (("source", a), ("bundle", b)))


def _line(shares: Array) -> str:
    """Return a step for each number, from the bottom of the box."""
    step = _COLUMNS / len(shares)
    heights = np.clip(np.nan_to_num(77 - 74 * shares, nan=77.0), 0, 80)
    corners = [f"{i * step:.1f},{y:.1f} {(i + 1) * step:.1f},{y:.1f}" for i, y in enumerate(heights)]
    return f"M0,80 L{' L'.join(' L'.join(corner.split()) for corner in corners)} L{_COLUMNS},80 Z"


def _uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


_VIEWS: Mapping[str, Callable[[Pair, Output, float], tuple[View, ...]]] = {
    "image": _pictures,
    "audio": _sounds,
    "points": _clouds,
}
