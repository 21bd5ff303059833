"""Operators with what the table's limits ask about: options, constants, and who feeds whom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_aigc.converters.damage import DAMAGED, damaged
from edge_aigc.converters.graph import operators_of, parse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_aigc.converters.graph import Operator, Tensor

_WHOLE = {"INT8": np.int8, "UINT8": np.uint8, "INT32": np.int32, "INT64": np.int64}
_MOST_NUMBERS = 64
"""Axes, sizes and paddings are shorter; weights are longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One operator of the main subgraph."""

    index: int
    operator: Operator
    inputs: tuple[int, ...]
    """Tensors by number; -1 where an optional one is left out."""
    outputs: tuple[int, ...]
    options: Mapping[str, Any]
    """By the schema's names."""
    numbers: Mapping[int, tuple[int, ...]]
    """Short constants of whole numbers, by position among the inputs: axes, sizes, paddings."""
    zeros: frozenset[int]
    """Positions of constant inputs that hold nothing but their zero point."""
    states: frozenset[int]
    """Positions of inputs that keep their value from one invocation to the next."""
    open_shapes: frozenset[int]
    """Tensors, by number, whose shape is not fixed."""
    bytes_by_constant: Mapping[int, int]
    """Sizes of constant inputs, by the tensor's number."""

    @property
    def tensors(self) -> list[Tensor]:
        """Every input that is there, and the outputs."""
        return [t for t in (*self.operator.inputs, *self.operator.outputs) if t is not None]


def read_nodes(flatbuffer: bytes) -> tuple[Node, ...]:
    """Return the operators of the main subgraph in the order of execution.

    Raises:
        ConversionError: It is not a TFLite model.
    """
    model = parse(flatbuffer)
    graph, operators = model.subgraphs[0], operators_of(model)
    try:
        return tuple(
            _node(model, graph, index, entry, operator)
            for index, (entry, operator) in enumerate(zip(graph.operators or (), operators, strict=True))
        )
    except DAMAGED as exc:
        raise damaged(exc) from exc


def _node(model: Any, graph: Any, index: int, entry: Any, operator: Operator) -> Node:
    inputs = tuple(int(number) for number in (entry.inputs if entry.inputs is not None else ()))
    outputs = tuple(int(number) for number in (entry.outputs if entry.outputs is not None else ()))
    numbers: dict[int, tuple[int, ...]] = {}
    zeros: set[int] = set()
    sizes: dict[int, int] = {}
    for position, number in enumerate(inputs):
        if number < 0:
            continue
        tensor, known = graph.tensors[number], operator.inputs[position]
        content = model.buffers[tensor.buffer].data
        if content is None or len(content) == 0 or known is None:
            continue
        sizes[number] = len(content)
        values = np.frombuffer(bytes(content), _WHOLE[known.dtype]) if known.dtype in _WHOLE else None
        if values is not None and values.size <= _MOST_NUMBERS:
            numbers[position] = tuple(int(value) for value in values)
        if values is not None and bool(np.all(values == _zero_point(tensor))):
            zeros.add(position)
    return Node(
        index=index,
        operator=operator,
        inputs=inputs,
        outputs=outputs,
        options={} if entry.builtinOptions is None else dict(vars(entry.builtinOptions)),
        numbers=numbers,
        zeros=frozenset(zeros),
        states=frozenset(p for p, n in enumerate(inputs) if n >= 0 and graph.tensors[n].isVariable),
        open_shapes=frozenset(n for n in (*inputs, *outputs) if n >= 0 and _is_open(graph.tensors[n])),
        bytes_by_constant=sizes,
    )


def _zero_point(tensor: Any) -> int:
    points = tensor.quantization.zeroPoint if tensor.quantization is not None else None
    return 0 if points is None or len(points) == 0 else int(points[0])


def _is_open(tensor: Any) -> bool:
    signature = tensor.shapeSignature
    return signature is not None and any(int(size) < 0 for size in signature)
