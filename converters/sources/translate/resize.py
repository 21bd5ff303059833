"""Upsampling and downsampling: the flatbuffer's own operators where they do the same, else products with a matrix."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_aigc.converters.sources.translate.cuts import picked
from edge_aigc.converters.sources.translate.laid import Array, Laid

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from edge_aigc.converters.ir import Value
    from edge_aigc.converters.sources.translate.translation import Handler, Held, Operator, Translation

_ROUNDS: Mapping[str, Callable[[Array], Array]] = {
    "round_prefer_floor": lambda place: np.ceil(place - 0.5),
    "round_prefer_ceil": lambda place: np.floor(place + 0.5),
    "floor": np.floor,
    "ceil": np.ceil,
}


def _resize(t: Translation, op: Operator) -> list[Held]:
    x = op.tensor(0)
    # Opset 10's Resize and Upsample have the scales second, later ones third, and sizes fourth.
    late = op.kind == "Resize" and op.version > 10  # noqa: PLR2004
    scales = op.attributes.get("scales")
    if scales is None:
        scales = op.optional(2 if late else 1)
    scales = None if scales is None or not len(scales) else [float(scale) for scale in scales]
    axes = [int(axis) % x.rank for axis in op.attributes.get("axes", range(x.rank))]
    if scales is None:
        outs = [int(size) for size in op.constant(3)]
        if _word(op.attributes.get("keep_aspect_ratio_policy", "stretch")) != "stretch":
            raise op.refusal("while it keeps the aspect ratio")
        scales = [out / x.shape[axis] for out, axis in zip(outs, axes, strict=True)]
    else:
        outs = [math.floor(x.shape[axis] * scale + 1e-9) for axis, scale in zip(axes, scales, strict=True)]
    changed = {axis: (out, scale) for axis, out, scale in zip(axes, outs, scales, strict=True) if out != x.shape[axis]}
    if not changed:
        return [x]
    mode = _word(op.attributes.get("mode", "nearest"))
    if mode == "nearest":
        return [_nearest(t, op, x, changed)]
    return [_smooth(t, op, x, changed, mode.removeprefix("bi"))]


def _places(op: Operator, size: int, out: int, scale: float) -> Array:
    """Return where in the input each output lies: ONNX, Resize, `coordinate_transformation_mode`."""
    default = "half_pixel" if op.kind == "Resize" and op.version > 10 else "asymmetric"  # noqa: PLR2004
    how, index = _word(op.attributes.get("coordinate_transformation_mode", default)), np.arange(out, dtype=np.float64)
    if how == "asymmetric":
        return index / scale
    if how == "align_corners":
        return index * ((size - 1) / (out - 1)) if out > 1 else index * 0
    if how == "pytorch_half_pixel" and out == 1:
        return index * 0
    if how in {"half_pixel", "pytorch_half_pixel"}:
        return (index + 0.5) / scale - 0.5
    raise op.refusal(f"with coordinates {how!r}")


def _nearest(t: Translation, op: Operator, x: Laid, changed: Mapping[int, tuple[int, float]]) -> Laid:
    default = "round_prefer_floor" if op.kind == "Resize" and op.version > 10 else "floor"  # noqa: PLR2004
    rounds = _ROUNDS[_word(op.attributes.get("nearest_mode", default))]
    wanted = {}
    for axis, (out, scale) in changed.items():
        # Nudged, as 1/3 and the like must not fall short of a whole number.
        places = np.round(_places(op, x.shape[axis], out, scale), 9)
        wanted[axis] = np.clip(rounds(places), 0, x.shape[axis] - 1).astype(np.int64)
    simple = all(
        np.array_equal(indices, np.arange(len(indices)) * x.shape[axis] // len(indices))
        for axis, indices in wanted.items()
    )
    if simple and min(wanted) >= 2 and x.rank <= 4:  # noqa: PLR2004 - rows and columns
        x = t.channels_last(x)
        return _sized(x, t.build.resize("RESIZE_NEAREST_NEIGHBOR", x.value, _size(x, changed)), changed)
    for axis, indices in wanted.items():
        x = picked(t, x, axis, indices)
    return x


def _smooth(t: Translation, op: Operator, x: Laid, changed: Mapping[int, tuple[int, float]], mode: str) -> Laid:
    if min(changed) < 2 or x.rank > 4:  # noqa: PLR2004 - rows and columns
        raise op.refusal("over other axes than rows and columns")
    x = t.channels_last(x)
    how = _word(op.attributes.get("coordinate_transformation_mode", "half_pixel"))
    exact = all(abs(out / x.shape[axis] - scale) < 1e-6 * scale for axis, (out, scale) in changed.items())
    # The kernel's half pixels and ONNX's part where a side becomes 1.
    if mode == "linear" and not op.attributes.get("antialias", 0) and (exact or how == "align_corners"):
        corners = how == "align_corners"
        half = how in {"half_pixel", "pytorch_half_pixel"}
        if (corners or half or how == "asymmetric") and all(out > 1 for out, _ in changed.values()):
            made = t.build.resize("RESIZE_BILINEAR", x.value, _size(x, changed), align_corners=corners, half_pixel=half)
            return _sized(x, made, changed)
    value = x.value
    for axis, (out, scale) in changed.items():
        value = _along(t, value, _matrix(op, x.shape[axis], out, scale, mode), x.place(axis))
    return _sized(x, value, changed)


def _along(t: Translation, value: Value, matrix: Array, place: int) -> Value:
    """Return a picture multiplied by a matrix along its rows (place 1) or columns (place 2)."""
    _, high, wide, depth = value.shape
    shape = (1, high, wide * depth) if place == 1 else (high, wide, depth)
    out = (1, len(matrix), wide, depth) if place == 1 else (1, high, len(matrix), depth)
    return t.reshape(t.build.batch_matmul(matrix[None].astype(np.float32), t.reshape(value, shape)), out)


def _matrix(op: Operator, size: int, out: int, scale: float, mode: str) -> Array:
    """Return [out, size]: how much of each input every output takes."""
    if mode not in {"linear", "cubic"}:
        raise op.refusal(f"in the mode {mode!r}")
    places = _places(op, size, out, scale)
    # A wider filter where it shrinks and must not alias: ONNX, Resize, `antialias`.
    stretch = max(1.0, 1 / scale) if op.attributes.get("antialias", 0) else 1.0
    reach = math.ceil((2 if mode == "cubic" else 1) * stretch)
    matrix = np.zeros((out, size))
    for row, place in enumerate(places):
        near = np.arange(math.floor(place) - reach + 1, math.floor(place) + reach + 1)
        weights = _weights((near - place) / stretch, mode, float(op.attributes.get("cubic_coeff_a", -0.75)))
        if op.attributes.get("exclude_outside", 0) or op.attributes.get("antialias", 0):
            weights = np.where((near < 0) | (near >= size), 0, weights)
        np.add.at(matrix[row], np.clip(near, 0, size - 1), weights / weights.sum())
    return matrix


def _weights(distance: Array, mode: str, a: float) -> Array:
    """Return the filter at some distances: a tent, or Keys' cubic convolution."""
    d = np.abs(distance)
    if mode == "linear":
        return np.asarray(np.maximum(0, 1 - d))
    inner = ((a + 2) * d - (a + 3)) * d * d + 1
    outer = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return np.where(d <= 1, inner, np.where(d < 2, outer, 0))  # noqa: PLR2004 - where the pieces meet


def _size(x: Laid, changed: Mapping[int, tuple[int, float]]) -> tuple[int, int]:
    sides = {place: x.value.shape[place] for place in (1, 2)} | {
        x.place(axis): out for axis, (out, _) in changed.items()
    }
    return sides[1], sides[2]


def _sized(x: Laid, made: Value, changed: Mapping[int, tuple[int, float]]) -> Laid:
    shape = tuple(changed[axis][0] if axis in changed else size for axis, size in enumerate(x.shape))
    return Laid(made, x.layout, shape)


def _word(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


OPERATORS: Mapping[str, Handler] = {"Resize": _resize, "Upsample": _resize}
