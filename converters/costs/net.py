"""A flatbuffer as its costs see it: which operator runs where, on what geometry, and how long its tensors live.

Sources: XNNPACK's delegate (xnnpack_delegate.cc) for what it takes; schema.fbs for options.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from edge_aigc.converters import graph

if TYPE_CHECKING:
    from collections.abc import Iterator

_ITEM_BYTES = {
    "FLOAT32": 4,
    "FLOAT16": 2,
    "INT8": 1,
    "UINT8": 1,
    "INT16": 2,
    "INT32": 4,
    "INT64": 8,
    "FLOAT64": 8,
    "BOOL": 1,
    "COMPLEX64": 8,
}

_DELEGATED = frozenset(
    # xnnpack_delegate.cc, VisitNode.
    """ABS ADD AVERAGE_POOL_2D BATCH_MATMUL CEIL CONCATENATION CONV_2D COS DEPTHWISE_CONV_2D DEPTH_TO_SPACE
    DEQUANTIZE DIV ELU EXP EXPAND_DIMS FLOOR FULLY_CONNECTED GELU HARD_SWISH LEAKY_RELU LOG LOGISTIC MAXIMUM
    MAX_POOL_2D MEAN MINIMUM MUL NEG PAD PRELU QUANTIZE REDUCE_MAX REDUCE_MIN RELU RELU6 RELU_N1_TO_1 RESHAPE
    RESIZE_BILINEAR ROUND RSQRT SIN SLICE SOFTMAX SPACE_TO_DEPTH SPLIT SQRT SQUARE SQUARED_DIFFERENCE
    STRIDED_SLICE SUB SUM TANH TRANSPOSE TRANSPOSE_CONV""".split()  # noqa: SIM905 - fifty quoted names read worse
)
_IN_PLACE = frozenset(
    # runtime.c, optimize_tensor_allocation_for_in_place_operations: unary, binary, copy, softmax, reshape.
    """ABS ADD CEIL COS DIV ELU EXP EXPAND_DIMS FLOOR GELU HARD_SWISH LEAKY_RELU LOG LOGISTIC MAXIMUM MINIMUM MUL
    NEG PRELU RELU RELU6 RELU_N1_TO_1 RESHAPE ROUND RSQRT SIN SOFTMAX SQRT SQUARE SQUARED_DIFFERENCE SUB
    TANH""".split()  # noqa: SIM905 - thirty quoted names read worse
)
_NOT_DYNAMIC = frozenset({"DEPTHWISE_CONV_2D"})
"""XNNPACK has no kernel for float activations with int8 weights here (VisitDepthwiseConv2DNode, mixed types)."""
_FREE = frozenset({"RESHAPE", "EXPAND_DIMS", "SQUEEZE"})
"""Move nothing when they work in place."""

Weighed = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")
"""Operators whose constant weights XNNPACK packs."""
_WEIGHTS_AT = {"TRANSPOSE_CONV": 1}
_ACTIVATIONS_AT = {"TRANSPOSE_CONV": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """One tensor."""

    index: int
    shape: tuple[int, ...]
    dtype: str
    constant: bool
    """In the file, or unpacked from it."""
    packed_dtype: str
    """Of a constant: its type in the file; for others the same as `dtype`."""

    @property
    def numbers(self) -> int:
        """How many."""
        return math.prod(self.shape)

    @property
    def size_bytes(self) -> int:
        """In the type that operators see."""
        return self.numbers * _ITEM_BYTES.get(self.dtype, 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One operator that computes; the DEQUANTIZE of a constant is none."""

    position: int
    """Among the operators of the flatbuffer."""
    kind: str
    inputs: tuple[Value | None, ...]
    outputs: tuple[Value, ...]
    stride: tuple[int, int]
    """Height, width; 1, 1 where it has none."""
    runs_on: Literal["xnnpack", "builtin"]

    @property
    def weights(self) -> Value | None:
        """The constant that it multiplies by, if it is of the `Weighed`."""
        if self.kind not in Weighed:
            return None
        position = _WEIGHTS_AT.get(self.kind, 1)
        weights = self.inputs[position] if position < len(self.inputs) else None
        return weights if weights is not None and weights.constant else None

    @property
    def activations(self) -> tuple[Value, ...]:
        """The inputs that are computed."""
        return tuple(value for value in self.inputs if value is not None and not value.constant)

    @property
    def hybrid(self) -> bool:
        """Whether it has int8 weights beside float activations."""
        return self.weights is not None and self.weights.dtype == "INT8" and self.outputs[0].dtype == "FLOAT32"

    @property
    def in_place(self) -> bool:
        """Whether XNNPACK lets its output lie where its input does."""
        return self.kind in _IN_PLACE

    @property
    def free(self) -> bool:
        """Whether it moves nothing."""
        return self.kind in _FREE


