"""The curve of cost against fidelity along the ratios of pruning, and what the model makes along it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_aigc.converters.report.plots import HEIGHT, WIDTH, Scale, even_ticks, span
from edge_aigc.converters.report.samples import viewed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edge_aigc.converters.curve import CurvePoint, Method
    from edge_aigc.converters.report.samples import View
    from edge_aigc.spec import Output

_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 18, 14, 40
_SHARES = (0, 20, 40, 60, 80, 100)
_METHODS: tuple[Method, ...] = ("magnitude", "repaired", "distilled")
_WORDS: Mapping[Method, str] = {
    "whole": "the whole model",
    "magnitude": "smallest weights cut",
    "repaired": "chosen by the output, repaired in closed form",
    "distilled": "distilled",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One way of pruning."""

    method: str
    words: str
    points: str
    """Of an SVG polyline."""
    dots: tuple[tuple[float, float, str], ...]
    """Place, and what a pointer over it says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Still:
    """What one model makes of the same input."""

    words: str
    view: View


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One ratio in the table; figures by method, as they are shown."""

    asked: str
    removed: str
    figures: tuple[tuple[str, str], ...]
    """Fidelity and cost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """All that the page shows of pruning."""

    lines: tuple[Line, ...]
    across: tuple[tuple[float, str], ...]
    up: tuple[tuple[float, str], ...]
    minimum_y: float
    unit: str
    heads: tuple[str, ...]
    rows: tuple[Row, ...]
    stills: tuple[Still, ...]


def curve_of(points: Sequence[CurvePoint], output: Output, tokens: Sequence[str] = ()) -> Curve | None:
    """Return the curve; None where nothing was pruned.

    Args:
        points: In any order; the whole model among them.
        output: That `CurvePoint.sample` is of.
        tokens: Of text.
    """
    methods = [method for method in _METHODS if any(point.method == method for point in points)]
    if not methods:
        return None
    fidelity = points[0].fidelity
    finite = [_figure(point) for point in points if point.method != "whole"]
    low, high = span([*finite, fidelity.minimum])
    across = Scale(0.0, 1.0, _LEFT, WIDTH - _RIGHT)
    up = Scale(low, high, HEIGHT - _BOTTOM, _TOP)
    return Curve(
        lines=tuple(_line(method, points, across, up) for method in methods),
        across=tuple((across.at(share / 100), f"{share} %") for share in _SHARES),
        up=tuple((up.at(tick), f"{tick:g}") for tick in even_ticks(low, high)),
        minimum_y=up.at(fidelity.minimum),
        unit=fidelity.unit,
        heads=tuple(_WORDS[method] for method in methods),
        rows=tuple(_row(asked, points, methods) for asked in sorted({p.asked for p in points})),
        stills=tuple(
            Still(words=_still_words(point), view=viewed(point.sample, output, tokens))
            for point in _along(points, methods[-1])
        ),
    )


def _line(method: Method, points: Sequence[CurvePoint], across: Scale, up: Scale) -> Line:
    ordered = sorted((point for point in points if point.method == method), key=lambda point: -point.removed)
    dots = tuple(
        (
            across.at(1 - point.removed),
            up.at(_figure(point)),
            f"{_WORDS[method]}: {1 - point.removed:.0%} of the multiplications, {_told(point)}",
        )
        for point in ordered
    )
    return Line(method=method, words=_WORDS[method], points=" ".join(f"{x},{y}" for x, y, _ in dots), dots=dots)


def _row(asked: float, points: Sequence[CurvePoint], methods: Sequence[Method]) -> Row:
    here = {point.method: point for point in points if point.asked == asked}
    whole = here.get("whole")
    removed = next(iter(here.values())).removed
    figures = []
    for method in methods:
        point = whole or here.get(method)
        figures.append((_NONE, _NONE) if point is None else (_told(point), _cost(point)))
    return Row(asked=f"{asked:.0%}", removed=f"{1 - removed:.1%}", figures=tuple(figures))


def _along(points: Sequence[CurvePoint], method: str) -> list[CurvePoint]:
    return sorted((p for p in points if p.method in {"whole", method}), key=lambda point: point.asked)


def _still_words(point: CurvePoint) -> str:
    if point.method == "whole":
        return "whole"
    return f"{1 - point.removed:.0%} left, {_told(point)}"


def _figure(point: CurvePoint) -> float:
    return max(0.0, min(point.fidelity.value, _TOP_FIGURE))


_NONE = "\N{EN DASH}"
_TOP_FIGURE = 140.0
"""float32 against float32 reaches more, and that would flatten the curve."""


def _told(point: CurvePoint) -> str:
    return f"{point.fidelity.value:.1f} {point.fidelity.unit}"


def _cost(point: CurvePoint) -> str:
    if point.cost.latency_ms is not None:
        return f"{point.cost.latency_ms:.3g} ms"
    return _NONE if point.cost.cycles is None else f"{point.cost.cycles / 1e6:.2f} M cycles"
