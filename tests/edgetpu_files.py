"""Compiled models for tests, written by the public schema; Coral's own; and recorded logs of the compiler."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import flatbuffers
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import flexbuffers

from edge_aigc.converters.graph import parse, serialize

CORAL = Path(__file__).parent / "data" / "edgetpu"
LOGS = Path(__file__).parent / "data" / "edgetpu_logs"
PAIRS = sorted(path.name.removesuffix("_edgetpu.tflite.gz") for path in CORAL.glob("*_edgetpu.tflite.gz"))
"""What went into the compiler is `NAME`, what came out `NAME_edgetpu`."""


def coral_model(name: str) -> bytes:
    """Return one of Coral's models, its weights and instructions blank."""
    return gzip.decompress((CORAL / f"{name}.tflite.gz").read_bytes())


def log(name: str) -> str:
    """Return a recorded log."""
    return (LOGS / f"{name}.log").read_text(encoding="utf-8")


def compiled_like(
    flatbuffer: bytes, *, cached_bytes: int = 4096, instruction_bytes: int = 2048, min_runtime: int = 14
) -> bytes:
    """Return a model with the same inputs and outputs whose one operator is an `edgetpu-custom-op`."""
    model = parse(flatbuffer)
    graph = model.subgraphs[0]
    operator = schema.OperatorT()
    operator.opcodeIndex = 0
    operator.inputs, operator.outputs = list(graph.inputs), list(graph.outputs)
    operator.customOptions = list(_options(cached_bytes, instruction_bytes, min_runtime))
    graph.operators = [operator]
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
    code.customCode, code.version = b"edgetpu-custom-op", 1
    model.operatorCodes = [code]
    return serialize(model)


def _options(cached_bytes: int, instruction_bytes: int, min_runtime: int) -> bytes:
    package = _package(
        [_executable(2, 0, instruction_bytes), _executable(1, cached_bytes, 64)], min_runtime=min_runtime
    )
    builder = flexbuffers.Builder()
    with builder.Map():
        builder.Int("1", 1)
        builder.String("4", _Raw(package))
        builder.Int("5", -1)
    return bytes(builder.Finish())


class _Raw:
    """Bytes that flexbuffers' builder, which encodes what it is given, takes as a string; C++ has no such scruples."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def encode(self, _encoding: str) -> bytes:
        return self._content


def _package(executables: list[bytes], *, min_runtime: int) -> bytes:
    multi = flatbuffers.Builder()
    entries = [multi.CreateString(entry) for entry in executables]
    multi.StartVector(4, len(entries), 4)
    for entry in reversed(entries):
        multi.PrependUOffsetTRelative(entry)
    listed = multi.EndVector()
    multi.StartObject(1)
    multi.PrependUOffsetTRelativeSlot(0, listed, 0)
    multi.Finish(multi.EndObject())
    outer = flatbuffers.Builder()
    inner = outer.CreateByteVector(bytes(multi.Output()))
    compiler = outer.CreateByteVector(b"cl/384591198")
    outer.StartObject(8)
    outer.PrependInt32Slot(0, min_runtime, 0)
    outer.PrependUOffsetTRelativeSlot(1, inner, 0)
    outer.PrependUOffsetTRelativeSlot(4, compiler, 0)
    outer.Finish(outer.EndObject(), file_identifier=b"DWN1")
    return bytes(outer.Output())


def _executable(kind: int, parameter_bytes: int, instruction_bytes: int) -> bytes:
    builder = flatbuffers.Builder()
    parameters = builder.CreateByteVector(bytes(parameter_bytes))
    bitstream = builder.CreateByteVector(bytes(instruction_bytes))
    builder.StartObject(2)
    builder.PrependUOffsetTRelativeSlot(0, bitstream, 0)
    entry = builder.EndObject()
    builder.StartVector(4, 1, 4)
    builder.PrependUOffsetTRelative(entry)
    bitstreams = builder.EndVector()
    chip = builder.CreateString("beagle")
    layers: Any = _layers(builder)
    builder.StartObject(17)
    builder.PrependInt32Slot(3, 1, 0)
    builder.PrependUOffsetTRelativeSlot(5, bitstreams, 0)
    builder.PrependUOffsetTRelativeSlot(6, parameters, 0)
    builder.PrependUOffsetTRelativeSlot(8, layers, 0)
    builder.PrependUOffsetTRelativeSlot(10, chip, 0)
    builder.PrependInt16Slot(13, kind, 0)
    builder.PrependUint64Slot(14, 0x1234, 0)
    builder.Finish(builder.EndObject())
    return bytes(builder.Output())


def _layers(builder: Any) -> int:
    name = builder.CreateString("latent")
    builder.StartObject(12)
    builder.PrependUOffsetTRelativeSlot(0, name, 0)
    for slot, value in ((1, 8), (2, 1), (3, 1), (4, 8)):
        builder.PrependInt32Slot(slot, value, 0)
    builder.PrependInt16Slot(6, 8, 0)
    layer = builder.EndObject()
    builder.StartVector(4, 1, 4)
    builder.PrependUOffsetTRelative(layer)
    return int(builder.EndVector())
