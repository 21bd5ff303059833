"""The flatbuffer as a graph: read, walk, edit, write; the only file that knows the schema.

The schema's Python classes come with ai-edge-litert; they parse and write, they run nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools import flatbuffer_utils
from numpy.typing import NDArray

from edge_aigc.converters.damage import DAMAGED, damaged
from edge_aigc.errors import ConversionError

if TYPE_CHECKING:
    from collections.abc import Sequence

Array: TypeAlias = NDArray[Any]
Model: TypeAlias = Any
"""`schema.ModelT`, the schema's mutable form of a whole flatbuffer."""

_IDENTIFIER = b"TFL3"
_OPERATORS = {number: name for name, number in vars(schema.BuiltinOperator).items() if isinstance(number, int)}
_ACTIVATIONS = {number: name for name, number in vars(schema.ActivationFunctionType).items() if isinstance(number, int)}
_TYPES = {number: name for name, number in vars(schema.TensorType).items() if isinstance(number, int)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """One tensor of a graph."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    """The schema's name, for example ``FLOAT32``."""
    constant: bool
    scales: int
    """How many quantization scales it has; several mean one for each channel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """One operator of a graph, in the order of execution."""

    kind: str
    """The schema's name, for example ``TRANSPOSE_CONV``."""
    version: int
    inputs: tuple[Tensor | None, ...]
    outputs: tuple[Tensor, ...]


def parse(flatbuffer: bytes) -> Model:
    """Return the mutable form of a flatbuffer.

    Raises:
        ConversionError: It is not a TFLite model.
    """
    if flatbuffer[4:8] != _IDENTIFIER:
        raise ConversionError("This is not a TFLite flatbuffer.", remedy="Give a file that a converter wrote.")
    try:
        model = flatbuffer_utils.read_model_from_bytearray(flatbuffer)
    except DAMAGED as exc:
        raise damaged(exc) from exc
    if not model.subgraphs or model.buffers is None or model.operatorCodes is None:
        raise ConversionError("This TFLite flatbuffer holds no model.", remedy="Give a file that a converter wrote.")
    return model


def empty() -> Model:
    """Return a parsed model with nothing in it."""
    model, graph = schema.ModelT(), schema.SubGraphT()
    model.version = 3
    graph.tensors, graph.operators, graph.inputs, graph.outputs = [], [], [], []
    model.operatorCodes, model.buffers, model.subgraphs = [], [schema.BufferT()], [graph]
    return model


_SPARE_BYTES, _SPARE_BYTES_EACH = 1 << 18, 512
"""For tables: of the model, and of each buffer with the tensor and the operator that use it."""


class _AlignedBuffer(schema.BufferT):  # type: ignore[misc]  # the schema's classes have no types
    """A buffer whose data start at a multiple of 16 bytes, as the schema demands (`force_align: 16`).

    flatbuffers' Python packer ignores that attribute; SIMD kernels rely on it.
    """

    def Pack(self, builder: Any) -> int:  # noqa: N802 - overrides the schema's method
        """Write the data, then the table that points to them."""
        vector = None if self.data is None else _aligned_vector(builder, bytes(self.data))
        schema.BufferStart(builder)
        if vector is not None:
            schema.BufferAddData(builder, vector)
        return int(schema.BufferEnd(builder))


def _aligned_vector(builder: Any, content: bytes) -> Any:
    builder.StartVector(1, len(content), 16)
    builder.head -= len(content)
    builder.Bytes[builder.head : builder.head + len(content)] = content
    return builder.EndVector()


def _length(buffer: Any) -> int:
    return 0 if buffer.data is None else len(buffer.data)


def serialize(model: Model) -> bytes:
    """Return the bytes of a model; the same model gives the same bytes."""
    model.buffers = [_AlignedBuffer(buffer.data) for buffer in model.buffers]
    # Room for everything at once: a builder that runs out copies what it has.
    builder = flatbuffers.Builder(_SPARE_BYTES + sum(_SPARE_BYTES_EACH + _length(entry) for entry in model.buffers))
    builder.Finish(model.Pack(builder), file_identifier=_IDENTIFIER)
    return bytes(builder.Output())


def operators(flatbuffer: bytes) -> tuple[Operator, ...]:
    """Return the operators of the main subgraph."""
    return operators_of(parse(flatbuffer))


def operators_of(model: Model, subgraph: int = 0) -> tuple[Operator, ...]:
    """Return the operators of a subgraph of a parsed model, by default the main one; others are bodies of loops.

    Raises:
        ConversionError: The model contradicts itself.
    """
    graph = model.subgraphs[subgraph]
    try:
        tensors = [tensor_of(model, entry) for entry in graph.tensors or ()]
        return tuple(
            Operator(
                kind=kind_of(model, entry),
                version=model.operatorCodes[entry.opcodeIndex].version,
                inputs=tuple(tensors[index] if index >= 0 else None for index in _indices(entry.inputs)),
                outputs=tuple(tensors[index] for index in _indices(entry.outputs)),
            )
            for entry in graph.operators or ()
        )
    except DAMAGED as exc:
        raise damaged(exc) from exc


def fused_activations(flatbuffer: bytes) -> list[tuple[str, str]]:
    """Return each operator of the main subgraph that has an activation fused into it, and the activation's name."""
    model = parse(flatbuffer)
    found = [
        (kind_of(model, entry), int(getattr(entry.builtinOptions, "fusedActivationFunction", 0)))
        for entry in model.subgraphs[0].operators
    ]
    return [(kind, _ACTIVATIONS[number]) for kind, number in found if number]


def inputs_and_outputs(flatbuffer: bytes) -> tuple[list[Tensor], list[Tensor]]:
    """Return the tensors at the border of the main subgraph, in the flatbuffer's order."""
    model = parse(flatbuffer)
    graph = model.subgraphs[0]
    return (
        [tensor_of(model, graph.tensors[index]) for index in graph.inputs],
        [tensor_of(model, graph.tensors[index]) for index in graph.outputs],
    )


def kind_of(model: Model, entry: Any) -> str:
    """Return the name of an operator of a parsed model; a custom one's own name."""
    return _kind(model.operatorCodes[entry.opcodeIndex])


def _kind(code: Any) -> str:
    number = max(code.builtinCode, code.deprecatedBuiltinCode)
    if number == schema.BuiltinOperator.CUSTOM and code.customCode is not None:
        return bytes(code.customCode).decode(errors="replace")
    return str(_OPERATORS.get(number, f"operator {number}"))


def type_of(tensor: Any) -> str:
    """Return the schema's name of the type of a tensor of a parsed model."""
    return str(_TYPES[tensor.type])


def listed_operators(model: Model) -> list[tuple[str, int]]:
    """Return kind and version of all that a parsed model lists; an interpreter looks up every entry, used or not."""
    return [(_kind(code), int(code.version)) for code in model.operatorCodes]


def operator_code(model: Model, kind: str, version: int) -> int:
    """Return the index of an operator code of a parsed model, added if it is not there yet."""
    number = getattr(schema.BuiltinOperator, kind)
    for index, code in enumerate(model.operatorCodes):
        if max(code.builtinCode, code.deprecatedBuiltinCode) == number and code.version == version:
            return index
    code = schema.OperatorCodeT()
    code.builtinCode = number
    # Readers before schema version 3a know only this byte; 127 tells them to look at the other.
    code.deprecatedBuiltinCode = min(number, 127)
    code.version = version
    model.operatorCodes.append(code)
    return len(model.operatorCodes) - 1


def constant_of(model: Model, tensor: Any) -> Array | None:
    """Return the values of a float32 constant of a parsed model, or None if it is no such tensor."""
    content = model.buffers[tensor.buffer].data
    if tensor.type != schema.TensorType.FLOAT32 or content is None or len(content) == 0:
        return None
    return np.frombuffer(bytes(content), dtype="<f4").reshape(_indices(tensor.shape))


def add_buffer(model: Model, content: bytes) -> int:
    """Add a buffer to a parsed model and return its index."""
    buffer = schema.BufferT()
    buffer.data = content
    model.buffers.append(buffer)
    return len(model.buffers) - 1


def add_tensor(graph: Any, name: str, shape: Sequence[int], dtype: str, buffer: int) -> int:
    """Add a tensor to a subgraph of a parsed model and return its index."""
    tensor = schema.TensorT()
    tensor.name = name.encode()
    tensor.shape = list(shape)
    tensor.type = getattr(schema.TensorType, dtype)
    tensor.buffer = buffer
    graph.tensors.append(tensor)
    return len(graph.tensors) - 1


def add_operator(graph: Any, code: int, inputs: Sequence[int], outputs: Sequence[int], at: int) -> None:
    """Put an operator without options into a subgraph of a parsed model, before position ``at``."""
    entry = schema.OperatorT()
    entry.opcodeIndex = code
    entry.inputs = list(inputs)
    entry.outputs = list(outputs)
    graph.operators.insert(at, entry)


def set_metadata(model: Model, name: str, content: bytes) -> None:
    """Set a metadata entry of a parsed model."""
    entries = [entry for entry in model.metadata or [] if entry.name != name.encode()]
    entry = schema.MetadataT()
    entry.name = name.encode()
    entry.buffer = add_buffer(model, content)
    model.metadata = [*entries, entry]


def metadata(flatbuffer: bytes) -> dict[str, bytes]:
    """Return the metadata entries of a flatbuffer by name."""
    model = parse(flatbuffer)
    return {bytes(entry.name).decode(): bytes(model.buffers[entry.buffer].data) for entry in model.metadata or []}


def name_borders(flatbuffer: bytes, inputs: Sequence[str], outputs: Sequence[str]) -> bytes:
    """Return the flatbuffer with named inputs and outputs and a signature that tells them apart.

    Args:
        flatbuffer: A model.
        inputs: Names in the flatbuffer's order.
        outputs: Names in the flatbuffer's order.
    """
    model = parse(flatbuffer)
    graph = model.subgraphs[0]
    signature = schema.SignatureDefT()
    signature.signatureKey = b"serving_default"
    signature.subgraphIndex = 0
    signature.inputs = [_named(graph, index, name) for index, name in zip(graph.inputs, inputs, strict=True)]
    signature.outputs = [_named(graph, index, name) for index, name in zip(graph.outputs, outputs, strict=True)]
    model.signatureDefs = [signature]
    return serialize(model)


def _named(graph: Any, index: int, name: str) -> Any:
    graph.tensors[index].name = name.encode()
    entry = schema.TensorMapT()
    entry.name = name.encode()
    entry.tensorIndex = int(index)
    return entry


def tensor_of(model: Model, entry: Any) -> Tensor:
    """Return a tensor of a parsed model."""
    content = model.buffers[entry.buffer].data
    quantization = entry.quantization
    scales = quantization.scale if quantization is not None else None
    return Tensor(
        name=bytes(entry.name or b"").decode(errors="replace"),
        shape=_indices(entry.shape),
        dtype=_TYPES[entry.type],
        constant=content is not None and len(content) > 0,
        scales=0 if scales is None else len(scales),
    )


def _indices(values: Any) -> tuple[int, ...]:
    return () if values is None else tuple(int(value) for value in values)
