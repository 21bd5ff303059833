"""A flatbuffer to a `Graph` and back; the same graph gives the same bytes."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edge_aigc.converters.compat import stamped
from edge_aigc.converters.damage import DAMAGED, damaged
from edge_aigc.converters.graph import Model, kind_of, parse, serialize, type_of
from edge_aigc.converters.ir.graph import NUMPY_TYPES, Graph, Node, Value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_aigc.converters.ir.graph import Array

_SIGNATURE = b"serving_default"
_KEPT_METADATA = ("reduced_precision_support",)
"""What still holds after an edit; the rest tells of the converter, or of buffers that move."""


def read(flatbuffer: bytes) -> Graph:
    """Return the main subgraph of a flatbuffer, ready to be edited.

    Raises:
        ConversionError: It is not a TFLite model, or damaged.
    """
    model = parse(flatbuffer)
    try:
        return _read(model)
    except DAMAGED as exc:
        raise damaged(exc) from exc


def _read(model: Model) -> Graph:
    graph = model.subgraphs[0]
    values = [_value(model, entry) for entry in graph.tensors]
    nodes = [_node(model, entry, values) for entry in graph.operators]
    names = _signature_names(model)
    inputs, outputs = ([values[int(index)] for index in border] for border in (graph.inputs, graph.outputs))
    return Graph(
        inputs=inputs,
        outputs=outputs,
        nodes=nodes,
        input_names=[names.get((0, int(index)), values[index].name) for index in graph.inputs],
        output_names=[names.get((1, int(index)), values[index].name) for index in graph.outputs],
        metadata={
            bytes(entry.name).decode(): bytes(model.buffers[entry.buffer].data)
            for entry in model.metadata or ()
            if bytes(entry.name).decode() in _KEPT_METADATA
        },
        bodies=model if len(model.subgraphs) > 1 else None,
    )


def _value(model: Model, entry: Any) -> Value:
    dtype = type_of(entry)
    shape = () if entry.shape is None else tuple(int(size) for size in entry.shape)
    content = model.buffers[entry.buffer].data
    data: Array | None = None
    if content is not None and len(content):
        raw = np.frombuffer(bytes(content), dtype=np.uint8)
        data = raw.view(NUMPY_TYPES[dtype]).reshape(shape) if dtype in NUMPY_TYPES else raw
    quantization = entry.quantization
    if quantization is not None and quantization.scale is None:
        quantization = None
    name = bytes(entry.name or b"").decode(errors="replace")
    return Value(name=name, shape=shape, dtype=dtype, data=data, quantization=quantization)


def _node(model: Model, entry: Any, values: Sequence[Value]) -> Node:
    code = model.operatorCodes[entry.opcodeIndex]
    options = entry.builtinOptions
    return Node(
        kind=kind_of(model, entry),
        inputs=[values[int(index)] if index >= 0 else None for index in _list(entry.inputs)],
        outputs=[values[int(index)] for index in _list(entry.outputs)],
        options={} if options is None else dict(vars(options)),
        option_class=None if options is None else type(options).__name__.removesuffix("T"),
        version=int(code.version),
        custom=None if entry.customOptions is None else bytes(entry.customOptions),
        is_custom=code.customCode is not None,
        more=None if entry.builtinOptions2 is None else (entry.builtinOptions2Type, entry.builtinOptions2),
    )


def _signature_names(model: Model) -> dict[tuple[int, int], str]:
    """Return what signatures of the main subgraph call its inputs (0, tensor) and outputs (1, tensor)."""
    return {
        (side, int(entry.tensorIndex)): bytes(entry.name).decode()
        for signature in model.signatureDefs or ()
        if signature.subgraphIndex == 0
        for side, entries in enumerate((signature.inputs or (), signature.outputs or ()))
        for entry in entries
    }


def write(graph: Graph) -> bytes:
    """Return the flatbuffer of a graph, its operators stamped with the versions that their tensors call for."""
    return serialize(stamped(_Writer(graph).model))


class _Writer:
    def __init__(self, graph: Graph) -> None:
        self.model = schema.ModelT()
        self.model.version = 3
        self.model.description = b"edge-aigc"
        self.model.operatorCodes, self.model.buffers, self.model.metadata = [], [schema.BufferT()], []
        self._codes: dict[tuple[str, int, bool], int] = {}
        self._tensors: dict[int, int] = {}
        self._names: dict[str, int] = {}
        self._main = schema.SubGraphT()
        self._main.name, self._main.tensors, self._main.operators = b"main", [], []
        self.model.subgraphs = [self._main]
        for value, name in zip((*graph.inputs, *graph.outputs), (*graph.input_names, *graph.output_names), strict=True):
            self._tensor(value, name)
        self._main.inputs = [self._tensors[id(value)] for value in graph.inputs]
        self._main.outputs = [self._tensors[id(value)] for value in graph.outputs]
        self._main.operators = [self._operator(node) for node in graph.nodes]
        self._sign(graph)
        self._bodies(graph.bodies)
        for name, content in sorted(graph.metadata.items()):
            entry = schema.MetadataT()
            entry.name, entry.buffer = name.encode(), self._buffer(content)
            self.model.metadata.append(entry)

    def _tensor(self, value: Value, name: str | None = None) -> int:
        if id(value) in self._tensors:
            return self._tensors[id(value)]
        tensor = schema.TensorT()
        tensor.name = self._unique(value.name if name is None else name).encode()
        tensor.shape = list(value.shape)
        tensor.type = getattr(schema.TensorType, value.dtype)
        tensor.quantization = value.quantization
        # A scalar is told from a tensor of unknown rank by this.
        tensor.hasRank = True
        # Each constant has a buffer of its own: quantizers give every tensor its scale and rewrite its buffer.
        tensor.buffer = 0 if value.data is None else self._buffer(np.ascontiguousarray(value.data).tobytes())
        self._main.tensors.append(tensor)
        self._tensors[id(value)] = len(self._main.tensors) - 1
        return self._tensors[id(value)]

    def _unique(self, name: str) -> str:
        """Return the name, numbered if it was given out before: tools tell tensors apart by name."""
        count = self._names.get(name, 0)
        self._names[name] = count + 1
        return name if count == 0 else self._unique(f"{name}_{count}")

    def _buffer(self, content: bytes) -> int:
        buffer = schema.BufferT()
        buffer.data = content
        self.model.buffers.append(buffer)
        return len(self.model.buffers) - 1

    def _code(self, kind: str, version: int, *, custom: bool) -> int:
        key = kind, version, custom
        if key not in self._codes:
            code = schema.OperatorCodeT()
            code.builtinCode = schema.BuiltinOperator.CUSTOM if custom else getattr(schema.BuiltinOperator, kind)
            # Readers before schema version 3a know only this byte; 127 tells them to look at the other.
            code.deprecatedBuiltinCode = min(code.builtinCode, 127)
            code.customCode = kind.encode() if custom else None
            code.version = version
            self.model.operatorCodes.append(code)
            self._codes[key] = len(self.model.operatorCodes) - 1
        return self._codes[key]

    def _operator(self, node: Node) -> Any:
        entry = schema.OperatorT()
        entry.opcodeIndex = self._code(node.kind, node.version, custom=node.is_custom)
        entry.inputs = [-1 if value is None else self._tensor(value) for value in node.inputs]
        entry.outputs = [self._tensor(value) for value in node.outputs]
        if node.option_class is not None:
            entry.builtinOptionsType = getattr(schema.BuiltinOptions, node.option_class)
            entry.builtinOptions = getattr(schema, f"{node.option_class}T")()
            for key, setting in node.options.items():
                setattr(entry.builtinOptions, key, setting)
        if node.custom is not None:
            entry.customOptions = np.frombuffer(node.custom, dtype=np.uint8)
        if node.more is not None:
            entry.builtinOptions2Type, entry.builtinOptions2 = node.more
        return entry

    def _sign(self, graph: Graph) -> None:
        signature = schema.SignatureDefT()
        signature.signatureKey, signature.subgraphIndex = _SIGNATURE, 0
        signature.inputs = [self._named(v, n) for v, n in zip(graph.inputs, graph.input_names, strict=True)]
        signature.outputs = [self._named(v, n) for v, n in zip(graph.outputs, graph.output_names, strict=True)]
        self.model.signatureDefs = [signature]

    def _named(self, value: Value, name: str) -> Any:
        entry = schema.TensorMapT()
        entry.name, entry.tensorIndex = name.encode(), self._tensors[id(value)]
        return entry

    def _bodies(self, source: Model | None) -> None:
        if source is None:
            return
        moved: dict[int, int] = {}  # bodies of one loop share their weights
        for body in copy.deepcopy(source.subgraphs[1:]):
            for tensor in body.tensors:
                content = source.buffers[tensor.buffer].data
                if content is None or not len(content):
                    tensor.buffer = 0
                else:
                    if tensor.buffer not in moved:
                        moved[tensor.buffer] = self._buffer(bytes(content))
                    tensor.buffer = moved[tensor.buffer]
            for entry in body.operators:
                code = source.operatorCodes[entry.opcodeIndex]
                custom = code.customCode is not None
                entry.opcodeIndex = self._code(kind_of(source, entry), int(code.version), custom=custom)
            self.model.subgraphs.append(body)


def _list(values: Any) -> list[int]:
    return [] if values is None else [int(value) for value in values]
