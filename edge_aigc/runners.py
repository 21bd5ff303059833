"""What runs a bundle: the engine built beside it or the Edge TPU, where it proves itself, else the CPU."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import msgspec

from edge_aigc.engines import ENGINES, engine_path, engines_beside, read_engine
from edge_aigc.errors import BundleError, EdgeAigcError, ProofError, RuntimeMissingError
from edge_aigc.golden import Proof, prove
from edge_aigc.interpreter import Interpreter
from edge_aigc.tensorrt import Engine, tensorrt_here
from edge_aigc.tpu import TpuSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from edge_aigc.bundle import Bundle
    from edge_aigc.interpreter import Array, TensorInfo
    from edge_aigc.manifest import Golden, Model, OnnxForm
    from edge_aigc.profile import AnyRuntime, Runtime


ANY_TPU = TpuSettings()
"""The first that the library finds."""

_log = logging.getLogger(__name__)


class Runner(Protocol):
    """What `Interpreter` and `Engine` have in common."""

    runtime: str
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """Return the outputs for the inputs."""

    def load(self, inputs: Sequence[Array]) -> None:
        """Take the inputs."""

    def invoke(self) -> None:
        """Run once on what was loaded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A runner, and what it must make."""

    runner: Runner
    golden: Golden
    proof: Proof | None = None
    """None where it has not been proven yet."""
    fallback: str = ""
    """Why the engine beside the bundle, or the Edge TPU that it was compiled for, does not run it."""


def open_runner(
    path: Path | None,
    bundle: Bundle,
    *,
    runtime: AnyRuntime | None = None,
    threads: int | None = None,
    tpu: TpuSettings = ANY_TPU,
    prove: bool = True,
) -> Opened:
    """Return what runs a bundle here.

    Args:
        path: Of the bundle; engines are looked for beside it, and nowhere where it is None.
        bundle: Verified.
        runtime: ``tensorrt`` takes the engine or nothing, the others no engine; None falls back.
        threads: Of the interpreter; None takes the bundle's.
        tpu: Where a model that is compiled for an Edge TPU runs; one that is not there falls back.
        prove: Run the golden vectors on an engine, or on an Edge TPU, before it is taken.

    Raises:
        BundleError: The engine that was asked for does not fit or does not prove itself, or the interpreter refuses
            the model.
        RuntimeMissingError: No interpreter, or no TensorRT, here.
    """
    fallback = ""
    if runtime == "tensorrt":
        return _on_engine(path, bundle, prove_it=prove)
    if runtime is None and path is not None and bundle.manifest.onnx is not None and engines_beside(path):
        try:
            _require_switched_on()
            return _on_engine(path, bundle, prove_it=prove)
        except EdgeAigcError as exc:
            fallback = f"not on the GPU: {exc}"
    threads = threads or bundle.manifest.threads
    compiled = _compiled_for_tpu(bundle)
    if compiled is not None and tpu.library is not None:
        try:
            return _on_tpu(bundle, compiled, runtime, threads, tpu, prove_it=prove)
        except EdgeAigcError as exc:
            fallback = f"not on the Edge TPU: {exc}"
    elif compiled is not None and tpu.given_up:
        fallback = f"not on the Edge TPU: {tpu.given_up}"
    if fallback:
        _log.warning("%s runs on the CPU, %s", bundle.manifest.name, fallback)
    interpreter = Interpreter(bundle.flatbuffer, runtime=runtime, threads=threads)
    return Opened(runner=interpreter, golden=bundle.manifest.golden, fallback=fallback)


def onnx_of(bundle: Bundle) -> OnnxForm:
    """Return the ONNX form of a bundle.

    Raises:
        BundleError: It has none.
    """
    if bundle.manifest.onnx is None:
        raise BundleError(
            f"{bundle.manifest.name} carries no ONNX form to build an engine from.",
            remedy=f"Convert it with `edge-aigc convert … --profile {bundle.manifest.profile} --onnx`.",
        )
    return bundle.manifest.onnx


def prove_engine(engine: Runner, bundle: Bundle) -> Proof:
    """Run an engine on the golden vectors of the ONNX form.

    Raises:
        ProofError: It makes something else.
        BundleError: It fails.
    """
    try:
        return prove(held_to(bundle, onnx_of(bundle).golden), named(engine, bundle.manifest.model))
    except ProofError as exc:
        raise ProofError(
            f"On {engine.runtime} {exc.message}",
            remedy="The CPU serves. Build an engine that computes in float32: "
            "`edge-aigc accelerate --precision float32 --force`.",
        ) from exc


def held_to(bundle: Bundle, golden: Golden) -> Bundle:
    """Return the bundle with other golden vectors of its own in the place of its first."""
    return msgspec.structs.replace(bundle, manifest=msgspec.structs.replace(bundle.manifest, golden=golden))


def named(runner: Runner, model: Model) -> Callable[[Mapping[str, Array]], dict[str, Array]]:
    """Return a function from inputs to outputs, both by the specification's names."""

    def run(inputs: Mapping[str, Array]) -> dict[str, Array]:
        outputs = runner.run([inputs[name] for name in model.inputs])
        return dict(zip(model.outputs, outputs, strict=True))

    return run


