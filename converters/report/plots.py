"""Where things stand in the page's drawings: numbers only, the template draws them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_aigc.manifest import Candidate, Manifest

WIDTH, HEIGHT = 640, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 18, 14, 40
_NICE, _NICER = (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 7)
_FEW = 4
_NEAR = 1.5
_LABEL = 15
"""The room that a number needs, and what is between it and its mark."""
_AROUND = ((1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1))
"""Where a number may stand, seen from its mark: beside it first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dot:
    """One candidate in the plot."""

    number: int
    """Its row in the table below."""
    x: float
    y: float
    """Where it lies, whoever else lies there."""
    label: tuple[float, float]
    """Where its number stands: beside it, farther off where others are in the way."""
    led: bool
    """Whether a line leads from the one to the other."""
    pareto: bool
    chosen: bool
    kept: bool
    """Whether it keeps the fidelity."""
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pareto:
    """Cost against fidelity."""

    dots: tuple[Dot, ...]
    front: str
    """Points of the line through those that nothing beats in both."""
    minimum_y: float
    """Where the promised fidelity lies."""
    across: tuple[tuple[float, str], ...]
    up: tuple[tuple[float, str], ...]
    unit: str
    fidelity_unit: str


def pareto(manifest: Manifest) -> Pareto | None:
    """Return the plot of a bundle's candidates; None where fewer than two were measured."""
    rows = [(number, entry) for number, entry in enumerate(manifest.candidates, 1) if entry.fidelity is not None]
    costs = [_cost(entry) for _, entry in rows]
    if len(rows) < len(_NICE) - 1 or any(cost is None or cost <= 0 for cost in costs):
        return None
    known = [cost for cost in costs if cost is not None]
    fidelities = [max(0.0, entry.fidelity or 0.0) for _, entry in rows]
    low, high = min(known) / 1.15, max(known) * 1.15
    bottom, top = span([*fidelities, manifest.fidelity.minimum])
    across = Scale(math.log(low), math.log(high), _LEFT, WIDTH - _RIGHT)
    up = Scale(bottom, top, HEIGHT - _BOTTOM, _TOP)
    places = [(across.at(math.log(cost)), up.at(fidelity)) for cost, fidelity in zip(known, fidelities, strict=True)]
    dots = tuple(
        Dot(
            number=number,
            x=x,
            y=y,
            label=label,
            led=math.hypot(label[0] - x, label[1] - y) > _NEAR * _LABEL,
            pareto=entry.pareto,
            chosen=entry.chosen,
            kept=fidelity >= manifest.fidelity.minimum,
            words=entry.verdict,
        )
        for (number, entry), fidelity, (x, y), label in zip(rows, fidelities, places, _labels(places), strict=True)
    )
    return Pareto(
        dots=dots,
        front=_front(dots),
        minimum_y=up.at(manifest.fidelity.minimum),
        across=tuple((across.at(math.log(tick)), f"{tick:g}") for tick in ticks(low, high)),
        up=tuple((up.at(tick), f"{tick:g}") for tick in even_ticks(bottom, top)),
        unit="ms" if rows[0][1].latency_ms is not None else "million cycles",
        fidelity_unit=manifest.fidelity.unit,
    )


def ticks(low: float, high: float) -> list[float]:
    """Return the round numbers between two, on a logarithmic axis.

    >>> ticks(0.8, 12)
    [1.0, 2.0, 5.0, 10.0]
    """
    decades = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1)
    for nices in (_NICE, _NICER):
        found = (float(f"{nice * 10.0**decade:.6g}") for decade in decades for nice in nices)
        inside = [tick for tick in found if low <= tick <= high]
        if len(inside) >= _FEW:
            break
    return inside if len(inside) > 1 else [float(f"{low:.2g}"), float(f"{high:.2g}")]


def bar(value: float, largest: float) -> float:
    """Return the width of a bar in percent: at least a hair where there is anything."""
    return 0.0 if value <= 0 or largest <= 0 else max(0.6, 100 * value / largest)


@dataclass(frozen=True, slots=True)
class Scale:
    """Figures to places along one axis."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """Return where a figure stands."""
        return round(self.start + (self.end - self.start) * (value - self.low) / ((self.high - self.low) or 1.0), 1)


def _cost(entry: Candidate) -> float | None:
    return entry.latency_ms if entry.latency_ms is not None else entry.cycles and entry.cycles / 1e6


def span(values: Sequence[float]) -> tuple[float, float]:
    """Return round ends of an axis that holds all values, with some room."""
    low, high = min(values), max(values)
    room = max(2.0, (high - low) * 0.1)
    return math.floor((low - room) / 5) * 5.0, math.ceil((high + room) / 5) * 5.0


def even_ticks(low: float, high: float) -> list[float]:
    """Return the round numbers between two, on a plain axis."""
    step = next(step for step in (5, 10, 20, 50, 100, 10**9) if (high - low) / step <= len(_NICE) * 2)
    return [tick * step for tick in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _labels(places: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return where numbers stand: the nearest place around each mark that neither a mark nor a number has."""
    taken = list(places)
    labels: list[tuple[float, float]] = []
    for x, y in places:
        rings = range(1, len(places) + 2)
        tries = [(x + step * right * _LABEL, y + step * down * _LABEL) for step in rings for right, down in _AROUND]
        inside = [(a, b) for a, b in tries if _LEFT < a < WIDTH - _RIGHT + 4 and _TOP - 4 <= b <= HEIGHT - _BOTTOM]
        free = (at for at in inside if all(math.dist(at, other) >= _LABEL - 1 for other in taken))
        at = next(free, (x, y))
        taken.append(at)
        labels.append((round(at[0], 1), round(at[1], 1)))
    return labels


def _front(dots: Sequence[Dot]) -> str:
    """Return steps from the cheapest to the most faithful: between two of them nothing was found."""
    best = math.inf
    corners: list[str] = []
    for dot in sorted(dots, key=lambda dot: (dot.x, dot.y)):
        if dot.y >= best:
            continue
        if corners:
            corners.append(f"{dot.x},{best}")
        corners.append(f"{dot.x},{dot.y}")
        best = dot.y
    return " ".join(corners)
