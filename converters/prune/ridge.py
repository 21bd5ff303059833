"""Linear regression on more rows than fit into memory, drawn towards weights that are there already.

Given:   rows x with targets y, and weights W₀
Result:  W, b with the least  mean |W x + b - y|² + λ |W - W₀|²,  λ as rows that were not fitted on ask for

Ridge regression: Hoerl and Kennard 1970.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]

_RIDGES = (1e-5, 1e-3, 1e-1)
"""λ, in shares of the mean power of a column."""
_ROUNDS = 2
"""More fits where targets below zero are free; later ones change little."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Some rows."""

    rows: Array
    """``[count, columns]``."""
    targets: Array
    """``[count, outputs]``."""
    held_out: bool
    """Whether they choose λ instead of being fitted on."""


Parts: TypeAlias = Callable[[], Iterator[Part]]
"""The rows, from the first on, as often as they are asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """``y = weights · x + bias``."""

    weights: Array
    """``[outputs, columns]``."""
    bias: Array | None
    """``[outputs]``; None: there is none."""

    def __call__(self, rows: Array) -> Array:
        """Return what is made of rows."""
        made: Array = rows @ self.weights.T
        return made if self.bias is None else made + self.bias


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """What was found."""

    line: Line
    before: float
    after: float
    """Mean square errors on the rows held out, as shares of the targets' mean square distance from their mean."""


def fit(parts: Parts, start: Line, *, free_below_zero: bool = False) -> Fit:
    """Return the line that fits best, or the one to start with where none is better on the rows held out.

    Args:
        parts: At least one of them is held out, and one is not.
        start: What it is drawn towards; without a bias it stays without.
        free_below_zero: Targets below zero count as met by anything below zero: a ReLU follows.
    """
    spread = _spread(parts)

    def error(line: Line) -> float:
        return _error(parts, line, free_below_zero) / spread

    before = error(start)
    sums = _Sums.of(parts, start, start if free_below_zero else None)
    lines = {ridge: sums.solved(start, ridge) for ridge in _RIDGES}
    errors = {ridge: error(line) for ridge, line in lines.items()}
    ridge = min(errors, key=errors.__getitem__)
    line, found = lines[ridge], errors[ridge]
    best, after = (line, found) if found < before else (start, before)
    for _ in range(_ROUNDS if free_below_zero and best is line else 0):
        line = sums.aimed(parts, start, best).solved(start, ridge)
        found = error(line)
        if found >= after:
            break
        best, after = line, found
    return Fit(line=best, before=before, after=after)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sums:
    """What the normal equations are made of; rows and residuals less their means where there is a bias."""

    power: Array
    """Mean of x xᵀ."""
    cross: Array
    """Mean of x (y - W₀ x)ᵀ."""
    row: Array
    """Mean of x."""
    residual: Array
    """Mean of y - W₀ x."""

    @classmethod
    def of(cls, parts: Parts, start: Line, aim: Line | None) -> _Sums:
        """Return the sums over the rows that are fitted on.

        Args:
            parts: The rows.
            start: W₀.
            aim: What targets below zero are as good as met by; None: they are not free.
        """
        columns = start.weights.shape[1]
        power, row, count = np.zeros((columns, columns)), np.zeros(columns), 0
        origin: Array | None = None
        for part in parts():
            if part.held_out:
                continue
            if origin is None:  # near the mean, so that little cancels
                origin = part.rows.mean(0) if start.bias is not None else np.zeros(columns, np.float32)
            moved = part.rows - origin
            power += moved.T @ moved
            row += moved.sum(0)
            count += len(moved)
        assert origin is not None, "all rows are held out"
        row /= count
        power = power / count - (np.outer(row, row) if start.bias is not None else 0.0)
        blank = np.zeros(0)
        return cls(power=power, row=row + origin, cross=blank, residual=blank).aimed(parts, start, aim)

    def aimed(self, parts: Parts, start: Line, aim: Line | None) -> _Sums:
        """Return the sums with targets as `aim` leaves them."""
        mean = self.row if start.bias is not None else np.zeros_like(self.row)
        cross = np.zeros((len(self.row), len(start.weights)))
        residual, count = np.zeros(len(start.weights)), 0
        for part in parts():
            if not part.held_out:
                targets = part.targets if aim is None else _eased(part.targets, aim(part.rows))
                left = targets - part.rows @ start.weights.T
                cross += (part.rows - mean.astype(np.float32)).T @ left
                residual += left.sum(0)
                count += len(left)
        return _Sums(power=self.power, row=self.row, cross=cross / count, residual=residual / count)

    def solved(self, start: Line, ridge: float) -> Line:
        """Return the line for one λ."""
        weight = ridge * max(float(np.trace(self.power)) / len(self.power), float(np.finfo(np.float32).tiny))
        moved = np.linalg.solve(self.power + weight * np.eye(len(self.power)), self.cross).T
        weights = (start.weights + moved).astype(np.float32)
        if start.bias is None:
            return Line(weights=weights, bias=None)
        return Line(weights=weights, bias=(self.residual - moved @ self.row).astype(np.float32))


def _eased(targets: Array, made: Array) -> Array:
    """Return targets of which those below zero are whatever is made below zero."""
    eased: Array = np.where(targets > 0, targets, np.minimum(made, 0))
    return eased


def _error(parts: Parts, line: Line, free_below_zero: bool) -> float:
    total, count = 0.0, 0
    for part in parts():
        if part.held_out:
            made = line(part.rows)
            targets = _eased(part.targets, made) if free_below_zero else part.targets
            total += float(((made - targets) ** 2).sum(dtype=np.float64))
            count += made.size
    assert count, "no rows are held out"
    return total / count


def _spread(parts: Parts) -> float:
    targets = np.concatenate([part.targets for part in parts() if part.held_out])
    return max(float(targets.var(axis=0, dtype=np.float64).mean()), float(np.finfo(np.float32).tiny))
