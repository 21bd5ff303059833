"""What `edgetpu_compiler` made, read by the public schema of its output.

A compiled model holds an operator `edgetpu-custom-op`. Its options are a FlexBuffer map whose key ``4`` is a
FlatBuffer `Package` (identifier ``DWN1``), which wraps a `MultiExecutable`, which lists `Executable`s. Source:
`executable/executable.fbs` and `tflite/custom_op_data.cc` of google-coral/libedgetpu at e35aed1; the numbers below
are the places of the fields that are read here, in the order of that schema.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from flatbuffers import encode, flexbuffers, number_types
from flatbuffers.table import Table

from edge_aigc.converters.damage import DAMAGED
from edge_aigc.converters.graph import kind_of, parse
from edge_aigc.errors import ConversionError

if TYPE_CHECKING:
    from collections.abc import Iterator

CUSTOM_OPERATOR = "edgetpu-custom-op"
"""tflite/public/edgetpu.h, kCustomOp."""
Kind: TypeAlias = Literal["stand alone", "caches parameters", "runs with cached parameters"]

_IDENTIFIER = b"DWN1"
_PACKAGE_KEY = "4"
_KINDS: tuple[Kind, ...] = ("stand alone", "caches parameters", "runs with cached parameters")  # ExecutableType
_TYPES = {0: "uint8", 1: "uint16", 2: "int32", 3: "bfloat16", 4: "float16", 5: "float32", 8: "int8", 9: "int16"}
"""DataType of the schema: fixed point is with a zero point."""
_MOST_ENTRIES = 4096
"""Executables, bitstreams or layers in one list; a damaged length must not keep us busy."""

_PACKAGE_MIN_RUNTIME, _PACKAGE_MULTI_EXECUTABLE, _PACKAGE_COMPILER = 0, 1, 4
_MULTI_EXECUTABLES = 0
_BATCH, _SCRATCH, _BITSTREAMS, _PARAMETERS = 3, 4, 5, 6
_INPUTS, _OUTPUTS, _CHIP, _NARROW, _TYPE, _TOKEN, _CYCLES = 8, 9, 10, 12, 13, 14, 16
_BITSTREAM_CONTENT = 0
_LAYER_NAME, _LAYER_BYTES, _LAYER_Y, _LAYER_X, _LAYER_Z, _LAYER_TYPE, _LAYER_EXECUTIONS = 0, 1, 2, 3, 4, 6, 9


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A tensor that goes in or comes out."""

    name: str
    shape: tuple[int, int, int]
    """Height, width, depth."""
    dtype: str
    bytes: int
    """With padding."""
    executions: int
    """In one inference."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Executable:
    """One program for the Edge TPU."""

    kind: Kind
    chip: str
    batch: int
    parameter_bytes: int
    instruction_bytes: int
    scratch_bytes: int
    narrow_bytes_per_tile: int
    token: int
    """Programs with the same one may have their parameters cached together."""
    estimated_cycles: int
    """0 in all public models: the compiler keeps it to itself."""
    inputs: tuple[Layer, ...]
    outputs: tuple[Layer, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """What one `edgetpu-custom-op` holds."""

    min_runtime: int
    """Version of the Edge TPU runtime, 10 to 14."""
    compiler: str
    executables: tuple[Executable, ...]

    @property
    def cached_bytes(self) -> int:
        """Parameters that are sent once, and then stay in the Edge TPU's memory."""
        return sum(e.parameter_bytes for e in self.executables if e.kind == "caches parameters")

    @property
    def streamed_bytes(self) -> int:
        """Parameters that are sent at every invocation."""
        return sum(e.parameter_bytes for e in self._run)

    @property
    def instruction_bytes(self) -> int:
        """Instructions that are sent at every invocation."""
        return sum(e.instruction_bytes for e in self._run)

    @property
    def inputs(self) -> tuple[Layer, ...]:
        """What goes in at every invocation."""
        return tuple(layer for e in self._run for layer in e.inputs)

    @property
    def outputs(self) -> tuple[Layer, ...]:
        """What comes out at every invocation."""
        return tuple(layer for e in self._run for layer in e.outputs)

    @property
    def _run(self) -> list[Executable]:
        return [e for e in self.executables if e.kind != "caches parameters"]


def packages(flatbuffer: bytes) -> tuple[Package, ...]:
    """Return what each `edgetpu-custom-op` of a model holds, in the order of execution; none in one not compiled.

    Raises:
        ConversionError: It is not a TFLite model, or is damaged.
    """
    model = parse(flatbuffer)
    try:
        compiled = [o for o in model.subgraphs[0].operators or () if kind_of(model, o) == CUSTOM_OPERATOR]
        return tuple(
            _package(flexbuffers.GetRoot(bytes(operator.customOptions)).AsMap[_PACKAGE_KEY].AsStringBytes)
            for operator in compiled
        )
    except DAMAGED as exc:
        raise _damaged(f"{type(exc).__name__}: {exc}") from exc


