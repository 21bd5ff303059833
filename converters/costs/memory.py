"""Peak RAM of a model in an interpreter, part by part, from the flatbuffer alone.

What the process takes beyond an interpreter that holds no model. Sources: arena_planner.cc of TFLite;
memory-planner.c, runtime.c, operators/*-nhwc.c and xnnpack_delegate.cc for XNNPACK; how near it comes is
measured by `benchmarks/estimates.py`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from edge_aigc.converters.costs.arena import Lifetime, plan
from edge_aigc.converters.costs.net import Net, Node, Value, read_net

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_POINTER_BYTES = 8
_CHANNEL_TILE = 16
"""Packed output channels are rounded up to the width of a kernel: 8 on NEON, 16 on AVX2 (gemm-config.c)."""
_PER_CHANNEL_BYTES = 8
"""Bias and scale, four bytes each (packing.cc)."""
_UNPACKED_ON_THE_FLY = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"})
"""float16 weights of these become float32 one operator at a time; of others all stay (DelegatePrepare)."""
_BASE_BYTES, _PER_OPERATOR_BYTES = 24 << 10, 4 << 10
"""Of the interpreter's and XNNPACK's own structures: measured on the nets that `benchmarks/zoo.py` calls fitted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeakRam:
    """Bytes, by what takes them."""

    flatbuffer: int
    """As the interpreter is given it."""
    packed_weights: int
    """XNNPACK's own copy, in the order of its kernels."""
    unpacked_weights: int
    """float32 copies of float16 weights, while they are needed."""
    arena: int
    """TFLite's: inputs, outputs and what crosses between XNNPACK and other kernels."""
    workspace: int
    """XNNPACK's: everything between."""
    indirection: int
    """XNNPACK's pointers to the pixels that each output pixel of a convolution or a resizing reads."""
    structures: int

    @property
    def total(self) -> int:
        """All together."""
        return sum(getattr(self, field.name) for field in fields(self))


def peak_ram(flatbuffer: bytes) -> PeakRam:
    """Return what a model takes at most, batch 1, one thread.

    Raises:
        ConversionError: It is not a TFLite model.
    """
    return peak_ram_of(read_net(flatbuffer), len(flatbuffer))


def peak_ram_of(net: Net, flatbuffer_bytes: int) -> PeakRam:
    """Return what a net takes at most whose flatbuffer has a given size."""
    delegated = [node for node in net.nodes if node.runs_on == "xnnpack"]
    packed = [_packed_bytes(node) for node in delegated]
    return PeakRam(
        flatbuffer=flatbuffer_bytes,
        packed_weights=sum(packed),
        unpacked_weights=_unpacked_bytes(net, delegated, packed),
        arena=plan(list(_arena_lifetimes(net))).size_bytes,
        workspace=max((plan(workspace_lifetimes(net, run)).size_bytes for run in _delegated_runs(net)), default=0),
        indirection=sum(_indirection_bytes(node) for node in delegated),
        structures=_BASE_BYTES + _PER_OPERATOR_BYTES * len(net.nodes),
    )


def workspace_lifetimes(net: Net, run: Sequence[Node]) -> list[Lifetime]:
    """Return the tensors that stay inside one of XNNPACK's runtimes, in units of its operators."""
    inside = _inside(net, run)
    root: dict[int, int] = {}
    written: dict[int, int] = {}
    read: dict[int, int] = {}
    sizes: dict[int, int] = {}
    extra: list[Lifetime] = []
    consumers = _consumers(net)
    for time, node in enumerate(run):
        if node.hybrid:
            # Activations are rounded to int8 by an operator of their own before they are multiplied.
            numbers = sum(value.numbers for value in node.activations)
            extra.append(Lifetime(size_bytes=numbers, first=time, last=time))
        for value in node.activations:
            if value.index in inside:
                read[root[value.index]] = time
        for value in node.outputs:
            if value.index not in inside:
                continue
            reused = _reused(node, value, inside, consumers)
            root[value.index] = value.index if reused is None else root[reused.index]
            if reused is None:
                written[value.index], read[value.index], sizes[value.index] = time, time, value.size_bytes
    return [Lifetime(size_bytes=sizes[i], first=written[i], last=read[i]) for i in written] + extra