@dataclass(frozen=True, slots=True, kw_only=True)
class Net:
    """The main subgraph."""

    nodes: tuple[Node, ...]
    inputs: frozenset[int]
    outputs: frozenset[int]
    """Indices of tensors."""

    def partitions(self) -> Iterator[tuple[str, tuple[Node, ...]]]:
        """Yield the runs of neighbours that one side executes: each of XNNPACK's is one of its runtimes."""
        run: list[Node] = []
        for node in self.nodes:
            if run and node.runs_on != run[0].runs_on:
                yield run[0].runs_on, tuple(run)
                run = []
            run.append(node)
        if run:
            yield run[0].runs_on, tuple(run)


def read_net(flatbuffer: bytes) -> Net:
    """Return the main subgraph of a flatbuffer.

    Raises:
        ConversionError: It is not a TFLite model.
    """
    model = graph.parse(flatbuffer)
    subgraph = model.subgraphs[0]
    facts = [graph.tensor_of(model, entry) for entry in subgraph.tensors]
    values = [
        Value(index=i, shape=fact.shape, dtype=fact.dtype, constant=fact.constant, packed_dtype=fact.dtype)
        for i, fact in enumerate(facts)
    ]
    nodes = []
    for position, entry in enumerate(subgraph.operators):
        kind = graph.kind_of(model, entry)
        inputs = [values[i] if i >= 0 else None for i in entry.inputs]
        if kind == "DEQUANTIZE" and inputs[0] is not None and inputs[0].constant:
            _unpack(values, int(entry.outputs[0]), inputs[0])
        else:
            nodes.append(_node(position, kind, tuple(inputs), tuple(values[i] for i in entry.outputs), entry))
    return Net(
        nodes=tuple(nodes),
        inputs=frozenset(int(i) for i in subgraph.inputs),
        outputs=frozenset(int(i) for i in subgraph.outputs),
    )


def in_int8(net: Net) -> Net:
    """Return a float net as it would be in int8 all the way."""
    return replace(
        net,
        nodes=tuple(
            replace(
                node,
                inputs=tuple(None if value is None else _value_in_int8(value) for value in node.inputs),
                outputs=tuple(_value_in_int8(value) for value in node.outputs),
            )
            for node in net.nodes
        ),
    )


def _value_in_int8(value: Value) -> Value:
    return replace(value, dtype="INT8", packed_dtype="INT8") if value.dtype == "FLOAT32" else value


def _unpack(values: list[Value], index: int, source: Value) -> None:
    values[index] = replace(values[index], constant=True, packed_dtype=source.packed_dtype)


def _node(position: int, kind: str, inputs: tuple[Value | None, ...], outputs: tuple[Value, ...], entry: Any) -> Node:
    options = entry.builtinOptions
    node = Node(
        position=position,
        kind=kind,
        inputs=inputs,
        outputs=outputs,
        stride=(int(getattr(options, "strideH", 1)), int(getattr(options, "strideW", 1))),
        runs_on="builtin",
    )
    return replace(node, runs_on="xnnpack") if _delegated(node) else node


def _delegated(node: Node) -> bool:
    if node.kind not in _DELEGATED or (node.kind in Weighed and node.weights is None):
        return False
    if node.hybrid and node.kind in _NOT_DYNAMIC:
        return False
    if node.kind == "TRANSPOSE_CONV" and (node.inputs[0] is None or not node.inputs[0].constant):
        return False
    return all(value.dtype in {"FLOAT32", "INT8", "UINT8"} for value in (*node.activations, *node.outputs))
