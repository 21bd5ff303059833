"""New nodes, with the shapes of what they make."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edge_aigc.converters.ir.graph import Node, Value, constant
from edge_aigc.converters.ir.windows import activation_number, window_options, window_sizes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Unpack

    from edge_aigc.converters.ir.graph import Array, Graph
    from edge_aigc.converters.ir.windows import Padding, Pair, Window

_BINARY = {
    "ADD": "AddOptions", "SUB": "SubOptions", "MUL": "MulOptions", "DIV": "DivOptions",
    "MAXIMUM": "MaximumMinimumOptions", "MINIMUM": "MaximumMinimumOptions", "POW": "PowOptions",
    "SQUARED_DIFFERENCE": "SquaredDifferenceOptions", "FLOOR_DIV": "FloorDivOptions",
}  # fmt: skip
_FUSES = frozenset({"ADD", "SUB", "MUL", "DIV"})
_UNARY: dict[str, str | None] = {
    "RELU": None, "RELU6": None, "RELU_N1_TO_1": None, "RELU_0_TO_1": None, "TANH": None, "LOGISTIC": None,
    "EXP": "ExpOptions", "NEG": "NegOptions", "ABS": "AbsOptions", "SQUARE": "SquareOptions", "SQRT": None,
    "RSQRT": None, "SIN": None, "COS": "CosOptions", "LOG": None, "FLOOR": None, "ROUND": None, "ELU": None,
    "HARD_SWISH": "HardSwishOptions", "GELU": "GeluOptions", "LEAKY_RELU": "LeakyReluOptions",
}  # fmt: skip

_WINDOWED = {"CONV_2D": "Conv2DOptions", "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions"}


class Builder:
    """Makes nodes and puts them into a graph, before one of its nodes or at the end."""

    def __init__(self, graph: Graph, before: Node | None = None) -> None:
        """Choose the place.

        Args:
            graph: Is edited.
            before: A node of it; None means the end.
        """
        self._graph, self._before = graph, before

    def node(
        self,
        kind: str,
        inputs: Sequence[Value | Array | None],
        shape: Sequence[int],
        *,
        option_class: str | None = None,
        dtype: str | None = None,
        name: str | None = None,
        **options: Any,
    ) -> Value:
        """Add any operator with one output and return that; arrays among the inputs become constants.

        Args:
            kind: The schema's name.
            inputs: What it reads.
            shape: Of the output.
            option_class: The schema's name of its options.
            dtype: Of the output; None: the first input's.
            name: Of the output; None: made from the kind.
            options: Fields of the schema's options.
        """
        values = [_value(entry) for entry in inputs]
        first = next(value for value in values if value is not None)
        output = Value(name=name or kind.lower(), shape=tuple(int(n) for n in shape), dtype=dtype or first.dtype)
        made = Node(kind=kind, inputs=values, outputs=[output], options=options, option_class=option_class)
        at = len(self._graph.nodes) if self._before is None else self._graph.nodes.index(self._before)
        self._graph.nodes.insert(at, made)
        return output

    def binary(self, kind: str, a: Value | Array, b: Value | Array, *, activation: str = "NONE") -> Value:
        """Add ADD, SUB, MUL, DIV, MAXIMUM, MINIMUM, POW, SQUARED_DIFFERENCE with NumPy's broadcasting."""
        left, right = _some(a), _some(b)
        options: dict[str, Any] = {"fusedActivationFunction": activation_number(activation)} if kind in _FUSES else {}
        shape = np.broadcast_shapes(left.shape, right.shape)
        return self.node(kind, [left, right], shape, option_class=_BINARY[kind], **options)

    def add(self, a: Value | Array, b: Value | Array, *, activation: str = "NONE") -> Value:
        """Add ``a + b``."""
        return self.binary("ADD", a, b, activation=activation)

    def sub(self, a: Value | Array, b: Value | Array, *, activation: str = "NONE") -> Value:
        """Add ``a - b``."""
        return self.binary("SUB", a, b, activation=activation)

    def mul(self, a: Value | Array, b: Value | Array, *, activation: str = "NONE") -> Value:
        """Add ``a * b``."""
        return self.binary("MUL", a, b, activation=activation)

    def unary(self, kind: str, x: Value, **options: Any) -> Value:
        """Add an operator of one input whose output has the same shape."""
        return self.node(kind, [x], x.shape, option_class=_UNARY[kind], **options)

    def conv_2d(
        self, x: Value, weights: Value | Array, bias: Value | Array | None = None, **window: Unpack[Window]
    ) -> Value:
        """Add CONV_2D: x [1, h, w, i], weights [o, kh, kw, i], bias [o]."""
        kernel = _some(weights)
        return self._windowed("CONV_2D", x, kernel, bias, kernel.shape[0], window)

    def depthwise_conv_2d(
        self, x: Value, weights: Value | Array, bias: Value | Array | None = None, **window: Unpack[Window]
    ) -> Value:
        """Add DEPTHWISE_CONV_2D: x [1, h, w, i], weights [1, kh, kw, i * multiplier], bias [i * multiplier]."""
        kernel = _some(weights)
        count = kernel.shape[3]
        return self._windowed("DEPTHWISE_CONV_2D", x, kernel, bias, count, window, depthMultiplier=count // x.shape[3])

    def _windowed(
        self,
        kind: str,
        x: Value,
        kernel: Value,
        bias: Value | Array | None,
        count: int,
        window: Window,
        **options: Any,
    ) -> Value:
        """Add a convolution with ``count`` output channels."""
        stride, dilation = window.get("stride", (1, 1)), window.get("dilation", (1, 1))
        _, high, wide, _ = kernel.shape
        padding, activation = window.get("padding", "VALID"), window.get("activation", "NONE")
        return self.node(
            kind,
            [x, kernel, np.zeros(count, np.float32) if bias is None else bias],
            (x.shape[0], *window_sizes(x, (high, wide), stride, dilation, padding), count),
            option_class=_WINDOWED[kind],
            **options,
            **window_options(stride, dilation, padding, activation),
        )

    def transpose_conv(  # noqa: PLR0913 - as `conv_2d`
        self,
        x: Value,
        weights: Value | Array,
        bias: Value | Array | None,
        size: Pair,
        *,
        stride: Pair,
        padding: Padding,
        activation: str = "NONE",
    ) -> Value:
        """Add TRANSPOSE_CONV: x [1, h, w, i], weights [o, kh, kw, i], bias [o] or None; size is the output's."""
        kernel = _some(weights)
        shape = (x.shape[0], *size, kernel.shape[0])
        options = window_options(stride, None, padding, activation)
        inputs: list[Value | Array | None] = [constant(np.array(shape, np.int32), "shape"), kernel, x]
        return self.node(
            "TRANSPOSE_CONV",
            inputs if bias is None else [*inputs, bias],
            shape,
            option_class="TransposeConvOptions",
            dtype=x.dtype,
            **options,
        )

    def fully_connected(
        self,
        x: Value,
        weights: Value | Array,
        bias: Value | Array | None = None,
        *,
        activation: str = "NONE",
        keep_dims: bool = False,
    ) -> Value:
        """Add FULLY_CONNECTED: x [..., i], weights [o, i], bias [o]."""
        kernel = _some(weights)
        count, depth = kernel.shape
        return self.node(
            "FULLY_CONNECTED",
            [x, kernel, bias],
            (*x.shape[:-1], count) if keep_dims else (x.size // depth, count),
            option_class="FullyConnectedOptions",
            fusedActivationFunction=activation_number(activation),
            keepNumDims=keep_dims,
        )

    def batch_matmul(self, a: Value | Array, b: Value | Array, *, adj_x: bool = False, adj_y: bool = False) -> Value:
        """Add BATCH_MATMUL: [..., m, k] by [..., k, n]; ``adj`` swaps the last two axes of an operand first."""
        left, right = _some(a), _some(b)
        rows = left.shape[-1] if adj_x else left.shape[-2]
        columns = right.shape[-2] if adj_y else right.shape[-1]
        shape = (*np.broadcast_shapes(left.shape[:-2], right.shape[:-2]), rows, columns)
        return self.node(
            "BATCH_MATMUL", [left, right], shape, option_class="BatchMatMulOptions", adjX=adj_x, adjY=adj_y
        )

    def reshape(self, x: Value, shape: Sequence[int]) -> Value:
        """Add RESHAPE; every size is given."""
        sizes = np.array(shape, np.int32)
        assert int(np.prod(sizes)) == x.size, f"{list(x.shape)} cannot become {list(shape)}"
        return self.node(
            "RESHAPE",
            [x, constant(sizes, "shape")],
            shape,
            option_class="ReshapeOptions",
            newShape=list(map(int, shape)),
        )

    def transpose(self, x: Value, order: Sequence[int]) -> Value:
        """Add TRANSPOSE: axis i of the output is axis ``order[i]`` of the input."""
        shape = [x.shape[axis] for axis in order]
        return self.node("TRANSPOSE", [x, np.array(order, np.int32)], shape, option_class="TransposeOptions")

    def pad(self, x: Value, amounts: Sequence[Pair], value: float = 0.0) -> Value:
        """Add PAD or, where the value is not 0, PADV2; amounts are before and after, one pair an axis."""
        shape = [size + before + after for size, (before, after) in zip(x.shape, amounts, strict=True)]
        where = np.array(amounts, np.int32)
        if value == 0:
            return self.node("PAD", [x, where], shape, option_class="PadOptions")
        return self.node("PADV2", [x, where, np.array(value, np.float32)], shape, option_class="PadV2Options")

    def mirror_pad(self, x: Value, amounts: Sequence[Pair], *, symmetric: bool = False) -> Value:
        """Add MIRROR_PAD: reflecting, or symmetric, which repeats the border."""
        shape = [size + before + after for size, (before, after) in zip(x.shape, amounts, strict=True)]
        where = np.array(amounts, np.int32)
        return self.node("MIRROR_PAD", [x, where], shape, option_class="MirrorPadOptions", mode=int(symmetric))

    def slice(self, x: Value, begin: Sequence[int], size: Sequence[int]) -> Value:
        """Add SLICE; the sizes are all given."""
        places = [np.array(begin, np.int32), np.array(size, np.int32)]
        return self.node("SLICE", [x, *places], size, option_class="SliceOptions")

    def strided_slice(self, x: Value, begin: Sequence[int], end: Sequence[int], strides: Sequence[int]) -> Value:
        """Add STRIDED_SLICE; begin and end are from 0 to the size, the strides positive."""
        shape = [-(-(e - b) // s) for b, e, s in zip(begin, end, strides, strict=True)]
        places = [np.array(part, np.int32) for part in (begin, end, strides)]
        return self.node("STRIDED_SLICE", [x, *places], shape, option_class="StridedSliceOptions")

    def concatenate(self, values: Sequence[Value], axis: int) -> Value:
        """Add CONCATENATION."""
        shape = list(values[0].shape)
        shape[axis] = sum(value.shape[axis] for value in values)
        return self.node(
            "CONCATENATION", values, shape, option_class="ConcatenationOptions", axis=axis, fusedActivationFunction=0
        )

    def depth_to_space(self, x: Value, block: int) -> Value:
        """Add DEPTH_TO_SPACE: [1, h, w, block² c] to [1, block h, block w, c].

        Channel (i · block + j) c + k goes to row offset i, column offset j, channel k.
        """
        batch, high, wide, depth = x.shape
        shape = (batch, high * block, wide * block, depth // block**2)
        return self.node("DEPTH_TO_SPACE", [x], shape, option_class="DepthToSpaceOptions", blockSize=block)

    def space_to_depth(self, x: Value, block: int) -> Value:
        """Add SPACE_TO_DEPTH, the inverse of DEPTH_TO_SPACE."""
        batch, high, wide, depth = x.shape
        shape = (batch, high // block, wide // block, depth * block**2)
        return self.node("SPACE_TO_DEPTH", [x], shape, option_class="SpaceToDepthOptions", blockSize=block)

    def reduce(self, kind: str, x: Value, axes: Sequence[int], *, keep_dims: bool = True) -> Value:
        """Add MEAN, SUM, REDUCE_MAX, REDUCE_MIN or REDUCE_PROD over axes."""
        gone = {axis % len(x.shape) for axis in axes}
        shape = [1 if axis in gone else n for axis, n in enumerate(x.shape) if keep_dims or axis not in gone]
        where = np.array(sorted(gone), np.int32)
        return self.node(kind, [x, where], shape, option_class="ReducerOptions", keepDims=keep_dims)

    def resize(
        self, kind: str, x: Value, size: Pair, *, align_corners: bool = False, half_pixel: bool = False
    ) -> Value:
        """Add RESIZE_NEAREST_NEIGHBOR or RESIZE_BILINEAR to a height and width."""
        name = {"RESIZE_BILINEAR": "ResizeBilinearOptions", "RESIZE_NEAREST_NEIGHBOR": "ResizeNearestNeighborOptions"}
        return self.node(
            kind,
            [x, np.array(size, np.int32)],
            (x.shape[0], *size, x.shape[3]),
            option_class=name[kind],
            alignCorners=align_corners,
            halfPixelCenters=half_pixel,
        )

    def activate(self, x: Value, activation: str) -> Value:
        """Add an activation by the name that fusing uses; ``NONE`` adds nothing."""
        return x if activation == "NONE" else self.unary(activation, x)


def _some(entry: Value | Array) -> Value:
    return entry if isinstance(entry, Value) else constant(entry)


def _value(entry: Value | Array | None) -> Value | None:
    return None if entry is None else _some(entry)