def _reused(node: Node, output: Value, inside: frozenset[int], consumers: dict[int, int]) -> Value | None:
    if not node.in_place or consumers.get(output.index) != 1:
        return None
    return next(
        (
            value
            for value in node.activations
            if value.index in inside and consumers[value.index] == 1 and value.size_bytes == output.size_bytes
        ),
        None,
    )


def _inside(net: Net, run: Sequence[Node]) -> frozenset[int]:
    made = {value.index for node in run for value in node.outputs} - net.outputs
    positions = {node.position for node in run}
    outside = {value.index for node in net.nodes if node.position not in positions for value in node.activations}
    return frozenset(made - outside)


def _consumers(net: Net) -> dict[int, int]:
    counts: dict[int, int] = {}
    for node in net.nodes:
        for value in node.activations:
            counts[value.index] = counts.get(value.index, 0) + 1
    return counts


def _delegated_runs(net: Net) -> Iterator[tuple[Node, ...]]:
    yield from (run for side, run in net.partitions() if side == "xnnpack")


def _arena_lifetimes(net: Net) -> Iterator[Lifetime]:
    steps = [
        run
        for side, nodes in net.partitions()
        for run in ([nodes] if side == "xnnpack" else [(node,) for node in nodes])
    ]
    values: dict[int, Value] = {}
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    for time, run in enumerate(steps):
        hidden = _inside(net, run) if run[0].runs_on == "xnnpack" else frozenset()
        for node in run:
            for value in (*node.activations, *node.outputs):
                if value.index not in hidden:
                    values[value.index] = value
                    first.setdefault(value.index, time)
                    last[value.index] = time
    for index, value in values.items():
        # Inputs and outputs of the net are never overwritten (arena_planner.cc, PlanAllocations).
        kept = index in net.inputs or index in net.outputs
        yield Lifetime(
            size_bytes=value.size_bytes,
            first=0 if index in net.inputs else first[index],
            last=len(steps) - 1 if kept else last[index],
        )


def _packed_bytes(node: Node) -> int:
    weights = node.weights
    if weights is None:
        return 0
    item = 1 if weights.dtype == "INT8" else 4
    channels = weights.shape[-1] if node.kind == "DEPTHWISE_CONV_2D" else weights.shape[0]
    padded = -(-channels // _CHANNEL_TILE) * _CHANNEL_TILE
    return padded * (weights.numbers // channels * item + _PER_CHANNEL_BYTES)


def _unpacked_bytes(net: Net, delegated: Sequence[Node], packed: Sequence[int]) -> int:
    """Return how far copies of float16 weights raise the peak above what stays."""
    kept: dict[int, int] = {}
    for node in net.nodes:
        for value in node.inputs:
            on_the_fly = node.kind in _UNPACKED_ON_THE_FLY and node.runs_on == "xnnpack"
            if value is not None and value.packed_dtype == "FLOAT16" and not on_the_fly:
                kept[value.index] = value.size_bytes
    still_to_pack, peak = sum(packed), 0
    for node, size in zip(delegated, packed, strict=True):
        still_to_pack -= size
        weights = node.weights
        if weights is not None and weights.packed_dtype == "FLOAT16" and weights.index not in kept:
            # The copy is gone before what comes after is packed.
            peak = max(peak, weights.size_bytes - still_to_pack)
    return sum(kept.values()) + peak


def _indirection_bytes(node: Node) -> int:
    weights = node.weights
    if node.kind == "RESIZE_BILINEAR":
        # Four neighbours and two weights a pixel (resize-bilinear-nhwc.c).
        weight_bytes = 4 if node.outputs[0].dtype == "FLOAT32" else 2
        return (4 * _POINTER_BYTES + 2 * weight_bytes) * math.prod(node.outputs[0].shape[1:3])
    if weights is None or node.kind == "FULLY_CONNECTED":
        return 0
    height, width = weights.shape[1:3]
    pixels = math.prod(node.outputs[0].shape[1:3])
    if node.kind == "TRANSPOSE_CONV":
        # Four convolutions at stride 2, one for each parity of output pixels (subconv2d).
        return _POINTER_BYTES * height * width * pixels // math.prod(node.stride)
    if node.kind == "DEPTHWISE_CONV_2D":
        # Neighbours share columns (reshape_dwconv): about one column a pixel and stride.
        return _POINTER_BYTES * height * min(width, node.stride[1]) * pixels
    if (height, width) == (1, 1) and node.stride == (1, 1):
        return 0
    return _POINTER_BYTES * height * width * pixels