def _package(content: bytes) -> Package:
    if content[4:8] != _IDENTIFIER:
        raise _damaged(f"its package begins with {bytes(content[4:8])!r} instead of {_IDENTIFIER!r}")
    package = _Fields.root(content)
    multi = _Fields.root(package.content(_PACKAGE_MULTI_EXECUTABLE))
    executables = tuple(_executable(_Fields.root(entry)) for entry in multi.strings(_MULTI_EXECUTABLES))
    if not executables:
        raise _damaged("it holds no program")
    return Package(
        min_runtime=package.number(_PACKAGE_MIN_RUNTIME, number_types.Int32Flags),
        compiler=package.text(_PACKAGE_COMPILER),
        executables=executables,
    )


def _executable(fields: _Fields) -> Executable:
    kind = fields.number(_TYPE, number_types.Int16Flags)
    if not 0 <= kind < len(_KINDS):
        raise _damaged(f"a program of kind {kind}")
    return Executable(
        kind=_KINDS[kind],
        chip=fields.text(_CHIP),
        batch=fields.number(_BATCH, number_types.Int32Flags),
        parameter_bytes=fields.length(_PARAMETERS),
        instruction_bytes=sum(entry.length(_BITSTREAM_CONTENT) for entry in fields.tables(_BITSTREAMS)),
        scratch_bytes=fields.number(_SCRATCH, number_types.Int32Flags),
        narrow_bytes_per_tile=fields.number(_NARROW, number_types.Int32Flags),
        token=fields.number(_TOKEN, number_types.Uint64Flags),
        estimated_cycles=fields.number(_CYCLES, number_types.Int64Flags),
        inputs=tuple(_layer(entry) for entry in fields.tables(_INPUTS)),
        outputs=tuple(_layer(entry) for entry in fields.tables(_OUTPUTS)),
    )


def _layer(fields: _Fields) -> Layer:
    height, width, depth = (fields.number(side, number_types.Int32Flags) for side in (_LAYER_Y, _LAYER_X, _LAYER_Z))
    return Layer(
        name=fields.text(_LAYER_NAME),
        shape=(height, width, depth),
        dtype=_TYPES.get(fields.number(_LAYER_TYPE, number_types.Int16Flags), "unknown"),
        bytes=fields.number(_LAYER_BYTES, number_types.Int32Flags),
        executions=fields.number(_LAYER_EXECUTIONS, number_types.Int32Flags, default=1),
    )


class _Fields:
    """A table of a FlatBuffer, its fields by their place in the schema; lengths are held against the bytes there."""

    def __init__(self, content: bytes, position: int) -> None:
        self._content = content
        self._table = Table(content, position)

    @classmethod
    def root(cls, content: bytes) -> _Fields:
        return cls(content, encode.Get(number_types.UOffsetTFlags.packer_type, content, 0))

    def number(self, place: int, flags: Any, *, default: int = 0) -> int:
        offset = self._offset(place)
        return int(self._table.Get(flags, self._table.Pos + offset)) if offset else default

    def length(self, place: int, *, entry_bytes: int = 1) -> int:
        offset = self._offset(place)
        if not offset:
            return 0
        length, start = int(self._table.VectorLen(offset)), int(self._table.Vector(offset))
        if start < 0 or start + length * entry_bytes > len(self._content):
            raise _damaged(f"it says that {length:,} entries follow byte {start:,} of {len(self._content):,}")
        return length

    def content(self, place: int) -> bytes:
        length = self.length(place)
        start = int(self._table.Vector(self._offset(place))) if length else 0
        return self._content[start : start + length]

    def text(self, place: int) -> str:
        return self.content(place).decode(errors="replace")

    def strings(self, place: int) -> Iterator[bytes]:
        for position in self._positions(place):
            start = position + 4
            length = int(self._table.Get(number_types.UOffsetTFlags, position))
            if start + length > len(self._content):
                raise _damaged(f"it says that {length:,} B follow byte {start:,} of {len(self._content):,}")
            yield self._content[start : start + length]

    def tables(self, place: int) -> Iterator[_Fields]:
        for position in self._positions(place):
            yield _Fields(self._content, position)

    def _positions(self, place: int) -> Iterator[int]:
        length = self.length(place, entry_bytes=4)
        if length > _MOST_ENTRIES:
            raise _damaged(f"a list of {length:,} entries; at most {_MOST_ENTRIES:,} are read")
        start = int(self._table.Vector(self._offset(place))) if length else 0
        for index in range(length):
            yield int(self._table.Indirect(start + 4 * index))

    def _offset(self, place: int) -> int:
        # A table's own table of offsets begins with two sizes of two bytes each.
        return int(self._table.Offset(4 + 2 * place))


def _damaged(problem: str) -> ConversionError:
    return ConversionError(
        f"The part compiled for the Edge TPU cannot be read: {problem}.",
        remedy="Compile the model again; this file is not what edgetpu_compiler wrote.",
    )
