"""Minimal filtering: m outputs of an r-tap filter from m + r - 1 products, by Cook and Toom's construction.

y = A (G g * B d): d holds m + r - 1 neighbouring inputs, g the taps, * is the product by elements.
A polynomial product is interpolated at m + r - 2 points and infinity; F(m, r) is its transpose.

Sources: Lavin and Gray, "Fast algorithms for convolutional neural networks", arXiv 1509.09308; the construction as in
Blahut, "Fast Algorithms for Signal Processing", section 5.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import prod
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_POINTS = tuple(Fraction(*point) for point in ((1, 1), (0, 1), (-1, 1), (2, 1), (-2, 1), (1, 2), (-1, 2)))
"""Small ones first: large powers lose bits. 1 is always there, so that a bias has a place; opposite ones are
neighbours, which share their sums."""
MOST_PRODUCTS = len(_POINTS) + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Filtering:
    """F(m, r) of one axis."""

    outputs: int
    """m, the size of a tile."""
    taps: int
    """r."""
    into: NDArray[np.float64]
    """B, [m + r - 1, m + r - 1]: makes factors of inputs."""
    weights: NDArray[np.float64]
    """G, [m + r - 1, r]: makes factors of taps."""
    out: NDArray[np.float64]
    """A, [m, m + r - 1]: makes outputs of products."""

    @property
    def products(self) -> int:
        """Return how many products there are for the m outputs."""
        return self.outputs + self.taps - 1

    @property
    def constant_place(self) -> int:
        """Return the product that reaches every output once: what is added to it is added to all of them."""
        return next(j for j in range(self.products) if (self.out[:, j] == 1).all())


def filtering(outputs: int, taps: int) -> Filtering:
    """Return F(outputs, taps).

    >>> three = filtering(2, 3)
    >>> d, g = np.array([5.0, 7, -2, 3]), np.array([2.0, 1, 4])
    >>> (three.out @ ((three.weights @ g) * (three.into @ d))).tolist()
    [9.0, 24.0]
    """
    count = outputs + taps - 1
    if outputs == 1:
        return Filtering(outputs=1, taps=taps, into=np.eye(taps), weights=np.eye(taps), out=np.ones((1, taps)))
    points = _POINTS[: count - 1]
    into, weights, out = np.zeros((count, count)), np.zeros((count, taps)), np.zeros((outputs, count))
    for row, point in enumerate(points):
        others = [other for other in points if other != point]
        whole = prod((point - other for other in others), start=Fraction(1))
        # Where the points are halves, B is kept in whole numbers and G takes the rest.
        scale = Fraction(prod(other.denominator for other in others))
        into[row, : count - 1] = [float(scale * factor) for factor in _polynomial(others)]
        weights[row] = [float(point**power / whole / scale) for power in range(taps)]
        out[:, row] = [float(point**power) for power in range(outputs)]
    into[-1] = [float(factor) for factor in _polynomial(points)]
    weights[-1, -1] = out[-1, -1] = 1
    return Filtering(outputs=outputs, taps=taps, into=into, weights=weights, out=out)


def _polynomial(roots: Sequence[Fraction]) -> list[Fraction]:
    """Return the factors of the product of all (x - root), that of x**0 first."""
    factors = [Fraction(1)]
    for root in roots:
        factors = [
            low - root * same for low, same in zip([Fraction(0), *factors], [*factors, Fraction(0)], strict=True)
        ]
    return factors
