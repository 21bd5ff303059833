"""Pictures leave the model as 8-bit pixels, so that no device turns floats into pixels after every run.

Given:   y = f(x), floats from black to white, in any recipe's types
Result:  y = QUANTIZE(f(x)), UINT8: its bytes are the pixels

At most one level from rounding the float output. The picture's numbers are from 0 to 255 from then on, in the
specification, the golden vectors and the comparison with the source, which is rounded to pixels as well: what is
compared is what people see.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from edge_aigc.converters.compat import stamp_versions
from edge_aigc.converters.graph import add_operator, operator_code, parse, serialize, type_of
from edge_aigc.converters.ir import read, write
from edge_aigc.converters.rewrites.pixels import LEVELS, fit_to_pixels, zero_of
from edge_aigc.media.image import to_pixels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_aigc.converters.order import Order
    from edge_aigc.converters.sources.source import Source
    from edge_aigc.spec import GeneratorSpec, Output

Array: TypeAlias = NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pixels:
    """One output that becomes pixels."""

    name: str
    place: int
    """Among the outputs."""
    stated: tuple[float, float]
    """What black and white are in the source."""
    limits: tuple[float, float]
    """What they are in the float flatbuffer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A source whose pictures are to be pixels."""

    source: Source
    """Its flatbuffer is float and fits; its reference makes pixels."""
    spec: GeneratorSpec
    """Of the float flatbuffer."""
    pixels: tuple[Pixels, ...] = ()

    @property
    def made(self) -> GeneratorSpec:
        """Return the specification of what is made of it: with pixels."""
        places = {one.place for one in self.pixels}
        outputs = (_in_pixels(one) if place in places else one for place, one in enumerate(self.spec.outputs))
        return msgspec.structs.replace(self.spec, outputs=tuple(outputs))


def in_pixels(source: Source, spec: GeneratorSpec, order: Order) -> Ended:
    """Return a source fit for the pictures that it makes to become 8-bit pixels.

    A bundle with an ONNX form keeps floats, as the engines that are built from it make them; one that is made like
    another bundle has that one's.

    Args:
        source: Loaded.
        spec: Complete.
        order: What the user asked for.
    """
    wanted = [(place, output) for place, output in enumerate(spec.outputs) if _wanted(source, place, output, order)]
    if not wanted:
        return Ended(source=source, spec=spec)
    graph = read(source.flatbuffer)
    pixels, outputs = [], list(spec.outputs)
    for place, output in wanted:
        assert output.range is not None  # the specification demands it of images
        limits = fit_to_pixels(graph, place, output.range)
        pixels.append(Pixels(name=output.name, place=place, stated=output.range, limits=limits))
        outputs[place] = msgspec.structs.replace(output, range=limits)
    flatbuffer = source.flatbuffer if tuple(outputs) == spec.outputs else write(graph)
    before = dict(wanted)

    def reference(samples: Sequence[Sequence[Array]]) -> list[list[Array]]:
        return [
            [_rounded(values, before[place]) if place in before else values for place, values in enumerate(made)]
            for made in source.reference(samples)
        ]

    return Ended(
        source=replace(source, flatbuffer=flatbuffer, reference=reference),
        spec=msgspec.structs.replace(spec, outputs=tuple(outputs)),
        pixels=tuple(pixels),
    )


def with_pixels(flatbuffer: bytes, pixels: Sequence[Pixels]) -> bytes:
    """Return a flatbuffer in any types whose pictures are made pixels after all that it does.

    Args:
        flatbuffer: Its pictures are float, or int8 where an Edge TPU wants that.
        pixels: Of them.
    """
    if not pixels:
        return flatbuffer
    model = parse(flatbuffer)
    graph = model.subgraphs[0]
    graph.outputs = [int(index) for index in graph.outputs]
    code = operator_code(model, "QUANTIZE", 1)
    for one in pixels:
        before = graph.outputs[one.place]
        after = _added(graph, before, one)
        add_operator(graph, code, [before], [after], len(graph.operators))
        graph.outputs[one.place] = after
        for signature in model.signatureDefs or ():
            for entry in signature.outputs if signature.subgraphIndex == 0 else ():
                if entry.tensorIndex == before:
                    entry.tensorIndex = after
    return stamp_versions(serialize(model))


def _added(graph: Any, before: int, one: Pixels) -> int:
    """Add the tensor of the pixels, which takes the output's name."""
    output = graph.tensors[before]
    tensor = copy.copy(output)
    tensor.type, tensor.buffer = schema.TensorType.UINT8, 0
    tensor.quantization = schema.QuantizationParametersT()
    tensor.quantization.scale = np.array([(one.limits[1] - one.limits[0]) / LEVELS], np.float32)
    tensor.quantization.zeroPoint = np.array([zero_of(one.limits)], np.int64)
    output.name = bytes(output.name) + (b"_float" if type_of(output) == "FLOAT32" else b"_int8")
    graph.tensors.append(tensor)
    return len(graph.tensors) - 1


def _wanted(source: Source, place: int, output: Output, order: Order) -> bool:
    if order.like is not None:
        return output.name in order.like.pixels
    return output.media == "image" and source.outputs[place].dtype == "float32" and not order.onnx


def _in_pixels(output: Output) -> Output:
    return msgspec.structs.replace(output, dtype="uint8", range=(0.0, float(LEVELS)))


def _rounded(values: Array, output: Output) -> Array:
    # What is no number has no pixel: it stays, and keeps every form from being like it.
    return values if np.isnan(values).any() else to_pixels(values, output)[None]
