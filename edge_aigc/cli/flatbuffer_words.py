"""A bare `.tflite` file, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_aigc.bundle import FILE_LIMIT_BYTES
from edge_aigc.files import read_whole
from edge_aigc.packages import require_modules

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edge_aigc.converters.describe import Border, Description, Mapping
    from edge_aigc.converters.targets.edgetpu import Package

_NAME_LENGTH = 40
"""TensorFlow joins the names of everything that it folds into one operator."""
_NEEDED = ("ai_edge_litert", "flatbuffers")


def description_of(path: Path) -> Description:
    """Read a flatbuffer and describe it.

    Raises:
        FileError: It cannot be read.
        RuntimeMissingError: What reads flatbuffers is not installed.
        ConversionError: It is not a TFLite model, or is damaged.
    """
    content = read_whole(path, limit_bytes=FILE_LIMIT_BYTES, what="flatbuffer")
    require_modules("Reading a bare flatbuffer", _NEEDED, extra="convert", note=" Bundles need nothing more.")
    from edge_aigc.converters.describe import describe

    return describe(content)


def description_rows(name: str, description: Description) -> list[str]:
    """Return the lines that a person reads."""
    rows = [f"file        {name}, {description.bytes:,} B"]
    rows += [f"input       {_border(tensor)}" for tensor in description.inputs]
    rows += [f"output      {_border(tensor)}" for tensor in description.outputs]
    rows += [
        f"operator    {entry.count:>4} {entry.kind} {entry.version}  ({', '.join(entry.types)})"
        for entry in description.operators
    ]
    noted = description.min_runtime_version
    rows.append(f"runtime     TensorFlow Lite {noted} by the converter's note" if noted else "runtime     not noted")
    for package, need in description.runtimes.items():
        first = f"{package} {need.release} and later" if need.release else f"no {package}"
        rows.append(f"            {first}{f': {need.reason}' if need.reason else ''}")
    for compiled in description.compiled:
        rows += _package(compiled)
    if description.edgetpu is not None:
        rows += _mapping(description.edgetpu)
    if description.edgetpu_ms:
        what = "the transfer alone" if description.compiled else "the mapped part"
        times = ", ".join(f"{link} {ms:g} ms" for link, ms in description.edgetpu_ms.items())
        rows.append(f"            an invocation, {what}, estimated from pycoral's benchmarks: {times}")
    return rows


def _package(package: Package) -> Iterator[str]:
    by = package.compiler or "compiler not named"
    yield f"edge tpu    compiled ({by}), needs Edge TPU runtime {package.min_runtime} or newer"
    yield (
        f"            parameters {package.cached_bytes:,} B cached on the Edge TPU, {package.streamed_bytes:,} B "
        f"streamed; {package.instruction_bytes:,} B of instructions at every invocation"
    )
    for executable in package.executables:
        token = f", token {executable.token:#x}" if executable.token else ""
        yield f"            {executable.chip}: {executable.kind}, batch {executable.batch}{token}"
    for words, layers in (("takes", package.inputs), ("gives", package.outputs)):
        for layer in layers:
            yield f"            {words} {_short(layer.name)} {list(layer.shape)} {layer.dtype}, {layer.bytes:,} B"


def _mapping(mapping: Mapping) -> Iterator[str]:
    total = mapping.on_tpu + mapping.on_cpu
    yield f"edge tpu    {mapping.on_tpu} of {total} operators are expected to map"
    if mapping.first_break is not None:
        yield f"            stops at {mapping.first_break}"
    for doubt in mapping.doubts:
        yield f"            {doubt}"
    yield f"            expected parameters {mapping.cached_bytes:,} B cached, {mapping.streamed_bytes:,} B streamed"


def _short(name: str) -> str:
    return name if len(name) <= _NAME_LENGTH else f"…{name[1 - _NAME_LENGTH :]}"


def _border(tensor: Border) -> str:
    return f"{tensor.name} {list(tensor.shape)} {tensor.dtype}"
