"""One operator of each kind that we quantize, with sizes and constants drawn: what kernels are tried on."""

# ruff: noqa: ARG005 - every builder takes builder, inputs and draw

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from rewriting import normal

from edge_aigc.converters.compat import stamp_versions
from edge_aigc.converters.ir import Builder, Graph, Value, write

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Build: TypeAlias = Callable[["Builder", list["Value"], "Draw"], Value | list[Value]]

ACTIVATIONS = ("NONE", "RELU", "RELU6", "RELU_N1_TO_1")
SAMPLES = 3


@dataclass(frozen=True, slots=True)
class Draw:
    """Where a case's sizes and constants come from."""

    rng: np.random.Generator

    def size(self, low: int, high: int) -> int:
        """Return a number between two, both among them."""
        return int(self.rng.integers(low, high + 1))

    def normal(self, *shape: int) -> np.ndarray[Any, Any]:
        """Return normal numbers of some width."""
        wide: np.ndarray[Any, Any] = normal(self.rng, shape) * np.float32(self.rng.uniform(0.1, 2))
        return wide

    def one_of(self, *choices: Any) -> Any:
        """Return one of several."""
        return choices[self.size(0, len(choices) - 1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A float net of one operator."""

    flatbuffer: bytes
    samples: list[list[np.ndarray[Any, Any]]]


def case(kind: str, seed: int) -> Case:
    """Return a net whose only operator is of a kind; the same seed gives the same one."""
    draw = Draw(np.random.default_rng(seed))
    count = 2 if kind in _TWO else 1
    shape = (1, draw.size(2, 5), draw.size(2, 5), draw.size(1, 6))
    if kind in {"DEPTH_TO_SPACE", "SPACE_TO_DEPTH", "MAX_POOL_2D", "AVERAGE_POOL_2D", "UNPACK", "SPLIT", "SPLIT_V"}:
        shape = (1, 4, 4, 4 * draw.size(1, 2))
    if kind in {"FULLY_CONNECTED", "SOFTMAX", "LOG_SOFTMAX", "L2_NORMALIZATION", "GATHER_ND"}:
        shape = (1, draw.size(2, 20))
    values = [Value(name=f"x{place}", shape=shape) for place in range(count)]
    graph = Graph(inputs=values, outputs=[], nodes=[], input_names=[value.name for value in values], output_names=[])
    made = BUILDS[kind](Builder(graph), values, draw)
    graph.outputs = made if isinstance(made, list) else [made]
    graph.output_names = [f"y{place}" for place in range(len(graph.outputs))]
    assert [node.kind for node in graph.nodes] == [kind]
    width = np.float32(draw.rng.uniform(0.3, 3))
    samples = [[_positive(kind, normal(draw.rng, shape) * width) for _ in values] for _ in range(SAMPLES)]
    return Case(flatbuffer=stamp_versions(write(graph)), samples=samples)


def _positive(kind: str, values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.abs(values) + np.float32(0.5) if kind == "RSQRT" else values


def _conv(b: Builder, x: list[Value], d: Draw) -> Value:
    out = d.size(1, 6)
    weights = d.normal(out, d.size(1, 2), d.size(1, 2), x[0].shape[3])
    stride, padding = (d.size(1, 2), d.size(1, 2)), d.one_of("SAME", "VALID")
    return b.conv_2d(x[0], weights, d.normal(out), stride=stride, padding=padding, activation=d.one_of(*ACTIVATIONS))


def _depthwise(b: Builder, x: list[Value], d: Draw) -> Value:
    out = x[0].shape[3] * d.size(1, 2)
    return b.depthwise_conv_2d(
        x[0],
        d.normal(1, 2, 2, out),
        d.normal(out),
        padding=d.one_of("SAME", "VALID"),
        activation=d.one_of(*ACTIVATIONS),
    )


def _transposed(b: Builder, x: list[Value], d: Draw) -> Value:
    stride, out = d.size(1, 3), d.size(1, 4)
    weights, bias = d.normal(out, d.size(2, 4), d.size(2, 4), x[0].shape[3]), d.one_of(None, d.normal(out))
    size = (x[0].shape[1] * stride, x[0].shape[2] * stride)
    return b.transpose_conv(x[0], weights, bias, size, stride=(stride, stride), padding="SAME")


def _dense(b: Builder, x: list[Value], d: Draw) -> Value:
    out = d.size(1, 9)
    bias = d.one_of(None, d.normal(out))
    return b.fully_connected(x[0], d.normal(out, x[0].shape[1]), bias, activation=d.one_of(*ACTIVATIONS))


def _pool(kind: str) -> Build:
    def build(b: Builder, x: list[Value], d: Draw) -> Value:
        del d
        options = {"padding": 0, "strideW": 2, "strideH": 2, "filterWidth": 2, "filterHeight": 2}
        shape = (1, x[0].shape[1] // 2, x[0].shape[2] // 2, x[0].shape[3])
        return b.node(kind, [x[0]], shape, option_class="Pool2DOptions", **options)

    return build


def _plain(kind: str, options: str, place: Callable[[Value, Draw], tuple[list[Any], tuple[int, ...]]]) -> Build:
    """An operator of one activation: constants after it and the output's shape by `place`."""

    def build(b: Builder, x: list[Value], d: Draw) -> Value:
        constants, shape = place(x[0], d)
        return b.node(kind, [x[0], *constants], shape, option_class=options)

    return build


def _ints(*values: Any) -> np.ndarray[Any, Any]:
    return np.array(values, np.int32)


def _blocks(x: Value, d: Draw) -> tuple[list[Any], tuple[int, ...]]:
    high, wide = -x.shape[1] % 2, -x.shape[2] % 2
    del d
    shape = (4, (x.shape[1] + high) // 2, (x.shape[2] + wide) // 2, x.shape[3])
    return [_ints(2, 2), _ints((0, high), (0, wide))], shape


def _many(kind: str, options: str, outputs: int, **fields: Any) -> Build:
    """SPLIT, SPLIT_V or UNPACK along the last axis."""

    def build(b: Builder, x: list[Value], d: Draw) -> list[Value]:
        del d
        depth, axis = x[0].shape[3], np.array(3, np.int32)
        inputs = {"SPLIT": [axis, x[0]], "SPLIT_V": [x[0], _ints(depth // 2, depth // 2), axis], "UNPACK": [x[0]]}
        count = depth if kind == "UNPACK" else outputs
        shape = x[0].shape[:3] if kind == "UNPACK" else (*x[0].shape[:3], depth // 2)
        first = b.node(kind, inputs[kind], shape, option_class=options, dtype="FLOAT32", **fields)
        (node,) = [n for n in b._graph.nodes if first in n.outputs]
        if kind == "UNPACK":
            node.options["num"] = depth
        node.outputs += [Value(name=f"{kind.lower()}/{i}", shape=shape, dtype="FLOAT32") for i in range(1, count)]
        return list(node.outputs)

    return build


def _joined(kind: str, options: str) -> Build:
    def build(b: Builder, x: list[Value], d: Draw) -> Value:
        axis = d.size(1, 3)
        if kind == "PACK":
            shape = [*x[0].shape[:axis], 2, *x[0].shape[axis:]]
            return b.node(kind, list(x), shape, option_class=options, valuesCount=2, axis=axis)
        return b.concatenate([*x, x[0]] if d.one_of(True, False) else x, axis)

    return build


def _select(kind: str, options: str) -> Build:
    def build(b: Builder, x: list[Value], d: Draw) -> Value:
        mask = d.rng.integers(0, 2, x[0].shape).astype(bool)
        return b.node(kind, [mask, *x], x[0].shape, option_class=options, dtype="FLOAT32")

    return build


def _either(kind: str) -> Build:
    """Of two tensors, or of one and a constant by channel."""

    def build(b: Builder, x: list[Value], d: Draw) -> Value:
        other = d.one_of(x[1], d.normal(x[0].shape[3]), d.normal())
        fuses = kind in {"ADD", "SUB", "MUL"}
        return b.binary(kind, x[0], other, activation=d.one_of(*ACTIVATIONS)) if fuses else b.binary(kind, x[0], other)

    return build


def _unary(kind: str, **options: Any) -> Build:
    return lambda b, x, d: b.unary(kind, x[0], **options)


def _reduced(kind: str) -> Build:
    return lambda b, x, d: b.reduce(kind, x[0], d.one_of((1, 2), (3,), (1,)), keep_dims=d.one_of(True, False))


def _amounts(d: Draw, most: int) -> list[tuple[int, int]]:
    return [(0, 0), (d.size(0, most), d.size(0, most)), (d.size(0, most), d.size(0, most)), (0, 0)]


def _gathered(x: Value, d: Draw) -> tuple[list[Any], tuple[int, ...]]:
    picks = d.rng.integers(0, x.shape[0], 3).astype(np.int32)
    return [picks], (3, *x.shape[1:])


BUILDS: Mapping[str, Build] = {
    "CONV_2D": _conv,
    "DEPTHWISE_CONV_2D": _depthwise,
    "FULLY_CONNECTED": _dense,
    "TRANSPOSE_CONV": _transposed,
    "AVERAGE_POOL_2D": _pool("AVERAGE_POOL_2D"),
    "BATCH_TO_SPACE_ND": lambda b, x, d: b.node(
        "BATCH_TO_SPACE_ND", [x[0], _ints(1, 1), _ints((0, 1), (0, 0))],
        (1, x[0].shape[1] - 1, *x[0].shape[2:]), option_class="BatchToSpaceNDOptions",
    ),
    "BROADCAST_TO": _plain(
        "BROADCAST_TO", "BroadcastToOptions", lambda x, d: ([_ints(3, *x.shape[1:])], (3, *x.shape[1:]))
    ),
    "CONCATENATION": _joined("CONCATENATION", "ConcatenationOptions"),
    "DEPTH_TO_SPACE": lambda b, x, d: b.depth_to_space(x[0], 2),
    "DYNAMIC_UPDATE_SLICE": lambda b, x, d: b.node(
        "DYNAMIC_UPDATE_SLICE", [x[0], x[1], _ints(0, 0, 0, 0)], x[0].shape,
        option_class="DynamicUpdateSliceOptions",
    ),
    "EXPAND_DIMS": _plain("EXPAND_DIMS", "ExpandDimsOptions", lambda x, d: ([_ints(1)], (1, 1, *x.shape[1:]))),
    "GATHER": lambda b, x, d: b.node(
        "GATHER", [x[0], _ints(0, 1)], (*x[0].shape[:2], 2, x[0].shape[3]), option_class="GatherOptions", axis=2
    ),
    "GATHER_ND": _plain("GATHER_ND", "GatherNdOptions", lambda x, d: ([_ints((0, 1), (0, 0))], (2,))),
    "MAXIMUM": _either("MAXIMUM"),
    "MAX_POOL_2D": _pool("MAX_POOL_2D"),
    "MINIMUM": _either("MINIMUM"),
    "MIRROR_PAD": lambda b, x, d: b.mirror_pad(x[0], _amounts(d, 1), symmetric=d.one_of(True, False)),
    "PACK": _joined("PACK", "PackOptions"),
    "PAD": lambda b, x, d: b.pad(x[0], _amounts(d, 2)),
    "PADV2": lambda b, x, d: b.pad(x[0], _amounts(d, 2), value=0.25),
    "REDUCE_MAX": _reduced("REDUCE_MAX"),
    "REDUCE_MIN": _reduced("REDUCE_MIN"),
    "RESHAPE": lambda b, x, d: b.reshape(x[0], (1, x[0].size)),
    "RESIZE_BILINEAR": lambda b, x, d: b.resize("RESIZE_BILINEAR", x[0], (7, 8), half_pixel=d.one_of(True, False)),
    "RESIZE_NEAREST_NEIGHBOR": lambda b, x, d: b.resize("RESIZE_NEAREST_NEIGHBOR", x[0], (7, 8)),
    "REVERSE_V2": _plain("REVERSE_V2", "ReverseV2Options", lambda x, d: ([_ints(1)], x.shape)),
    "SELECT": _select("SELECT", "SelectOptions"),
    "SELECT_V2": _select("SELECT_V2", "SelectV2Options"),
    "SLICE": lambda b, x, d: b.slice(x[0], (0, 1, 0, 0), (1, x[0].shape[1] - 1, *x[0].shape[2:])),
    "SPACE_TO_BATCH_ND": _plain("SPACE_TO_BATCH_ND", "SpaceToBatchNDOptions", _blocks),
    "SPACE_TO_DEPTH": lambda b, x, d: b.space_to_depth(x[0], 2),
    "SPLIT": _many("SPLIT", "SplitOptions", 2, numSplits=2),
    "SPLIT_V": _many("SPLIT_V", "SplitVOptions", 2, numSplits=2),
    "SQUEEZE": lambda b, x, d: b.node(
        "SQUEEZE", [x[0]], x[0].shape[1:], option_class="SqueezeOptions", squeezeDims=[0]
    ),
    "STRIDED_SLICE": lambda b, x, d: b.strided_slice(x[0], (0, 1, 0, 0), x[0].shape, (1, 1, d.size(1, 2), 1)),
    "TILE": _plain("TILE", "TileOptions", lambda x, d: ([_ints(1, 2, 1, 1)], (1, 2 * x.shape[1], *x.shape[2:]))),
    "TRANSPOSE": lambda b, x, d: b.transpose(x[0], d.one_of((0, 2, 1, 3), (0, 3, 1, 2))),
    "UNPACK": _many("UNPACK", "UnpackOptions", 0, axis=3),
    "ABS": _unary("ABS"),
    "ADD": _either("ADD"),
    "BATCH_MATMUL": lambda b, x, d: b.batch_matmul(
        x[0], d.one_of(x[1], d.normal(1, x[0].shape[1], d.size(1, 5), x[0].shape[3])), adj_y=True
    ),
    "ELU": _unary("ELU"),
    "EXP": _unary("EXP"),
    "GELU": _unary("GELU", approximate=True),
    "HARD_SWISH": _unary("HARD_SWISH"),
    "LEAKY_RELU": lambda b, x, d: b.unary("LEAKY_RELU", x[0], alpha=float(d.rng.uniform(0.01, 0.5))),
    "MEAN": _reduced("MEAN"),
    "MUL": _either("MUL"),
    "PRELU": lambda b, x, d: b.node("PRELU", [x[0], d.normal(1, 1, x[0].shape[3])], x[0].shape),
    "RELU": _unary("RELU"),
    "RELU6": _unary("RELU6"),
    "RELU_N1_TO_1": _unary("RELU_N1_TO_1"),
    "RSQRT": _unary("RSQRT"),
    "SQUARED_DIFFERENCE": _either("SQUARED_DIFFERENCE"),
    "SUB": _either("SUB"),
    "SUM": _reduced("SUM"),
    "L2_NORMALIZATION": lambda b, x, d: b.node(
        "L2_NORMALIZATION", [x[0]], x[0].shape, option_class="L2NormOptions", fusedActivationFunction=0
    ),
    "LOGISTIC": _unary("LOGISTIC"),
    "LOG_SOFTMAX": lambda b, x, d: b.node("LOG_SOFTMAX", [x[0]], x[0].shape, option_class="LogSoftmaxOptions"),
    "SOFTMAX": lambda b, x, d: b.node("SOFTMAX", [x[0]], x[0].shape, option_class="SoftmaxOptions", beta=1.0),
    "TANH": _unary("TANH"),
}  # fmt: skip
_TWO = frozenset(
    {"MAXIMUM", "MINIMUM", "ADD", "SUB", "MUL", "SQUARED_DIFFERENCE", "CONCATENATION", "PACK", "SELECT", "SELECT_V2"}
    | {"BATCH_MATMUL", "DYNAMIC_UPDATE_SLICE"}
)
