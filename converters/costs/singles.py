"""A flatbuffer taken apart: every operator as a model of its own, in a standard form.

Given:   conv → relu → depth_to_space → tanh
Result:  [conv → relu], [depth_to_space], [tanh]

What XNNPACK fuses stays together: an activation with what makes its input, a PAD with the convolution
after it. A DEQUANTIZE of constant float16 weights belongs to what uses them: it runs once, when the
interpreter plans. Equal operators give equal bytes, whatever their weights: `canonical.py`.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_aigc.converters.costs.canonical import standardize
from edge_aigc.converters.costs.parts import part_of
from edge_aigc.converters.graph import Model, kind_of, parse, serialize, type_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_UNPACKS = frozenset({"DEQUANTIZE", "DENSIFY"})
"""Kinds that run once where their input is constant."""
_CLAMPS = frozenset({"RELU", "RELU6", "RELU_N1_TO_1", "RELU_0_TO_1"})
_CLAMPED = frozenset(
    {"ADD", "AVERAGE_POOL_2D", "CONV_2D", "DEPTHWISE_CONV_2D", "DIV", "FULLY_CONNECTED", "MAX_POOL_2D", "MUL"}
    | {"SUB", "TRANSPOSE_CONV"}
)
_PADS = frozenset({"PAD", "PADV2"})
_PADDED = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D"})
"""XNNPACK, subgraph.c, `xnn_subgraph_fusion`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Single:
    """One operator of a flatbuffer, or a few that run as one."""

    kind: str
    """The schema's name, for example ``CONV_2D``; several joined by ``+``."""
    shape_in: tuple[int, ...]
    """Of its first input that is computed; empty if there is none."""
    shape: tuple[int, ...]
    """Of its output."""
    weights: tuple[int, ...]
    """Shape of its first constant of two or more dimensions; empty if there is none."""
    dtype: str
    """Of its output."""
    elements_in: tuple[int, ...]
    """Of each input that is float32."""
    elements_out: tuple[int, ...]
    """Of each output that is float32."""
    flatbuffer: bytes
    key: str
    """A hash of the flatbuffer."""
    positions: tuple[int, ...]
    """Among the operators of the flatbuffer that it comes from."""


def split(flatbuffer: bytes, *, fused: bool = True) -> tuple[Single, ...]:
    """Return the operators of the main subgraph, in the order of execution; equal ones have equal keys.

    Args:
        flatbuffer: A model.
        fused: Leave together what XNNPACK runs as one.

    Raises:
        ConversionError: It is not a TFLite model.
    """
    model = parse(flatbuffer)
    return tuple(_single(model, group) for group in _groups(model, fused=fused))


def borders(flatbuffer: bytes) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the elements of each float32 input and output of a whole model."""
    graph = parse(flatbuffer).subgraphs[0]
    return _float_elements(graph, graph.inputs), _float_elements(graph, graph.outputs)


def _single(model: Model, group: Sequence[int]) -> Single:
    graph = model.subgraphs[0]
    entries = [graph.operators[position] for position in group]
    unpacks = _unpacking(model, entries)
    made = {index for position in (*unpacks, *group) for index in _outputs(graph.operators[position])}
    inputs = list(dict.fromkeys(i for entry in entries for i in _inputs(entry) if i not in made and _flows(model, i)))
    outputs = list(_outputs(entries[-1]))
    part = part_of(model, [*unpacks, *group], inputs=inputs, outputs=outputs)
    standardize(part)
    content = serialize(part)
    output = graph.tensors[outputs[0]]
    constants = [_shape(graph, index) for entry in entries for index in _inputs(entry) if index not in inputs]
    return Single(
        kind="+".join(kind_of(model, entry) for entry in entries),
        shape_in=_shape(graph, inputs[0]) if inputs else (),
        shape=_shape(graph, outputs[0]),
        weights=next((shape for shape in constants if len(shape) > 1), ()),
        dtype=type_of(output),
        elements_in=_float_elements(graph, inputs),
        elements_out=_float_elements(graph, outputs),
        flatbuffer=content,
        key=hashlib.sha256(content).hexdigest(),
        positions=tuple(group),
    )


def _groups(model: Model, *, fused: bool) -> list[list[int]]:
    """Return the positions of the operators that run at every invocation, those that run as one together."""
    graph = model.subgraphs[0]
    uses = Counter(index for entry in graph.operators for index in _inputs(entry))
    uses.update(int(index) for index in graph.outputs)
    groups: list[list[int]] = []
    maker: dict[int, list[int]] = {}
    for position, entry in enumerate(graph.operators):
        if _runs_once(model, entry):
            continue
        before = [maker[index] for index in _inputs(entry) if fused and index in maker and uses[index] == 1]
        joined = next((group for group in before if _run_as_one(model, graph.operators[group[-1]], entry)), None)
        if joined is None:
            joined = []
            groups.append(joined)
        joined.append(position)
        maker.update(dict.fromkeys(_outputs(entry), joined))
    # A group runs where its last operator stands.
    return sorted(groups, key=lambda group: group[-1])


def _run_as_one(model: Model, before: Any, after: Any) -> bool:
    first, second = kind_of(model, before), kind_of(model, after)
    return (first in _CLAMPED and second in _CLAMPS) or (first in _PADS and second in _PADDED)


def _unpacking(model: Model, entries: Iterable[Any]) -> list[int]:
    """Return the positions of the operators that unpack constants of others."""
    graph = model.subgraphs[0]
    maker = {
        index: position
        for position, entry in enumerate(graph.operators)
        if _runs_once(model, entry)
        for index in _outputs(entry)
    }
    found: set[int] = set()
    waiting = [index for entry in entries for index in _inputs(entry)]
    while waiting:
        position = maker.get(waiting.pop())
        if position is not None and position not in found:
            found.add(position)
            waiting += _inputs(graph.operators[position])
    return sorted(found)


def _runs_once(model: Model, entry: Any) -> bool:
    return kind_of(model, entry) in _UNPACKS and not any(_flows(model, index) for index in _inputs(entry))


def _flows(model: Model, index: int) -> bool:
    """Return whether a tensor's values come anew with each invocation."""
    tensor = model.subgraphs[0].tensors[index]
    content = model.buffers[tensor.buffer].data
    return (content is None or len(content) == 0) and not tensor.isVariable


def _shape(graph: Any, index: int) -> tuple[int, ...]:
    shape = graph.tensors[index].shape
    return () if shape is None else tuple(int(size) for size in shape)


def _float_elements(graph: Any, indices: Iterable[int]) -> tuple[int, ...]:
    tensors = [graph.tensors[index] for index in indices]
    return tuple(int(np.prod(tensor.shape)) for tensor in tensors if type_of(tensor) == "FLOAT32")


def _inputs(entry: Any) -> tuple[int, ...]:
    return tuple(int(index) for index in entry.inputs if index >= 0)


def _outputs(entry: Any) -> tuple[int, ...]:
    return tuple(int(index) for index in entry.outputs)
