"""What nothing refers to any more goes: buffers and operator codes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edge_aigc.converters.graph import Model


def compacted(model: Model) -> Model:
    """Return the parsed model without unused buffers and operator codes; changed in place."""
    tensors = [tensor for graph in model.subgraphs for tensor in graph.tensors]
    metadata = model.metadata or []
    used = sorted({0, *(entry.buffer for entry in (*tensors, *metadata))})
    place = {buffer: index for index, buffer in enumerate(used)}
    for entry in (*tensors, *metadata):
        entry.buffer = place[entry.buffer]
    model.buffers = [model.buffers[buffer] for buffer in used]
    operators: list[Any] = [entry for graph in model.subgraphs for entry in graph.operators or ()]
    codes = sorted({entry.opcodeIndex for entry in operators})
    code_place = {code: index for index, code in enumerate(codes)}
    for entry in operators:
        entry.opcodeIndex = code_place[entry.opcodeIndex]
    model.operatorCodes = [model.operatorCodes[code] for code in codes]
    return model