def _require_switched_on() -> None:
    if os.environ.get(ENGINES) == "off":
        raise RuntimeMissingError(
            f"Engines are switched off for this process ({ENGINES}=off).",
            remedy="The daemon does so when one took a process down: build it again, `edge-aigc accelerate --force`.",
        )


def _compiled_for_tpu(bundle: Bundle) -> bytes | None:
    edgetpu = bundle.manifest.edgetpu
    if edgetpu is None or not edgetpu.compiled or edgetpu.file is None:
        return None
    return bundle.content.get(edgetpu.file)


def _on_tpu(
    bundle: Bundle, compiled: bytes, runtime: Runtime | None, threads: int, tpu: TpuSettings, *, prove_it: bool
) -> Opened:
    """Load the compiled model and have it make the golden vectors of the one for the CPU."""
    interpreter = Interpreter(compiled, runtime=runtime, threads=threads, tpu=tpu)
    golden = bundle.manifest.golden
    proof = prove(bundle, named(interpreter, bundle.manifest.model)) if prove_it else None
    return Opened(runner=interpreter, golden=golden, proof=proof)


def _on_engine(path: Path | None, bundle: Bundle, *, prove_it: bool) -> Opened:
    onnx = onnx_of(bundle)
    if path is None:
        raise BundleError("An engine is looked for beside a bundle's file.", remedy="Open the bundle by its path.")
    here = tensorrt_here()
    wanted = engine_path(path, here.version, here.gpu)
    if not wanted.exists():
        raise _no_engine(path, here.version, here.gpu)
    file = read_engine(wanted)
    if file.record.onnx_sha256 != bundle.manifest.files[onnx.file].sha256:
        raise BundleError(
            f"{wanted.name} was built from another ONNX form than {path.name} carries now.",
            remedy=f"Build it again: `edge-aigc accelerate {path}`.",
        )
    model = bundle.manifest.model
    engine = Engine(file.plan, inputs=model.inputs, outputs=model.outputs)
    return Opened(runner=engine, golden=onnx.golden, proof=prove_engine(engine, bundle) if prove_it else None)


def _no_engine(path: Path, version: str, gpu: str) -> BundleError:
    others = engines_beside(path)
    remedy = f"Build it: `edge-aigc accelerate {path}`."
    if not others:
        return BundleError(f"There is no engine of {path.name} for TensorRT {version} and {gpu}.", remedy=remedy)
    return BundleError(
        f"{others[0].name} was built by another TensorRT or for another GPU than TensorRT {version} and {gpu} here.",
        remedy=remedy,
    )
