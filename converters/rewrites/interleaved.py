"""Convolutions that make several neighbouring outputs at each place, and what puts these where they belong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from edge_aigc.converters.ir import Array, Builder, Value
    from edge_aigc.converters.rewrites.phases import Axis


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


def convolve_split(
    build: Builder,
    x: Value,
    kernel: Array,
    bias: Array | None,
    axes: tuple[Axis, Axis],
    *,
    activation: str = "NONE",
) -> Value:
    """Add one convolution for each run of phases that read the same window, a concatenation, and as `convolve`.

    Arguments and result are those of `convolve`.
    """
    down, right = axes
    rows = down.groups() if right.phases == 1 else [(row, row + 1) for row in range(down.phases)]
    parts = [
        window(build, x, kernel, bias, (down.of(*row), right.of(*column)), activation=activation)
        for row in rows
        for column in right.groups()
    ]
    together = parts[0] if len(parts) == 1 else build.concatenate(parts, 3)
    return crop(build, interleave(build, together, axes), axes)


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
    stride = (axes[0].stride, axes[1].stride)
    if all(axis.same for axis in axes):
        return build.conv_2d(x, weights, bias, stride=stride, padding="SAME", activation=activation)
    # What is left over at the end is not read if it does not fill a stride.
    unread = [(max(-axis.before, 0), -axis.after if -axis.after >= axis.stride else 0) for axis in axes]
    if any(map(any, unread)):
        sizes = [axis.input_size - sum(ends) for axis, ends in zip(axes, unread, strict=True)]
        x = build.slice(x, (0, *(first for first, _ in unread), 0), (x.shape[0], *sizes, x.shape[3]))
    pads = [(max(axis.before, 0), max(axis.after, 0)) for axis in axes]
    if any(map(any, pads)):
        x = build.pad(x, ((0, 0), *pads, (0, 0)))
    return build.conv_2d(x, weights, bias, stride=stride, activation=activation)
