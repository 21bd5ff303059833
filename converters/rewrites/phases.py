"""Upsampling and a window in one: an ordinary convolution that gives every phase of the output at once.

Along one axis, output position ``s q + r - skip`` is phase ``r`` of place ``q``. What it reads lies at input
positions ``q + offset``; the window spans the offsets of all phases. ``skip`` shifts the phases against the
places: some shifts need a smaller window, at the price of a crop.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edge_aigc.converters.ir.build import same_padding

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edge_aigc.converters.ir import Array, Builder, Value


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Axis:
    """One axis of an upsampling operator, as a convolution of stride 1 over its input."""

    taps: Array
    """[phase, window, kernel]: how much of each original tap goes into each tap of each phase."""
    input_size: int
    size: int
    """Of the output."""
    skip: int
    """How many outputs are made before the first that is wanted."""
    before: int
    """Zeros before the input; negative: how many inputs nobody reads."""

    @property
    def phases(self) -> int:
        """Return the factor of upsampling."""
        return int(self.taps.shape[0])

    @property
    def window(self) -> int:
        """Return the size of the convolution's kernel."""
        return int(self.taps.shape[1])

    @property
    def places(self) -> int:
        """Return the size of the convolution's output."""
        return -(-(self.size + self.skip) // self.phases)

    @property
    def after(self) -> int:
        """Return the zeros after the input; negative: how many inputs nobody reads."""
        return self.places + self.window - 1 - self.before - self.input_size

    @property
    def crops(self) -> bool:
        """Return whether more is made than wanted."""
        return self.places * self.phases != self.size

    def of(self, first: int, last: int) -> Axis:
        """Return the axis with some of its phases only, and no wider a window than these need."""
        taps = self.taps[first:last]
        used = np.flatnonzero(taps.any(axis=(0, 2)))
        low, high = (int(used[0]), int(used[-1])) if used.size else (self.before, self.before)
        size = self.places * (last - first)
        return Axis(
            taps=taps[:, low : high + 1],
            input_size=self.input_size,
            size=size,
            skip=0,
            before=self.before - low,
        )

    def groups(self) -> list[tuple[int, int]]:
        """Return the runs of phases that read the same window: first, and one past the last."""
        spans = [_span(self.taps[phase]) for phase in range(self.phases)]
        edges = [0, *(r for r in range(1, self.phases) if spans[r] != spans[r - 1]), self.phases]
        return list(itertools.pairwise(edges))


def transposed(*, input_size: int, size: int, kernel: int, stride: int, pad: int, skip: int) -> Axis:
    """Return one axis of a transposed convolution: input i and tap k meet in output ``stride i + k - pad``."""
    entries = [
        (phase, -((tap - phase - pad + skip) // stride), tap)
        for phase in range(stride)
        for tap in range(kernel)
        if (tap - phase - pad + skip) % stride == 0
    ]
    return _axis(entries, (stride, kernel), input_size, size, skip)


def repeated(*, input_size: int, size: int, kernel: int, factor: int, pad: int, skip: int) -> Axis:
    """Return one axis of a convolution over an input whose every element is repeated ``factor`` times.

    Output o and tap k meet in the repeated element ``o + k - pad``; zeros lie beyond both ends, and since a
    whole number of elements is repeated, they lie beyond the same ends of the input itself.
    """
    entries = [(phase, (phase - skip - pad + tap) // factor, tap) for phase in range(factor) for tap in range(kernel)]
    return _axis(entries, (factor, kernel), input_size, size, skip)


def narrowest(choices: Iterable[Axis]) -> Axis:
    """Return the axis with the smallest window; of equals one that needs no crop, then the least skip."""
    return min(choices, key=lambda axis: (axis.window, axis.crops, axis.skip))


def convolve(
    build: Builder,
    x: Value,
    kernel: Array,
    bias: Array | None,
    axes: tuple[Axis, Axis],
    *,
    activation: str = "NONE",
) -> Value:
    """Add one convolution for all phases, the interleaving and, where needed, the crop.

    Args:
        build: Where.
        x: [b, h, w, i].
        kernel: [o, kh, kw, i], of the operator that is replaced.
        bias: [o], or None.
        axes: Down, right.
        activation: Fused into the convolution: it does not mind the order of pixels.

    Returns:
        [b, axes[0].size, axes[1].size, o].
    """
    return crop(build, interleave(build, window(build, x, kernel, bias, axes, activation=activation), axes), axes)


def window(
    build: Builder,
    x: Value,
    kernel: Array,
    bias: Array | None,
    axes: tuple[Axis, Axis],
    *,
    activation: str = "NONE",
) -> Value:
    """Add the convolution alone: [b, places down, places right, phases down · phases right · o]."""
    down, right = axes
    count, _, _, depth = kernel.shape
    # In float64, for sums of taps; [phase, phase, o, window, window, i] in the order of DEPTH_TO_SPACE.
    weights = np.einsum("pyk,qxl,okli->pqoyxi", down.taps, right.taps, kernel.astype(np.float64), optimize=True)
    phases = down.phases * right.phases
    return _padded_convolution(
        build,
        x,
        weights.reshape(phases * count, down.window, right.window, depth).astype(np.float32),
        None if bias is None else np.tile(bias, phases),
        axes,
        activation,
    )


def interleave(build: Builder, y: Value, axes: tuple[Axis, Axis]) -> Value:
    """Move phases from the channels to their places: [b, h, w, p q o] to [b, h p, w q, o]."""
    p, q = (axis.phases for axis in axes)
    batch, high, wide, depth = y.shape
    shape = (batch, high * p, wide * q, depth // (p * q))
    if p == q and p > 1 and wide > 1:
        return build.depth_to_space(y, p)
    if p > 1 and wide > 1:
        split = build.reshape(y, (batch * high, wide, p, depth // p))
        y = build.transpose(split, (0, 2, 1, 3))
    return y if y.shape == shape else build.reshape(y, shape)


def crop(build: Builder, y: Value, axes: tuple[Axis, Axis]) -> Value:
    """Cut what was made beyond what is wanted."""
    if not any(axis.crops for axis in axes):
        return y
    return build.slice(
        y, (0, *(axis.skip for axis in axes), 0), (y.shape[0], *(axis.size for axis in axes), y.shape[3])
    )


def _padded_convolution(
    build: Builder, x: Value, weights: Array, bias: Array | None, axes: tuple[Axis, Axis], activation: str
) -> Value:
    if all(
        axis.places == axis.input_size and (axis.before, axis.after) == same_padding(axis.input_size, axis.window, 1)
        for axis in axes
    ):
        return build.conv_2d(x, weights, bias, padding="SAME", activation=activation)
    unread = [(max(-axis.before, 0), max(-axis.after, 0)) for axis in axes]
    if any(map(any, unread)):
        sizes = [axis.input_size - sum(ends) for axis, ends in zip(axes, unread, strict=True)]
        x = build.slice(x, (0, *(first for first, _ in unread), 0), (x.shape[0], *sizes, x.shape[3]))
    pads = [(max(axis.before, 0), max(axis.after, 0)) for axis in axes]
    if any(map(any, pads)):
        x = build.pad(x, ((0, 0), *pads, (0, 0)))
    return build.conv_2d(x, weights, bias, activation=activation)


def _axis(
    entries: list[tuple[int, int, int]], phases_and_kernel: tuple[int, int], input_size: int, size: int, skip: int
) -> Axis:
    low, high = min(offset for _, offset, _ in entries), max(offset for _, offset, _ in entries)
    phases, kernel = phases_and_kernel
    taps = np.zeros((phases, high - low + 1, kernel))
    for phase, offset, tap in entries:
        taps[phase, offset - low, tap] = 1
    return Axis(taps=taps, input_size=input_size, size=size, skip=skip, before=-low)


def _span(taps: Array) -> tuple[int, ...]:
    """Return the window's first and last tap that one phase reads; nothing where it reads none."""
    used = np.flatnonzero(taps.any(axis=1))
    return (int(used[0]), int(used[-1])) if used.size else ()
