"""One face on TensorRT engines, that of `Interpreter`; the only file that imports `tensorrt`.

The module is NVIDIA's own, from JetPack's packages: it is on no index for these boards. Only calls by
tensor name are used, which TensorRT has had since 8.5; never `nptype`, which older releases break on
new NumPy.
"""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_aigc.cuda import Cuda
from edge_aigc.errors import BundleError, RuntimeMissingError
from edge_aigc.interpreter import TensorInfo

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_aigc.interpreter import Array

OLDEST = (8, 5)
"""`num_io_tensors`, `set_tensor_address` and `execute_async_v3`: TensorRT 8.5 release notes."""

_TYPES = {"FLOAT": "f4", "HALF": "f2", "INT8": "i1", "INT32": "i4", "INT64": "i8", "BOOL": "?", "UINT8": "u1"}
"""`tensorrt.DataType` by member name to NumPy."""
_REBUILD = "Build it again with `edge-aigc accelerate`; meanwhile the CPU serves (`--runtime litert`)."

_NO_START = "Free some memory and check the driver; meanwhile the CPU serves (`--runtime litert`)."


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorRtHere:
    """What a serialized engine must have been built by, and for."""

    version: str
    """Three numbers, for example ``10.3.0``."""
    gpu: str
    """`Cuda.gpu`."""


def tensorrt_here() -> TensorRtHere:
    """Return the TensorRT and the GPU of this machine.

    Raises:
        RuntimeMissingError: One of the two is missing, or TensorRT's module is older than 8.5.
    """
    return TensorRtHere(version=_version(_module()), gpu=Cuda().gpu)


class Engine:
    """A serialized engine ready to run.

    Attributes:
        runtime: For example ``TensorRT 10.3.0``.
        inputs: In the order that was asked for.
        outputs: In the order that was asked for.
    """

    def __init__(self, plan: bytes, *, inputs: Sequence[str], outputs: Sequence[str]) -> None:
        """Load an engine and take the GPU's memory for its inputs and outputs.

        Args:
            plan: What TensorRT serialized on this very kind of machine.
            inputs: The names of all inputs, in the order that `run` takes them.
            outputs: The names of all outputs, in the order that `run` gives them.

        Raises:
            RuntimeMissingError: No TensorRT or no GPU here, or it cannot start.
            BundleError: TensorRT refuses the engine, or it has other inputs and outputs.
        """
        native = _module()
        self._cuda = Cuda()
        self.runtime = f"TensorRT {_version(native)}"
        self._errors: list[str] = []
        # The logger must outlive the runtime, that its engine, and the engine its context.
        self._logger = _logger(native, self._errors)
        try:
            self._runtime = native.Runtime(self._logger)
        # What the binding raises for a runtime that cannot start, as without a GPU or memory: pybind11 got no object.
        except TypeError as exc:
            raise RuntimeMissingError(f"{self.runtime} cannot start: {self._said()}.", remedy=_NO_START) from exc
        self._engine = self._runtime.deserialize_cuda_engine(plan)
        self._context = self._engine.create_execution_context() if self._engine is not None else None
        if self._context is None:
            raise BundleError(f"{self.runtime} refuses the engine: {self._said()}.", remedy=_REBUILD)
        self._check_names([*inputs, *outputs])
        self.inputs = tuple(self._info(index, name) for index, name in enumerate(inputs))
        self.outputs = tuple(self._info(index, name) for index, name in enumerate(outputs))
        self._addresses: dict[str, int] = {}
        for info in (*self.inputs, *self.outputs):
            self._addresses[info.name] = self._cuda.allocate(int(np.prod(info.shape)) * info.dtype.itemsize)
            self._context.set_tensor_address(info.name, self._addresses[info.name])

    def __del__(self) -> None:
        """Give the GPU's memory back."""
        for address in getattr(self, "_addresses", {}).values():
            self._cuda.free(address)

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """Return the outputs for the inputs, both in the order that was asked for.

        Raises:
            BundleError: TensorRT failed.
        """
        self.load(inputs)
        self.invoke()
        outputs: list[Array] = [np.empty(info.shape, info.dtype) for info in self.outputs]
        for info, values in zip(self.outputs, outputs, strict=True):
            self._cuda.copy_out(values, self._addresses[info.name])
        self._cuda.wait()
        return outputs

    def load(self, inputs: Sequence[Array]) -> None:
        """Copy the inputs to the GPU."""
        for info, values in zip(self.inputs, inputs, strict=True):
            self._cuda.copy_in(self._addresses[info.name], np.ascontiguousarray(values, dtype=info.dtype))
        # The copies read arrays that end with this call.
        self._cuda.wait()

    def invoke(self) -> None:
        """Run the engine once on what was loaded and wait for it.

        Raises:
            BundleError: TensorRT failed.
        """
        assert self._context is not None
        if not self._context.execute_async_v3(self._cuda.stream):
            raise BundleError(f"{self.runtime} failed while it ran the model: {self._said()}.", remedy=_REBUILD)
        self._cuda.wait()

    def _said(self) -> str:
        return "; ".join(self._errors[-2:]).rstrip(". ") or "it does not say why"

    def _check_names(self, expected: list[str]) -> None:
        assert self._engine is not None
        found = [self._engine.get_tensor_name(index) for index in range(self._engine.num_io_tensors)]
        if sorted(found) != sorted(expected):
            raise BundleError(
                f"The engine has the tensors {', '.join(sorted(found))}; the bundle {', '.join(sorted(expected))}.",
                remedy=_REBUILD,
            )

    def _info(self, index: int, name: str) -> TensorInfo:
        assert self._engine is not None
        kind = self._engine.get_tensor_dtype(name).name
        if kind not in _TYPES:
            raise BundleError(f"The engine's {name!r} has the type {kind}, unknown here.", remedy=_REBUILD)
        shape = tuple(int(size) for size in self._engine.get_tensor_shape(name))
        return TensorInfo(index=index, name=name, shape=shape, dtype=np.dtype(_TYPES[kind]), scale=0.0, zero_point=0)


def _logger(native: Any, errors: list[str]) -> Any:
    """Return a logger that keeps errors: TensorRT's own writes to stdout, where only results belong (pyCore.cpp)."""

    class Keeper(native.ILogger):  # type: ignore[misc]  # the module has no types
        def __init__(self) -> None:
            native.ILogger.__init__(self)

        def log(self, severity: Any, msg: str) -> None:
            if severity <= native.ILogger.ERROR:
                errors.append(msg.strip())

    return Keeper()


def _module() -> Any:
    try:
        native = importlib.import_module("tensorrt")
    except ImportError as exc:
        here = f"{sys.version_info.major}.{sys.version_info.minor}"
        raise RuntimeMissingError(
            f"TensorRT's Python module is not there for Python {here}: {exc}.",
            remedy="On JetPack 6 (Python 3.10): `sudo apt-get install python3-libnvinfer`, in an environment made with "
            "`python3 -m venv --system-site-packages`. JetPack 4 and 5 have it only for a Python too old for us: "
            "there the CPU serves.",
        ) from exc
    if tuple(int(part) for part in _version(native).split(".")) < OLDEST:
        raise RuntimeMissingError(
            f"TensorRT {_version(native)} is too old to run engines by tensor name: 8.5 is the first.",
            remedy="Install JetPack 6; until then the CPU serves.",
        )
    return native


def _version(native: Any) -> str:
    return ".".join(str(native.__version__).split(".")[:3])
