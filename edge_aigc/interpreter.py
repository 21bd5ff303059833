"""One face on ai-edge-litert and tflite-runtime; the only file that imports them.

`Interpreter`, never `CompiledModel`: the latter dies with SIGILL on Cortex-A53, A57 and A72.
"""

from __future__ import annotations

import ctypes
import functools
import importlib
import importlib.metadata
import importlib.util
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge_aigc.errors import BundleError, RuntimeMissingError
from edge_aigc.quiet import stderr_held

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import ModuleType

    from edge_aigc.profile import Runtime
    from edge_aigc.tpu import TpuSettings

Array: TypeAlias = NDArray[np.generic]

_MODULES: Mapping[Runtime, tuple[str, str]] = {
    # Preferred first: LiteRT is the runtime that is still maintained.
    "litert": ("ai_edge_litert.interpreter", "ai-edge-litert"),
    "tflite": ("tflite_runtime.interpreter", "tflite-runtime"),
}
PACKAGES: Mapping[Runtime, str] = {runtime: package for runtime, (_, package) in _MODULES.items()}
"""What each runtime is called where packages are installed."""
_EXTRA = "Install one: `pip install 'edge-aigc[litert]'`, or `'edge-aigc[tflite]'` (Python 3.11 and older)."


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorInfo:
    """One input or output of a flatbuffer."""

    index: int
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    scale: float
    """0.0 where the tensor is not quantized."""
    zero_point: int


class Interpreter:
    """A flatbuffer ready to run.

    Attributes:
        runtime: Package and release, for example ``ai-edge-litert 2.3.0``; with a delegate, that too.
        inputs: In the flatbuffer's order.
        outputs: In the flatbuffer's order.
    """

    def __init__(
        self,
        flatbuffer: bytes,
        *,
        runtime: Runtime | None = None,
        threads: int = 1,
        tpu: TpuSettings | None = None,
        inside: bool = False,
    ) -> None:
        """Load a flatbuffer and plan its memory.

        Args:
            flatbuffer: A TFLite model.
            runtime: Which package; None takes the first that is installed.
            threads: For the operators that use several.
            tpu: The Edge TPU that a compiled model is for; None loads no delegate.
            inside: Keep every tensor between the operators for `tensor`. Runs on the built-in kernels, as XNNPACK's
                never write them down: more memory and time.

        Raises:
            RuntimeMissingError: No such runtime here, or it cannot start; or no such Edge TPU, or not its library.
            BundleError: The runtime refuses the model.
        """
        chosen = runtime or installed_runtime()
        module = _module(chosen)
        self.runtime = runtime_release(chosen)
        with stderr_held() as words:
            delegates = [_delegate(module, tpu, words)] if tpu is not None and tpu.library is not None else None
            try:
                self._native: Any = module.Interpreter(
                    model_content=flatbuffer,
                    num_threads=threads,
                    experimental_delegates=delegates,
                    **(_keeping_all(module) if inside else {}),
                )
                self._native.allocate_tensors()
            except SystemError as exc:
                raise _clash(chosen) from exc
            except (ValueError, RuntimeError) as exc:
                raise BundleError(
                    f"{self.runtime} refuses the model: {' '.join(str(exc or words()).split())}.",
                    remedy="Convert it for this runtime: `edge-aigc convert MODEL --profile NAME "
                    f"--runtime {chosen}`, or install another runtime.",
                ) from exc
        if delegates is not None and tpu is not None:
            self.runtime = f"{self.runtime} on the Edge TPU ({tpu.words})"
        self.inputs = tuple(_info(entry) for entry in self._native.get_input_details())
        self.outputs = tuple(_info(entry) for entry in self._native.get_output_details())

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """Return the outputs for the inputs, both in the flatbuffer's order.

        Real values where the tensor is quantized: they are quantized going in, and back coming out. Only bytes come
        out as they are: uint8 are pixels.

        Args:
            inputs: Arrays of the shapes in `self.inputs`.

        Raises:
            BundleError: The runtime failed.
        """
        self.load(inputs)
        self.invoke()
        return [self._whole(info) if info.dtype == np.uint8 else self._real(info) for info in self.outputs]

    def tensor(self, index: int) -> Array:
        """Return the real values of a tensor between the operators, as the last run left it.

        Args:
            index: Its place in the main subgraph of the flatbuffer.

        Raises:
            BundleError: The runtime did not keep it.
        """
        try:
            return self._real(self._inside[index])
        except (KeyError, ValueError) as exc:
            raise BundleError(
                f"{self.runtime} has no values of tensor {index}.", remedy="Load the model with `inside=True`."
            ) from exc

    @functools.cached_property
    def _inside(self) -> dict[int, TensorInfo]:
        return {int(entry["index"]): _info(entry) for entry in self._native.get_tensor_details()}

    def load(self, inputs: Sequence[Array]) -> None:
        """Copy the inputs in, quantized where the tensor is."""
        for info, values in zip(self.inputs, inputs, strict=True):
            self._native.set_tensor(info.index, _quantized(values, info))

    def invoke(self) -> None:
        """Run the model once on what was loaded; this is what a latency means.

        Raises:
            BundleError: The runtime failed.
        """
        try:
            self._native.invoke()
        except (ValueError, RuntimeError) as exc:
            raise BundleError(
                f"{self.runtime} failed while it ran the model: {exc}.",
                remedy="Convert the model again, or try another runtime with `--runtime`.",
            ) from exc

    def _whole(self, info: TensorInfo) -> Array:
        values: Array = self._native.get_tensor(info.index)
        return values

    def _real(self, info: TensorInfo) -> Array:
        values = self._whole(info)
        if not info.scale:
            return values
        return (values.astype(np.float32) - info.zero_point) * np.float32(info.scale)


