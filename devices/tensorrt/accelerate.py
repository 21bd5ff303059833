"""A bundle's engine: built here, proven on the golden vectors, timed against the CPU, put beside the bundle."""

from __future__ import annotations

import hashlib
import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edge_aigc.bundle import read_bundle
from edge_aigc.devices.tensorrt import trtexec
from edge_aigc.devices.timing import time_in_turns
from edge_aigc.engines import EngineFile, EngineRecord, Precision, engine_path, read_engine, write_engine
from edge_aigc.errors import BundleError, FileError, RuntimeMissingError
from edge_aigc.interpreter import Interpreter
from edge_aigc.runners import onnx_of, open_runner, prove_engine
from edge_aigc.tensorrt import Engine, TensorRtHere, tensorrt_here

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_aigc.bundle import Bundle


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """How an engine is wanted."""

    precision: Precision = "float16"
    """What it may compute in; sums and what does not fit stay in float32, as TensorRT decides."""
    program: Path | None = None
    """trtexec; None looks for it."""
    limit_s: float = 1800.0
    """For the build: some minutes for a generator, on the smallest board."""
    force: bool = False
    """Build even where the engine is there already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accelerated:
    """An engine that stands beside its bundle and has proven itself."""

    path: Path
    record: EngineRecord
    built: bool
    """False where it was there already."""


def accelerate(path: Path, wish: Wish, *, tell: Callable[[str], None]) -> Accelerated:
    """Build the engine of a bundle on this machine; nothing is written that has not proven itself.

    Args:
        path: The bundle.
        wish: How.
        tell: Called with a few words at the start of every step, and with trtexec's lines.

    Raises:
        BundleError: It carries no ONNX form, or the engine makes something else.
        RuntimeMissingError: trtexec, TensorRT's module or the GPU is missing, or two TensorRTs disagree.
        ConversionError: trtexec failed.
        FileError: The engine cannot be put beside the bundle.
    """
    tell("reading the bundle")
    bundle = read_bundle(path)
    onnx_of(bundle)
    here = tensorrt_here()
    program = trtexec.find_trtexec(wish.program)
    _require_one_version(program, here)
    target = engine_path(path, here.version, here.gpu)
    if not wish.force and _stands(path, bundle, target, wish.precision):
        return Accelerated(path=target, record=read_engine(target).record, built=False)
    plan, build = _built(bundle, program, target.parent, wish, tell)
    tell("proving the engine on the golden vectors")
    record = _proven(bundle, plan, build, here, wish.precision)
    write_engine(target, EngineFile(record=record, plan=plan))
    return Accelerated(path=target, record=record, built=True)


def _require_one_version(program: trtexec.Trtexec, here: TensorRtHere) -> None:
    if program.release != here.version:
        raise RuntimeMissingError(
            f"{program.path} is of TensorRT {program.release}, Python's module of {here.version}; an engine runs only "
            "on the one that built it.",
            remedy="Name the other trtexec with `--trtexec`, or install both from the same JetPack.",
        )


def _stands(path: Path, bundle: Bundle, target: Path, precision: Precision) -> bool:
    """Return whether the engine is there, is of this bundle and precision, and proves itself."""
    if not target.exists():
        return False
    try:
        open_runner(path, bundle, runtime="tensorrt")
        return read_engine(target).record.precision == precision
    except (BundleError, FileError):
        return False


def _built(
    bundle: Bundle, program: trtexec.Trtexec, folder: Path, wish: Wish, tell: Callable[[str], None]
) -> tuple[bytes, trtexec.Build]:
    # On the disk where the engine will stand: what has no room there is found out before it is proven.
    try:
        with tempfile.TemporaryDirectory(prefix=".edge-aigc-", dir=folder) as name:
            onnx, engine = Path(name) / "model.onnx", Path(name) / "model.plan"
            onnx.write_bytes(bundle.content[onnx_of(bundle).file])
            words = trtexec.command(program, onnx, engine, wish.precision)
            tell(f"building the engine with trtexec of TensorRT {program.release}")
            build = trtexec.build(words, engine, limit_s=wish.limit_s, tell=tell)
            return engine.read_bytes(), build
    except OSError as exc:
        raise FileError(
            f"Cannot build in {folder}: {exc.strerror or exc}.",
            remedy="The engine stands beside its bundle: put the bundle where you may write and there is room.",
        ) from exc


def _proven(
    bundle: Bundle, plan: bytes, build: trtexec.Build, here: TensorRtHere, precision: Precision
) -> EngineRecord:
    model = bundle.manifest.model
    engine = Engine(plan, inputs=model.inputs, outputs=model.outputs)
    proof = prove_engine(engine, bundle)
    cpu = Interpreter(bundle.flatbuffer, threads=bundle.manifest.threads)
    on_gpu, on_cpu = (statistics.median(timing) for timing in time_in_turns([engine, cpu]))
    return EngineRecord(
        onnx_sha256=bundle.manifest.files[onnx_of(bundle).file].sha256,
        tensorrt=here.version,
        gpu=here.gpu,
        device=build.device,
        precision=precision,
        plan_sha256=hashlib.sha256(plan).hexdigest(),
        plan_bytes=len(plan),
        built_s=build.seconds,
        rms=proof.rms,
        largest=proof.largest,
        latency_ms=round(on_gpu, 4),
        cpu_latency_ms=round(on_cpu, 4),
    )
