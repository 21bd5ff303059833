"""A flatbuffer cut into operators, each a flatbuffer of its own: what is counted once and remembered.

Given:   y = conv(pad(x), dequantize(w16))
Result:  pad(x), conv(x, dequantize(w16)) with weights, scales and names made equal

Speed and instructions do not depend on values, so two operators of the same shapes, types and options
give the same bytes here, whatever net they come from.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_aigc.converters import graph
from edge_aigc.converters.costs.net import Node, Value, read_net

if TYPE_CHECKING:
    from collections.abc import Iterator

_SCALE = 0.05
"""Of every int8 tensor: requantization by 0.05 is within what kernels take, and equal scales in and out are
what PAD, CONCATENATION and the like demand."""
_SCALE_IS_TOLD = frozenset({"LOGISTIC", "SOFTMAX", "TANH", "L2_NORMALIZATION"})
"""Their output's scale is fixed by the 8-bit quantization specification, so it is left as it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One operator."""

    node: Node
    flatbuffer: bytes


def pieces(flatbuffer: bytes) -> tuple[Piece, ...]:
    """Return every operator that computes, in the order of execution.

    Raises:
        ConversionError: It is not a TFLite model.
    """
    net = read_net(flatbuffer)
    model = graph.parse(flatbuffer)
    unpacking = {int(entry.outputs[0]): entry for entry in _unpacking(model)}
    return tuple(Piece(node=node, flatbuffer=_cut(model, node, unpacking)) for node in net.nodes)


def _unpacking(model: graph.Model) -> Iterator[Any]:
    subgraph = model.subgraphs[0]
    for entry in subgraph.operators:
        if graph.kind_of(model, entry) == "DEQUANTIZE":
            source = model.buffers[subgraph.tensors[entry.inputs[0]].buffer].data
            if source is not None and len(source) > 0:
                yield entry


def _cut(model: graph.Model, node: Node, unpacking: dict[int, Any]) -> bytes:
    source = model.subgraphs[0]
    entry = source.operators[node.position]
    kept = [unpacking[int(i)] for i in entry.inputs if int(i) in unpacking] + [entry]
    cut = _Cutting(model, node)
    operators = [cut.operator(operator) for operator in kept]
    subgraph = copy.copy(source)
    subgraph.name = None
    subgraph.tensors, subgraph.operators = cut.tensors, operators
    subgraph.inputs = [cut.index[value.index] for value in _distinct(node.activations)]
    subgraph.outputs = [cut.index[value.index] for value in node.outputs]
    result = copy.copy(model)
    result.subgraphs, result.operatorCodes, result.buffers = [subgraph], cut.codes, cut.buffers
    result.signatureDefs, result.description, result.metadataBuffer = None, None, None
    result.metadata = cut.metadata()
    return graph.serialize(result)


def _distinct(values: tuple[Value, ...]) -> list[Value]:
    return list({value.index: value for value in values}.values())


class _Cutting:
    """The tables of one piece while it is made; indices are given as tensors are met."""

    def __init__(self, model: graph.Model, node: Node) -> None:
        self._model, self._node = model, node
        self._told = {value.index for value in node.outputs} if node.kind in _SCALE_IS_TOLD else set()
        self._source = model.subgraphs[0]
        empty = copy.copy(model.buffers[0])
        empty.data = None
        self.buffers: list[Any] = [empty]
        self.tensors: list[Any] = []
        self.codes: list[Any] = []
        self.index: dict[int, int] = {}

    def operator(self, entry: Any) -> Any:
        made = copy.copy(entry)
        code = self._model.operatorCodes[entry.opcodeIndex]
        self.codes.append(code)
        made.opcodeIndex = len(self.codes) - 1
        made.inputs = [self._tensor(int(i)) for i in entry.inputs]
        made.outputs = [self._tensor(int(i)) for i in entry.outputs]
        made.intermediates = None
        return made

    def metadata(self) -> list[Any] | None:
        """Keep what lets XNNPACK compute in fp16: it changes the kernels."""
        kept = []
        for entry in self._model.metadata or []:
            if bytes(entry.name) == b"reduced_precision_support":
                made = copy.copy(entry)
                self.buffers.append(copy.copy(self._model.buffers[entry.buffer]))
                made.buffer = len(self.buffers) - 1
                kept.append(made)
        return kept or None

    def _tensor(self, index: int) -> int:
        if index < 0:
            return -1
        if index in self.index:
            return self.index[index]
        made = copy.copy(self._source.tensors[index])
        made.name = f"t{len(self.tensors)}".encode()
        content = self._model.buffers[made.buffer].data
        bias = made.quantization is not None and made.quantization.scale is not None
        made.buffer = 0
        if content is not None and len(content) > 0:
            self.buffers.append(copy.copy(self.buffers[0]))
            self.buffers[-1].data = _levelled(
                bytes(content), graph.tensor_of(self._model, self._source.tensors[index]), bias=bias
            )
            made.buffer = len(self.buffers) - 1
        made.quantization = self._scales(index, made)
        self.tensors.append(made)
        self.index[index] = len(self.tensors) - 1
        return self.index[index]

    def _scales(self, index: int, tensor: Any) -> Any:
        quantization = tensor.quantization
        if quantization is None or quantization.scale is None or len(quantization.scale) == 0:
            return None
        quantization = copy.copy(quantization)
        quantization.min = quantization.max = None
        if index not in self._told:
            dtype = graph.tensor_of(self._model, self._source.tensors[index]).dtype
            scale = _SCALE * _SCALE if dtype == "INT32" else _SCALE
            quantization.scale = np.full(len(quantization.scale), scale, np.float32)
            quantization.zeroPoint = np.zeros(len(quantization.scale), np.int64)
        return quantization


def _levelled(content: bytes, tensor: graph.Tensor, *, bias: bool) -> bytes:
    """Return zeros for weights and biases, and shapes, axes and paddings as they are."""
    shapes = tensor.dtype in {"INT32", "INT64"} and not bias
    return content if shapes else bytes(len(content))
