"""TFLite: float `.tflite` files, taken as they are."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from edge_aigc.converters.graph import inputs_and_outputs, kind_of, name_borders, parse, serialize, tensor_of
from edge_aigc.converters.ir import read, write
from edge_aigc.converters.rewrites.constants import fold_constants
from edge_aigc.converters.rewrites.randoms import draws, lift_random
from edge_aigc.converters.sources.flatbuffer import border_names, output_facts, require_finite
from edge_aigc.converters.sources.source import LIMIT_BYTES, Source, TensorFact, Wish, closed
from edge_aigc.errors import ConversionError, EdgeAigcError, SourceError
from edge_aigc.files import read_whole
from edge_aigc.interpreter import Interpreter

if TYPE_CHECKING:
    from pathlib import Path

_FRAMEWORK = "tflite schema 3"
_SMALL = frozenset({"INT8", "UINT8", "INT4", "INT16", "FLOAT16", "BFLOAT16"})
"""Types that only quantization makes of weights and activations."""
_OF_SHAPES = frozenset({"SHAPE", "RANK"})
_KEEPS_STATE = frozenset({"VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE", "CALL_ONCE"})
"""Operators of variables, whose values outlive a run."""


def load_tflite(path: Path, wish: Wish) -> Source:
    """Load a float `.tflite` file.

    Args:
        path: The file.
        wish: Shapes are only checked against it: the inside of a flatbuffer is made for its sizes.

    Raises:
        FileError: The file cannot be read.
        SourceError: It is no TFLite model, quantized already, or of open sizes.
        ConversionError: Its weights are NaN or infinite, or no interpreter here runs it.
    """
    content = read_whole(path, limit_bytes=LIMIT_BYTES, what="model")
    try:
        fixed = _fixed(path, parse(content), wish)
        names = border_names(fixed)
        named, priors = _lifted(name_borders(fixed, *names))
        inputs, _ = inputs_and_outputs(named)
        outputs = output_facts(named, names[1])
    except ConversionError as exc:
        raise SourceError(f"{path} cannot be read: {exc.message}", remedy=exc.remedy) from exc
    require_finite(named, path.name)
    runner = _runner(path, named)
    return Source(
        flatbuffer=named,
        inputs=tuple(
            TensorFact(name=name, shape=tensor.shape, dtype=tensor.dtype.lower(), prior=priors.get(name))
            for name, tensor in zip([*names[0], *priors], inputs, strict=True)
        ),
        outputs=outputs,
        reference=lambda samples: [runner.run(list(sample)) for sample in samples],
        framework=_FRAMEWORK,
        file_name=path.name,
        sha256=hashlib.sha256(content).hexdigest(),
        tools={},
    )


def _fixed(path: Path, model: Any, wish: Wish) -> bytes:
    """Return the flatbuffer with its batch fixed to the 1 that its shapes hold."""
    graph = model.subgraphs[0]
    _require_float(path, model)
    _require_stateless(path, model)
    for place, index in enumerate(graph.inputs):
        tensor = graph.tensors[index]
        shape = tensor_of(model, tensor).shape
        signature = shape if tensor.shapeSignature is None else [int(size) for size in tensor.shapeSignature]
        if any(size < 0 for size in list(signature)[1:]):
            shown = ["any" if size < 0 else size for size in signature]
            raise SourceError(
                f"{path.name} has an input of the open shape {shown}, and its inside is made for {list(shape)}.",
                remedy="Give the model that it was converted from, with `--input-size HEIGHTxWIDTH`.",
            )
        closed(tensor_of(model, tensor).name, [None if size < 0 else size for size in signature], wish, place=place)
    for entry in model.subgraphs:
        for tensor in entry.tensors or ():
            tensor.shapeSignature = None
    return serialize(model)


def _lifted(flatbuffer: bytes) -> tuple[bytes, dict[str, str]]:
    """Return a flatbuffer whose random numbers are inputs, after its others, and where their values come from.

    What it computed of an open batch is a constant, now that the batch is 1: no transposed convolution asks for its
    own shape any more.
    """
    graph = read(flatbuffer)
    if not draws(graph) and not any(node.kind in _OF_SHAPES for node in graph.nodes):
        return flatbuffer, {}
    fold_constants(graph)
    graph.remove_dead()
    lifted = lift_random(graph)
    return write(graph), {entry.name: entry.prior for entry in lifted}


def _require_float(path: Path, model: Any) -> None:
    for graph in model.subgraphs:
        for entry in graph.operators or ():
            indices = [*(entry.inputs if entry.inputs is not None else ()), *entry.outputs]
            tensors = [tensor_of(model, graph.tensors[index]) for index in indices if index >= 0]
            small = next((tensor for tensor in tensors if tensor.dtype in _SMALL), None)
            if small is not None:
                raise SourceError(
                    f"{path.name} is quantized already: {kind_of(model, entry)} works on {small.name!r} in "
                    f"{small.dtype}. What was rounded once is not rounded better a second time.",
                    remedy="Give the float model; edge-aigc quantizes it for the device.",
                )


def _require_stateless(path: Path, model: Any) -> None:
    for graph in model.subgraphs:
        kept = next((kind for entry in graph.operators or () if (kind := kind_of(model, entry)) in _KEEPS_STATE), None)
        if kept is None and any(tensor.isVariable for tensor in graph.tensors or ()):
            kept = "a variable tensor"
        if kept is not None:
            raise SourceError(
                f"{path.name} keeps a state between runs ({kept}): equal inputs would give different outputs.",
                remedy="Export one step, its state an input NAME and an output NAME_next, with `--family "
                "autoregressive`; or the whole sequence, unrolled.",
            )


def _runner(path: Path, flatbuffer: bytes) -> Interpreter:
    try:
        return Interpreter(flatbuffer)
    except EdgeAigcError as exc:
        raise ConversionError(f"{path.name} does not run here: {exc.message}", remedy=exc.remedy) from exc
