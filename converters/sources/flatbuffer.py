"""What a float flatbuffer tells of itself: names at its border, last activations, weights that are none."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from edge_aigc.converters.graph import (
    constant_of,
    inputs_and_outputs,
    kind_of,
    name_borders,
    operators,
    parse,
    tensor_of,
)
from edge_aigc.converters.sources.source import Source, TensorFact, clean_name, not_finite

if TYPE_CHECKING:
    from collections.abc import Sequence

_ACTIVATIONS = {"TANH": "tanh", "LOGISTIC": "sigmoid", "SOFTMAX": "softmax"}
_KEEPS = frozenset({"RESHAPE", "TRANSPOSE", "SQUEEZE", "EXPAND_DIMS"})
"""What a last activation's range survives."""
_WEIGHED = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "FULLY_CONNECTED", "CONV_3D", "BATCH_MATMUL"})
"""Operators whose constants are weights; elsewhere an infinity may be meant, as in a mask."""


def output_facts(flatbuffer: bytes, names: Sequence[str]) -> tuple[TensorFact, ...]:
    """Return what a flatbuffer tells of its outputs."""
    makers = {tensor.name: entry for entry in operators(flatbuffer) for tensor in entry.outputs}
    facts = []
    for tensor, name in zip(inputs_and_outputs(flatbuffer)[1], names, strict=True):
        maker = makers.get(tensor.name)
        while maker is not None and maker.kind in _KEEPS and maker.inputs[0] is not None:
            maker = makers.get(maker.inputs[0].name)
        kind = None if maker is None else _ACTIVATIONS.get(maker.kind)
        facts.append(TensorFact(name=name, shape=tensor.shape, dtype=tensor.dtype.lower(), activation=kind))
    return tuple(facts)


def renamed(source: Source, inputs: Sequence[str], outputs: Sequence[str]) -> Source:
    """Return a source whose inputs and outputs have other names, in the same order."""
    return replace(
        source,
        flatbuffer=name_borders(source.flatbuffer, list(inputs), list(outputs)),
        inputs=tuple(replace(fact, name=name) for fact, name in zip(source.inputs, inputs, strict=True)),
        outputs=tuple(replace(fact, name=name) for fact, name in zip(source.outputs, outputs, strict=True)),
    )


def border_names(flatbuffer: bytes) -> tuple[list[str], list[str]]:
    """Return what a flatbuffer calls its inputs and outputs: by its signature if it has one, in its order."""
    model = parse(flatbuffer)
    graph = model.subgraphs[0]
    signed: dict[int, str] = {}
    for signature in model.signatureDefs or ():
        for entry in (*(signature.inputs or ()), *(signature.outputs or ())):
            signed.setdefault(int(entry.tensorIndex), bytes(entry.name).decode(errors="replace"))

    def name(index: int) -> str:
        given = bytes(graph.tensors[index].name or b"").decode(errors="replace")
        return clean_name(signed.get(int(index), given.removeprefix("serving_default_").split(":")[0]))

    return [name(index) for index in graph.inputs], [name(index) for index in graph.outputs]


def require_finite(flatbuffer: bytes, what: str) -> None:
    """Refuse weights that are NaN or infinite.

    Raises:
        ConversionError: Names the tensors.
    """
    model = parse(flatbuffer)
    wrong: dict[str, None] = {}
    for graph in model.subgraphs:
        for entry in graph.operators or ():
            weighed = kind_of(model, entry) in _WEIGHED
            for index in entry.inputs if entry.inputs is not None else ():
                data = constant_of(model, graph.tensors[index]) if index >= 0 else None
                if data is not None and (np.isnan(data).any() or (weighed and not np.isfinite(data).all())):
                    wrong[tensor_of(model, graph.tensors[index]).name] = None
    if wrong:
        raise not_finite(list(wrong), what)