def installed_runtime() -> Runtime:
    """Return the preferred runtime among those installed.

    Raises:
        RuntimeMissingError: There is none.
    """
    for runtime, (module, _) in _MODULES.items():
        if importlib.util.find_spec(module.partition(".")[0]) is not None:
            return runtime
    raise RuntimeMissingError("No TFLite interpreter is installed here.", remedy=_EXTRA)


def preload(runtime: Runtime | None = None) -> None:
    """Import a runtime before anything is loaded, so that what an idle process takes can be told.

    Raises:
        RuntimeMissingError: No such runtime here, or it cannot start.
    """
    _module(runtime or installed_runtime())


def runtime_release(runtime: Runtime) -> str:
    """Return the package and its release, for example ``tflite-runtime 2.14.0``."""
    package = _MODULES[runtime][1]
    try:
        return f"{package} {importlib.metadata.version(package)}"
    except importlib.metadata.PackageNotFoundError:
        return package


def _module(runtime: Runtime) -> ModuleType:
    module, package = _MODULES[runtime]
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as exc:
        raise RuntimeMissingError(f"{package} is not installed here.", remedy=_EXTRA) from exc
    except (ImportError, OSError) as exc:  # ai-edge-litert loads a library with ctypes, which raises the latter
        raise RuntimeMissingError(
            f"{package} is installed but does not load: {exc}.",
            remedy=f"Install it again: `pip install --force-reinstall {package}`.",
        ) from exc


def _delegate(module: ModuleType, tpu: TpuSettings, words: Callable[[], str]) -> Any:
    try:
        # First without the runtime, whose object for a library that is not there fails once more when it is freed.
        ctypes.CDLL(tpu.library)
        return module.load_delegate(tpu.library, tpu.delegate_options)
    except OSError as exc:
        raise RuntimeMissingError(
            f"The Edge TPU's library cannot be loaded: {exc}.",
            remedy="Install it: the package `libedgetpu1-std` of the Coral repository; see `edge-aigc doctor`.",
        ) from exc
    except (ValueError, RuntimeError) as exc:
        said = " ".join(f"{exc} {words()}".split())
        raise RuntimeMissingError(
            f"No Edge TPU can be used: {said}.",
            remedy="Check that it is plugged in, visible to this user and not in use by another process; see "
            "`edge-aigc doctor`.",
        ) from exc


def _keeping_all(module: ModuleType) -> dict[str, Any]:
    return {
        "experimental_preserve_all_tensors": True,
        "experimental_op_resolver_type": module.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    }


def _clash(runtime: Runtime) -> RuntimeMissingError:
    # tflite-runtime 2.14 was built against NumPy 1 and raises SystemError on NumPy 2.
    return RuntimeMissingError(
        f"{runtime_release(runtime)} cannot start with NumPy {np.__version__}.",
        remedy="Install the NumPy that it was built for: `pip install 'numpy<2'`.",
    )


def _info(entry: dict[str, Any]) -> TensorInfo:
    scale, zero_point = entry["quantization"]
    return TensorInfo(
        index=int(entry["index"]),
        name=str(entry["name"]),
        shape=tuple(int(size) for size in entry["shape"]),
        dtype=np.dtype(entry["dtype"]),
        scale=float(scale),
        zero_point=int(zero_point),
    )


def _quantized(values: Array, info: TensorInfo) -> Array:
    if not info.scale or values.dtype == info.dtype:
        plain: Array = np.ascontiguousarray(values, dtype=info.dtype)
        return plain
    limits = np.iinfo(info.dtype)
    steps = np.round(values.astype(np.float32) / np.float32(info.scale)) + info.zero_point
    whole: Array = np.clip(steps, limits.min, limits.max).astype(info.dtype)
    return whole
