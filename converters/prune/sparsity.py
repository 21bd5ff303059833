"""Zeros in kernels that stay: how a flatbuffer stores them, and why they are refused.

XNNPACK multiplies by sparse weights in one place alone: 1x1 convolutions at least two thirds of whose weights are
zero, in a stretch of the net that it can run channels first: from a 3x3 convolution of stride 2 on a picture of three
channels to a mean over the picture or to a DEPTH_TO_SPACE. That is a classifier's shape. Elsewhere sparse weights are
unpacked when the model is loaded, and cost what full ones cost.

Source: the delegate's README, "Sparse Inference" (tensorflow/lite/delegates/xnnpack/README.md); what it comes to is
measured by `benchmarks/sparsity.py`: on Cortex-A72 with ai-edge-litert 2.3.0 such a net takes 20,539 thousand
instructions, 12,040 with 70 % of its weights zero and 4,678 with 90 %, but 20,538 with two of every four; with
tflite-runtime 2.14.0 20,444 in every case. The digits take 6,541 and 6,540 with 90 % zero, ESRGAN x2 84,840 and 84,840.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edge_aigc.converters.graph import (
    add_buffer,
    add_operator,
    add_tensor,
    constant_of,
    kind_of,
    operator_code,
    parse,
    serialize,
)
from edge_aigc.converters.ir import read
from edge_aigc.converters.ir.windows import stride_of
from edge_aigc.errors import ConversionError

if TYPE_CHECKING:
    from edge_aigc.converters.graph import Array, Model

Pattern: TypeAlias = Literal["unstructured", "2:4"]
"""``unstructured``: the smallest of a tensor; ``2:4``: two of every four along the input's channels."""

Measure: TypeAlias = Callable[[Mapping[str, bytes]], Mapping[str, float]]
"""Whole models to what each costs on the target, by the same names: sparse kernels run in stretches of operators, so
an operator alone tells nothing."""

_ENTRY = (3, 3, 3)
"""Height, width and input channels of the convolution that sparse stretches begin with."""
_REMEDY = "Remove whole channels instead: `--prune 0.75` removes three quarters of the multiplications."
_GAIN = 0.97
"""A sparse form pays where it costs at most this share: as `forms.GAIN`."""
_WEIGHTS = 1
_WEIGHED = frozenset({"CONV_2D", "FULLY_CONNECTED"})
_FOUR, _TWO = 4, 2


def sparse(flatbuffer: bytes, *, zeros: float, pattern: Pattern = "unstructured") -> bytes:
    """Return a float model whose convolutions and dense layers lost weights, stored as sparse tensors.

    Args:
        flatbuffer: Float, its constants unpacked.
        zeros: Share of weights that become zero where the pattern leaves it open.
        pattern: Which ones.
    """
    model = parse(flatbuffer)
    graph = model.subgraphs[0]
    densify = operator_code(model, "DENSIFY", 1)
    made: dict[int, int] = {}
    for entry in [entry for entry in graph.operators if kind_of(model, entry) in _WEIGHED]:
        index = int(entry.inputs[_WEIGHTS])
        values = constant_of(model, graph.tensors[index])
        if values is None:
            continue
        if index not in made:
            kept = _without(values, zeros, pattern)
            stored = _stored(model, graph, kept)
            made[index] = add_tensor(graph, f"dense {index}", kept.shape, "FLOAT32", 0)
            add_operator(graph, densify, [stored], [made[index]], 0)
        entry.inputs[_WEIGHTS] = made[index]
    return serialize(model)


def sparse_if_cheaper(
    flatbuffer: bytes, measure: Measure, *, zeros: float, pattern: Pattern, where: str, unit: str
) -> bytes:
    """Return the sparse form of a model where the target gains by it.

    Args:
        flatbuffer: Float, its constants unpacked.
        measure: Of the target.
        zeros: As in `sparse`.
        pattern: As in `sparse`.
        where: The target, for people.
        unit: Of what `measure` tells.

    Raises:
        ConversionError: It gains nothing; the message holds the figures. Nets without a place where it could gain
            are not measured.
    """
    if not _has_entry(flatbuffer):
        raise ConversionError(
            f"Zeros in kernels gain nothing on {where}: XNNPACK multiplies by sparse weights only after a 3x3 "
            "convolution of stride 2 on a picture of three channels, and this generator has none. Counted on "
            "Cortex-A72: the digits take 6,540 thousand instructions with 90% of their weights zero, 6,541 with none.",
            remedy=_REMEDY,
        )
    smaller = sparse(flatbuffer, zeros=zeros, pattern=pattern)
    costs = measure({"full": flatbuffer, "sparse": smaller})
    if costs["sparse"] <= _GAIN * costs["full"]:
        return smaller
    share = "two of every four weights" if pattern == "2:4" else f"{zeros:.0%} of the weights"
    raise ConversionError(
        f"Zeros in kernels gain nothing on {where}: with {share} zero the generator takes "
        f"{costs['sparse']:,.4g} {unit}, with all of them {costs['full']:,.4g}.",
        remedy=_REMEDY,
    )


def _has_entry(flatbuffer: bytes) -> bool:
    """Return whether a stretch that XNNPACK runs channels first can begin anywhere."""
    return any(
        node.kind == "CONV_2D" and stride_of(node) == (2, 2) and node.input(1).shape[1:] == _ENTRY
        for node in read(flatbuffer).nodes
    )


def _without(values: Array, zeros: float, pattern: Pattern) -> Array:
    """Return values of which the smallest are zero."""
    if pattern == "2:4":
        depth = values.shape[-1] // _FOUR * _FOUR
        groups = values[..., :depth].reshape(*values.shape[:-1], -1, _FOUR)
        rank = np.argsort(np.argsort(np.abs(groups), axis=-1), axis=-1)
        some = np.where(rank >= _TWO, groups, 0).reshape(*values.shape[:-1], depth)
        return np.concatenate([some, values[..., depth:]], axis=-1)
    order = np.argsort(np.abs(values), axis=None)
    kept = values.ravel().copy()
    kept[order[: round(zeros * order.size)]] = 0
    return kept.reshape(values.shape)


def _stored(model: Model, graph: Any, values: Array) -> int:
    """Add a tensor that stores values row by row without their zeros, and return its index.

    Source: schema.fbs, `SparsityParameters`: all axes dense but the last, which is compressed (CSR).
    """
    rows = values.reshape(-1, values.shape[-1])
    known = rows != 0
    segments = np.concatenate([[0], np.cumsum(known.sum(1))])
    index = add_tensor(graph, "sparse", values.shape, "FLOAT32", add_buffer(model, rows[known].astype("<f4").tobytes()))
    sparsity = schema.SparsityParametersT()
    sparsity.traversalOrder = list(range(values.ndim))
    sparsity.dimMetadata = [_dense(size) for size in values.shape[:-1]]
    last = _dense(0)
    last.format = schema.DimensionType.SPARSE_CSR
    last.arraySegmentsType = last.arrayIndicesType = schema.SparseIndexVector.Int32Vector
    last.arraySegments, last.arrayIndices = _vector(segments), _vector(np.nonzero(known)[1])
    sparsity.dimMetadata.append(last)
    graph.tensors[index].sparsity = sparsity
    return index


def _dense(size: int) -> Any:
    entry = schema.DimensionMetadataT()
    entry.format, entry.denseSize = schema.DimensionType.DENSE, size
    return entry


def _vector(values: Array) -> Any:
    entry = schema.Int32VectorT()
    entry.values = [int(value) for value in values]
    return entry
