"""A whole ONNX graph to a flatbuffer: node by node, what is known now computed now."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_aigc.converters.ir import Graph, Value, write
from edge_aigc.converters.sources.translate import (
    activations,
    cuts,
    elementwise,
    pools,
    products,
    recurrent,
    resize,
    shapes,
    sums,
    windows,
)
from edge_aigc.converters.sources.translate.laid import CHANNELS_LAST, Laid, Layout, complete, identity, sizes
from edge_aigc.converters.sources.translate.translation import Operator, Translation
from edge_aigc.errors import ConversionError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from edge_aigc.converters.sources.translate.laid import Array
    from edge_aigc.converters.sources.translate.translation import Handler, Held

OPERATORS: Mapping[str, Handler] = {
    **elementwise.OPERATORS,
    **activations.OPERATORS,
    **shapes.OPERATORS,
    **cuts.OPERATORS,
    **sums.OPERATORS,
    **products.OPERATORS,
    **windows.OPERATORS,
    **pools.OPERATORS,
    **resize.OPERATORS,
    **recurrent.OPERATORS,
}
_WALKED = frozenset({"Constant", "ConstantOfShape", "Range", "If"})
"""What is translated only where it is known now."""
_WINDOWS = frozenset(
    {"Conv", "ConvTranspose", "MaxPool", "AveragePool", "Resize", "Upsample", "DepthToSpace", "SpaceToDepth",
     "InstanceNormalization", "BatchNormalization", "GlobalAveragePool", "GlobalMaxPool", "GroupNormalization"}
)  # fmt: skip
"""Operators whose second axis is channels."""
_THROUGH = frozenset({*elementwise.OPERATORS, *activations.OPERATORS, "Pad", "Concat", "Slice"}) - {"Expand"}
"""Operators that tell nothing of what their axes are."""
_TRACE = re.compile(r'File "([^"]+)", line (\d+), in (\S+)')
_MAP_RANK = 4
_PICTURE_CHANNELS = frozenset({1, 3, 4})


@dataclass(frozen=True, slots=True, kw_only=True)
class Translated:
    """A flatbuffer, and how its inputs and outputs lie against ONNX's."""

    flatbuffer: bytes
    inputs: tuple[tuple[int, ...], ...]
    """For each input the ONNX axes in the order of the flatbuffer's."""
    outputs: tuple[tuple[int, ...], ...]


def translate(
    model: Any,
    inputs: Mapping[str, tuple[tuple[int, ...], str]],
    names: tuple[Sequence[str], Sequence[str]],
    drawn: Collection[str] = (),
) -> Translated:
    """Translate an ONNX model of static shapes.

    Args:
        model: `onnx.ModelProto`, its functions inlined.
        inputs: By ONNX name shape and type (the flatbuffer's name), in order.
        names: What the flatbuffer shall call its inputs and outputs.
        drawn: Inputs whose order tells nothing, as they are drawn at random: maps of them lie as others do.

    Raises:
        ConversionError: Operators that are not translated, each with its place in the source.
    """
    graph = model.graph
    _require_known(graph)
    t = Translation(
        graph=Graph(inputs=[], outputs=[], nodes=[], input_names=list(names[0]), output_names=list(names[1]))
    )
    for tensor in graph.initializer:
        t.held[tensor.name] = _array(tensor)
    borders = []
    for name, (shape, dtype) in inputs.items():
        maps = name in drawn and len(shape) == _MAP_RANK
        layout = CHANNELS_LAST[len(shape)] if maps or _has_channels(graph, name, len(shape)) else identity(len(shape))
        border = tuple(axis for axis in layout if axis is not None)
        value = Value(name=name, shape=sizes(shape, border), dtype=dtype)
        t.graph.inputs.append(value)
        t.held[name] = Laid(value, border, tuple(shape))
        borders.append(border)
    versions = {entry.domain: int(entry.version) for entry in model.opset_import}
    _walk(t, graph, versions.get("", versions.get("ai.onnx", 1)))
    outputs = [_border(t, t.held[output.name]) for output in graph.output]
    t.graph.outputs = [_last(t, output.value) for output in outputs]
    t.graph.remove_dead()
    return Translated(
        flatbuffer=write(t.graph),
        inputs=tuple(borders),
        outputs=tuple(tuple(axis for axis in output.layout if axis is not None) for output in outputs),
    )


def _walk(t: Translation, graph: Any, version: int) -> None:
    uses = _uses(graph)
    for node in graph.node:
        held = [t.held[name] if name else None for name in node.input]
        if node.op_type == "If":
            _branch(t, node, held, version)
            continue
        if all(entry is None or isinstance(entry, np.ndarray) for entry in held) and node.op_type in {
            *_WALKED,
            *OPERATORS,
        }:
            results: Sequence[Held] = _computed(node, held, version)
        else:
            op = _operator(node, held, version, fresh=uses.get(node.input[0] if node.input else "", 0) == 1)
            if node.op_type not in OPERATORS:
                raise op.refusal("as its inputs are not constant")
            results = OPERATORS[node.op_type](t, op)
        t.held.update(zip(node.output, results, strict=False))


def _operator(node: Any, held: list[Held | None], version: int, *, fresh: bool) -> Operator:
    return Operator(
        kind=node.op_type,
        place=place_of(node),
        version=version,
        inputs=held,
        attributes=_attributes(node),
        outputs=list(node.output),
        proto=node,
        fresh=fresh,
    )


