"""The operators of a Winograd convolution.

Along each filtered axis: one depthwise convolution a factor (its stride is the tile, so that it cuts the tiles as
well), one convolution a product, sums, and a concatenation that interleaves the outputs. The second axis nests in
the products of the first. A bias joins the one product that reaches every output once. A long row of taps is cut into
blocks as long as a tile: each product is then a convolution over as many neighbouring tiles as there are blocks.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from edge_aigc.converters.ir.windows import same_padding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from edge_aigc.converters.ir import Array, Builder, Value
    from edge_aigc.converters.ir.windows import Padding
    from edge_aigc.converters.rewrites.winograd.bilinear import Filtering

ROWS, COLUMNS = 1, 2
_JOINED_AT_ONCE = 4  # XNNPACK concatenates up to five, the runtime's own operator takes any number but leaves XNNPACK


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One axis of the window."""

    place: int
    """`ROWS` or `COLUMNS`."""
    size: int
    """Of the input."""
    before: int
    """Zeros before it."""
    after: int
    """Zeros after it; negative: inputs that nobody needs."""
    taps: int
    """Of the window."""
    by: Filtering
    """Of all the taps, or of blocks of as many taps as a tile has outputs."""

    @property
    def outputs(self) -> int:
        """Return the size of the output."""
        return self.size + self.before + self.after - self.taps + 1

    @property
    def tiles(self) -> int:
        """Return how many tiles cover the output."""
        return -(-self.outputs // self.by.outputs)

    @property
    def blocks(self) -> int:
        """Return of how many tiles' products an output is the sum."""
        return -(-self.taps // self.by.taps)

    @property
    def filtered(self) -> bool:
        """Return whether products are saved along it."""
        return self.by.outputs > 1

    @property
    def saved(self) -> float:
        """Return how many times fewer multiplications there are; what sticks out of the output is counted."""
        return self.outputs * self.taps / (self.tiles * self.by.products * self.blocks)

    def settled(self, *, alone: bool) -> Axis:
        """Return the axis as it is once its zeros are in the input, where the operators cannot add them themselves.

        Args:
            alone: Whether the products' convolutions have taps along this axis only.
        """
        same = (self.before, self.after) == same_padding(self.size, self.taps, 1)
        if self.windows() is not None if self.filtered else (same and alone) or self.before == self.after == 0:
            return self
        size = (self.tiles + self.blocks - 1) * self.by.outputs + self.by.taps - 1
        # What the last block reads beyond the taps has no weight.
        return replace(self, size=size, before=0, after=self.taps - self.blocks * self.by.taps)

    def windows(self) -> list[tuple[int, int, Padding]] | None:
        """Return for each factor the first and the last input of a tile that it reads, and how it is padded.

        None where an operator's own padding cannot put them right.
        """
        windows = [self._window(np.flatnonzero(row)) for row in self.by.into]
        found = [window for window in windows if window is not None]
        return found if len(found) == len(windows) else None

    def _window(self, read: NDArray[np.intp]) -> tuple[int, int, Padding] | None:
        step, places = self.by.outputs, self.tiles + self.blocks - 1
        spans = [(a, b) for a in range(read[0] + 1) for b in range(read[-1], self.by.products)]
        for start, end in sorted(spans, key=lambda span: span[1] - span[0]):
            taps = end - start + 1
            if start == self.before and self.size >= taps and (self.size - taps) // step + 1 == places:
                return start, end, "VALID"
            zeros = same_padding(self.size, taps, step)[0]
            if start == self.before - zeros and -(-self.size // step) == places:
                return start, end, "SAME"
        return None


def convolve(
    build: Builder,
    x: Value,
    kernel: Array,
    bias: Array | None,
    axes: tuple[Axis, Axis],
    *,
    activation: str,
) -> Value:
    """Add a convolution of stride 1 in this form.

    Args:
        build: Where to.
        x: [n, h, w, i].
        kernel: [o, kh, kw, i].
        bias: [o], or None for zeros.
        axes: The rows, then the columns; at least one is filtered.
        activation: Fused into the last sums.
    """
    alone = max(axis.blocks for axis in axes if axis.filtered) == 1
    settled = [axis.settled(alone=alone) for axis in axes]
    if any(axis.size != x.shape[axis.place] for axis in settled):
        around = [
            (axis.before - new.before, new.size - axis.size - axis.before + new.before)
            for axis, new in zip(axes, settled, strict=True)
        ]
        x = build.pad(x, [(0, 0), *around, (0, 0)])
    weights = _factored(_factored(kernel.astype(np.float64), axes[1], COLUMNS), axes[0], ROWS + 1)
    shift = np.zeros(len(kernel)) if bias is None else bias.astype(np.float64)
    y = _nested(build, x, weights, shift, settled, activation)
    outputs = (y.shape[0], axes[0].outputs, axes[1].outputs, y.shape[3])
    return y if y.shape == outputs else build.slice(y, (0, 0, 0, 0), outputs)


def _factored(weights: Array, axis: Axis, at: int) -> Array:
    """Return the weights of each product along a first axis; at ``at`` the taps become blocks."""
    if not axis.filtered:
        return weights[None]
    fill = [(0, 0)] * weights.ndim
    fill[at] = (0, axis.blocks * axis.by.taps - axis.taps)
    shape = weights.shape
    split = np.pad(weights, fill).reshape(*shape[:at], axis.blocks, axis.by.taps, *shape[at + 1 :])
    return np.tensordot(axis.by.weights, split, (1, at + 1))


def _nested(build: Builder, x: Value, weights: Array, shift: Array, axes: Sequence[Axis], activation: str) -> Value:
    """Add the convolution, along the first of the filtered axes by products which are convolutions along the rest.

    The weights are [products of the rows, products of the columns, o, kh, kw, i].
    """
    axis = next((axis for axis in axes if axis.filtered), None)
    if axis is None:
        padding: Padding = "SAME" if any(axis.before or axis.after for axis in axes) else "VALID"
        return build.conv_2d(x, _single(weights[0, 0]), _single(shift), padding=padding, activation=activation)
    rest = [other for other in axes if other is not axis]
    products = [
        _nested(
            build,
            factor,
            weights.take([place], axis.place - ROWS),
            shift * (place == axis.by.constant_place),
            rest,
            "NONE",
        )
        for place, factor in enumerate(_factors(build, x, axis))
    ]
    return _interleaved(build, _sums(build, products, axis.by, activation), axis.place)


def _factors(build: Builder, x: Value, axis: Axis) -> list[Value]:
    """Add the factors: each a weighted sum of a tile's inputs."""
    windows = axis.windows()
    assert windows is not None, "the axis was settled"
    down = axis.place == ROWS
    stride = (axis.by.outputs, 1) if down else (1, axis.by.outputs)
    factors = []
    for row, (first, last, padding) in zip(axis.by.into, windows, strict=True):
        taps = row[first : last + 1].reshape((1, -1, 1, 1) if down else (1, 1, -1, 1))
        kernel = _single(np.repeat(taps, x.shape[3], axis=3))
        factors.append(build.depthwise_conv_2d(x, kernel, stride=stride, padding=padding))
    return factors


def _sums(build: Builder, products: Sequence[Value], by: Filtering, activation: str) -> list[Value]:
    """Add the sums of products that are the outputs; those at opposite points are added and subtracted once."""
    signs = (-1.0) ** np.arange(by.outputs)
    opposite = {
        j: k
        for j in range(by.products)
        for k in range(j + 1, by.products)
        if np.array_equal(by.out[:, k], by.out[:, j] * signs)
    }
    even = {j: build.add(products[j], products[k]) for j, k in opposite.items()}
    odd = {j: build.sub(products[j], products[k]) for j, k in opposite.items()}
    outputs = []
    for row, factors in enumerate(by.out):
        sums = {**dict(enumerate(products)), **(odd if row % 2 else even)}
        terms = [(factors[j], sums[j]) for j in sums if factors[j] and j not in opposite.values()]
        outputs.append(_sum(build, sorted(terms, key=lambda term: term[0] != 1), activation))
    return outputs


def _sum(build: Builder, terms: Sequence[tuple[float, Value]], activation: str) -> Value:
    """Add a weighted sum, the first weight of which is 1; a lone value's activation is fused by XNNPACK."""
    (_, total), *rest = terms
    if not rest:
        return build.activate(total, activation)
    for count, (weight, value) in enumerate(rest, start=1):
        weighted = value if weight == 1 else build.mul(value, np.array(weight, np.float32))
        total = build.add(total, weighted, activation=activation if count == len(rest) else "NONE")
    return total


def _interleaved(build: Builder, parts: Sequence[Value], place: int) -> Value:
    """Put the outputs of tiles side by side: the i-th of each tile is in part i."""
    batch, high, wide, depth = parts[0].shape
    if place == ROWS:
        flat = [build.reshape(part, (batch, high, wide * depth)) for part in parts]
        return build.reshape(_joined(build, flat, 2), (batch, high * len(parts), wide, depth))
    return build.reshape(_joined(build, parts, 3), (batch, high, wide * len(parts), depth))


def _joined(build: Builder, parts: Sequence[Value], axis: int) -> Value:
    groups = [parts[at : at + _JOINED_AT_ONCE] for at in range(0, len(parts), _JOINED_AT_ONCE)]
    joined = [build.concatenate(group, axis) if len(group) > 1 else group[0] for group in groups]
    return joined[0] if len(joined) == 1 else _joined(build, joined, axis)


def _single(values: Array) -> Array:
    return np.ascontiguousarray(values, np.float32)
