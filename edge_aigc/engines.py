"""Engine files: what an accelerator's compiler built on this machine, beside the bundle that it was built from.

A serialized engine runs only on the TensorRT and the GPU that it was built with, so the file says which: a
line of magic, the length of the record, the record as JSON, the plan. An engine is machine code: whoever
may write into the bundle's folder decides what runs.
"""

from __future__ import annotations

import hashlib
import struct
from typing import TYPE_CHECKING, Literal

import msgspec

from edge_aigc.errors import BundleError
from edge_aigc.files import read_whole, write_whole
from edge_aigc.manifest import Sha256
from edge_aigc.tpu_record import Count

if TYPE_CHECKING:
    from pathlib import Path

ENGINES = "EDGE_AIGC_ENGINES"
"""Environment variable: ``off`` leaves engines out wherever none is asked for by name."""
ENGINE_LIMIT_BYTES = 4 << 30
Precision = Literal["float16", "float32"]

_MAGIC = b"edge-aigc engine 1\n"
_LENGTH = struct.Struct("<I")
_RECORD_LIMIT_BYTES = 64 << 10
_SUFFIX = ".engine"
_REBUILD = "Build it again with `edge-aigc accelerate --force`."


class EngineRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an engine was built from, by and for, and how it did."""

    onnx_sha256: Sha256
    """Of the ONNX form in the bundle."""
    tensorrt: str
    gpu: str
    device: str
    """The GPU's name, as trtexec said it."""
    precision: Precision
    plan_sha256: Sha256
    plan_bytes: Count
    built_s: float
    rms: float
    """Its distance from the golden vectors, in shares of the output's range."""
    largest: float
    latency_ms: float
    """One invocation here, median."""
    cpu_latency_ms: float
    """The bundle's flatbuffer here, in turns with it, median."""


class EngineFile(msgspec.Struct, frozen=True, kw_only=True):
    """A record and the plan that it is of."""

    record: EngineRecord
    plan: bytes


def engine_path(bundle: Path, tensorrt: str, gpu: str) -> Path:
    """Return where the engine of a bundle for one TensorRT and GPU stands: beside it."""
    return bundle.with_name(f"{bundle.stem}.trt{tensorrt}-{gpu}{_SUFFIX}")


def engines_beside(bundle: Path) -> list[Path]:
    """Return every engine file of a bundle, for whatever TensorRT and GPU."""
    return sorted(path for path in bundle.parent.glob(f"*{_SUFFIX}") if path.name.startswith(f"{bundle.stem}.trt"))


def write_engine(path: Path, file: EngineFile) -> None:
    """Write an engine file, whole or not at all.

    Raises:
        FileError: The file system refused.
    """
    record = msgspec.json.encode(file.record, order="sorted")
    write_whole(path, _MAGIC + _LENGTH.pack(len(record)) + record + file.plan)


def read_engine(path: Path) -> EngineFile:
    """Read an engine file and verify its plan.

    Raises:
        FileError: It cannot be read.
        BundleError: It is damaged, or not an engine file.
    """
    content = read_whole(path, limit_bytes=ENGINE_LIMIT_BYTES, what="engine")
    start = len(_MAGIC) + _LENGTH.size
    if not content.startswith(_MAGIC) or len(content) < start:
        raise BundleError(f"{path} is not an engine file of ours.", remedy=_REBUILD)
    (size,) = _LENGTH.unpack_from(content, len(_MAGIC))
    if size > _RECORD_LIMIT_BYTES:
        raise BundleError(f"{path} is damaged: its record would have {size:,} B.", remedy=_REBUILD)
    try:
        record = msgspec.json.decode(content[start : start + size], type=EngineRecord)
    except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
        raise BundleError(f"{path} is damaged: {exc}.", remedy=_REBUILD) from exc
    plan = content[start + size :]
    if len(plan) != record.plan_bytes or hashlib.sha256(plan).hexdigest() != record.plan_sha256:
        raise BundleError(
            f"{path} is damaged: its plan does not have the hash that its record states.", remedy=_REBUILD
        )
    return EngineFile(record=record, plan=plan)
