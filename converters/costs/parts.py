"""Some operators of a flatbuffer as a model of their own.

Given:   a, b → f → g → h → y
Result:  p → g → q          p and q are its input and output; constants come along
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_aigc.converters.graph import Model

_INDEX_FIELDS = ("inputs", "outputs", "intermediates")
_METADATA = b"reduced_precision_support"
"""Decides how every operator computes; other entries speak of the whole model."""


def part_of(model: Model, operators: Sequence[int], *, inputs: Sequence[int], outputs: Sequence[int]) -> Model:
    """Return operators of the main subgraph of a parsed model as a model of their own.

    Its operators, tensors and buffers may be changed; what they point to is shared with the model.

    Args:
        model: Left as it is.
        operators: Their positions, in the order of execution.
        inputs: Tensors that become the part's inputs, by their indices.
        outputs: Likewise.
    """
    part, graph = copy.copy(model), copy.copy(model.subgraphs[0])
    entries = [copy.copy(graph.operators[position]) for position in operators]
    used = dict.fromkeys(index for entry in entries for field in _INDEX_FIELDS for index in _indices(entry, field))
    kept = [index for index in used if index >= 0]
    number = {index: place for place, index in enumerate(kept)} | {-1: -1}
    for entry in entries:
        for field in _INDEX_FIELDS:
            setattr(entry, field, [number[index] for index in _indices(entry, field)])
        entry.debugMetadataIndex = -1
    graph.tensors = [copy.copy(graph.tensors[index]) for index in kept]
    graph.operators, graph.name, graph.debugMetadataIndex = entries, None, -1
    graph.inputs, graph.outputs = ([number[index] for index in side] for side in (inputs, outputs))
    part.subgraphs = [graph, *copy.deepcopy(model.subgraphs[1:])]
    part.description = part.signatureDefs = part.metadataBuffer = None
    part.metadata = [copy.copy(entry) for entry in model.metadata or [] if entry.name == _METADATA]
    _take_what_is_used(part, model)
    return part


def _take_what_is_used(part: Model, model: Model) -> None:
    """Give a part its own operator codes and buffers, and no others."""
    if len(part.subgraphs) > 1:  # the bodies of IF and WHILE point into the same lists
        part.buffers = [copy.copy(buffer) for buffer in model.buffers]
        return
    graph = part.subgraphs[0]
    holders = (*graph.tensors, *part.metadata)
    codes = list(dict.fromkeys(entry.opcodeIndex for entry in graph.operators))
    buffers = list(dict.fromkeys([0, *(holder.buffer for holder in holders)]))
    part.operatorCodes = [model.operatorCodes[index] for index in codes]
    part.buffers = [copy.copy(model.buffers[index]) for index in buffers]
    for entry in graph.operators:
        entry.opcodeIndex = codes.index(entry.opcodeIndex)
    for holder in holders:
        holder.buffer = buffers.index(holder.buffer)


def _indices(entry: Any, field: str) -> tuple[int, ...]:
    values = getattr(entry, field)
    return () if values is None else tuple(int(value) for value in values)
