"""Makes `data/edgetpu/`: models of google-coral/test_data with weights, scales and instructions set to 0, compressed.

`python tests/make_edgetpu_data.py FOLDER` where FOLDER holds `NAME.tflite` beside `NAME_edgetpu.tflite`. Operators,
shapes, types, options, sizes and every field of the compiled part stay as they are; megabytes become kilobytes.
"""

from __future__ import annotations

import gzip
import sys
from pathlib import Path
from typing import Any

import numpy as np
from flatbuffers import flexbuffers

from edge_aigc.converters.graph import parse
from edge_aigc.converters.targets.edgetpu.executable import _Fields

DATA = Path(__file__).parent / "data" / "edgetpu"
_KEPT_SCALES = 4
_KEPT_BYTES = 512
"""Axes, sizes and paddings are shorter."""


def blanked(flatbuffer: bytes) -> bytes:
    """Return the same file with zeros in place of long constants, instructions and parameters."""
    model = parse(flatbuffer)
    long = [bytes(b.data) for b in model.buffers if b.data is not None and len(b.data) > _KEPT_BYTES]
    long += [part for tensor in model.subgraphs[0].tensors for part in _scales(tensor)]
    for operator in model.subgraphs[0].operators:
        if operator.customOptions is not None and len(operator.customOptions) > _KEPT_BYTES:
            long += _contents(bytes(operator.customOptions))
    content = bytearray(flatbuffer)
    for part in sorted(long, key=len, reverse=True):
        start = content.find(part)
        if start >= 0:
            content[start : start + len(part)] = bytes(len(part))
    return bytes(content)


def _scales(tensor: Any) -> list[bytes]:
    quantization = tensor.quantization
    if quantization is None or quantization.scale is None or len(quantization.scale) < _KEPT_SCALES:
        return []
    values = (np.asarray(quantization.scale, "<f4"), np.asarray(quantization.zeroPoint, "<i8"))
    return [part.tobytes() for part in values if part.any()]


def _contents(options: bytes) -> list[bytes]:
    package = _Fields.root(flexbuffers.GetRoot(options).AsMap["4"].AsStringBytes)
    found = [package.content(2)]
    for entry in _Fields.root(package.content(1)).strings(0):
        executable = _Fields.root(entry)
        found += [executable.content(6), *(bitstream.content(0) for bitstream in executable.tables(5))]
    return [part for part in found if len(part) > _KEPT_BYTES]


def main(folder: Path) -> None:
    """Write a compressed file for each pair."""
    DATA.mkdir(exist_ok=True)
    for compiled in sorted(folder.glob("*_edgetpu.tflite")):
        source = compiled.with_name(compiled.name.removesuffix("_edgetpu.tflite") + ".tflite")
        for path in (source, compiled) if source.is_file() else ():
            packed = gzip.compress(blanked(path.read_bytes()), compresslevel=9, mtime=0)
            (DATA / f"{path.name}.gz").write_bytes(packed)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