def _attributes(node: Any) -> dict[str, Any]:
    from onnx import helper

    return {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}


def _branch(t: Translation, node: Any, held: list[Held | None], version: int) -> None:
    if not isinstance(held[0], np.ndarray):
        raise _operator(node, held, version, fresh=False).refusal("as its condition is computed, not constant")
    wanted = "then_branch" if bool(held[0].reshape(())) else "else_branch"
    body = next(entry.g for entry in node.attribute if entry.name == wanted)
    for tensor in body.initializer:
        t.held[tensor.name] = _array(tensor)
    _walk(t, body, version)
    t.held.update({name: t.held[inner.name] for name, inner in zip(node.output, body.output, strict=True)})


def _computed(node: Any, held: list[Held | None], version: int) -> list[Array]:
    """Return what a node makes of constants, by ONNX's own reference."""
    import onnx
    from onnx import helper
    from onnx.reference import ReferenceEvaluator

    names = [name for name in node.input if name]
    values = dict(zip(names, [entry for entry in held if entry is not None], strict=True))
    graph = helper.make_graph(
        [node],
        "one",
        [helper.make_value_info(name, onnx.TypeProto()) for name in values],
        [helper.make_value_info(name, onnx.TypeProto()) for name in node.output if name],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", version)])
    try:
        made = ReferenceEvaluator(model).run(None, values)
    # The reference raises whatever NumPy does.
    except Exception as exc:
        raise _operator(node, held, version, fresh=False).refusal(f"({type(exc).__name__}: {exc})") from exc
    found = iter(made)
    return [_narrowed(np.asarray(next(found))) if name else np.empty(0) for name in node.output]


def _array(tensor: Any) -> Array:
    from onnx import numpy_helper

    return _narrowed(numpy_helper.to_array(tensor))


def _narrowed(data: Array) -> Array:
    """Return floats of any width in 32 bits; the rest as it is."""
    return data.astype(np.float32) if data.dtype.kind == "f" or data.dtype.name == "bfloat16" else data


def _uses(graph: Any) -> dict[str, int]:
    counts: dict[str, int] = {}
    for name in [*(name for node in graph.node for name in node.input), *(output.name for output in graph.output)]:
        counts[name] = counts.get(name, 0) + 1
    return counts


def _require_known(graph: Any) -> None:
    unknown: dict[str, str] = {}
    for node in nodes_of(graph):
        if node.domain not in {"", "ai.onnx"} or node.op_type not in {*OPERATORS, *_WALKED}:
            kind = node.op_type if node.domain in {"", "ai.onnx"} else f"{node.domain}.{node.op_type}"
            unknown.setdefault(kind, place_of(node))
    if unknown:
        listed = "; ".join(f"{kind} ({place})" for kind, place in unknown.items())
        raise ConversionError(
            f"The model uses operators that are not translated: {listed}.",
            remedy="Write those parts with other operators (convolutions, products, arithmetic), and export it again.",
        )


def nodes_of(graph: Any) -> Iterator[Any]:
    """Yield every node, those of branches after the node that has them."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from nodes_of(inner)


def place_of(node: Any) -> str:
    """Return where in the source a node stands: the line of the module's code where the exporter kept it."""
    for entry in node.metadata_props:
        if entry.key == "pkg.torch.onnx.stack_trace":
            found = [match for match in _TRACE.findall(entry.value) if "/torch/" not in match[0]]
            if found:
                file, line, function = found[-1]
                return f"in {function}, {PurePath(file).name} line {line}"
    return f"named {node.name!r}" if node.name else f"that makes {', '.join(map(repr, node.output))}"


def _has_channels(graph: Any, name: str, rank: int) -> bool:
    """Return whether an input's second axis is channels: what reads it first and cares, tells."""
    if rank not in CHANNELS_LAST or rank < 3:  # noqa: PLR2004 - a row has no channels
        return False
    readers: dict[str, list[Any]] = {}
    for node in graph.node:
        for read in node.input:
            readers.setdefault(read, []).append(node)
    seen, waiting = {name}, [name]
    while waiting:
        for node in readers.get(waiting.pop(0), ()):
            if node.op_type in _WINDOWS:
                return True
            if node.op_type not in _THROUGH:
                return False
            fresh = [output for output in node.output if output not in seen]
            seen.update(fresh)
            waiting.extend(fresh)
    return False


def _border(t: Translation, held: Held) -> Laid:
    """Return an output as the world shall see it: a picture or a sound with its channels last."""
    if not isinstance(held, Laid):
        raise ConversionError(
            "An output of the model is a constant: it does not depend on any input.",
            remedy="Export the model without that output.",
        )
    layout: Layout = tuple(axis for axis in complete(held.layout, held.shape) if axis is not None)
    usual = tuple(axis for axis in CHANNELS_LAST.get(held.rank, ()) if axis is not None)
    if layout != usual and held.order == sorted(held.order):
        layout = identity(held.rank)
    if held.rank == _MAP_RANK and layout == identity(4):
        first, last = held.shape[1] in _PICTURE_CHANNELS, held.shape[3] in _PICTURE_CHANNELS
        layout = CHANNELS_LAST[4] if first and not last else layout
    return t.like(held, layout)


def _last(t: Translation, value: Value) -> Value:
    """Return an output that a node makes and that is given out once: a flatbuffer's inputs cannot be outputs."""
    if value.producer is None or value in t.graph.outputs:
        return t.build.reshape(value, value.shape)
    return value
