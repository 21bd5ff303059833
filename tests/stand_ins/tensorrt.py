"""Stands in for NVIDIA's module where there is none: the calls that we use, computed by onnxruntime.

A plan is the version that built it, a line, and an ONNX file. Addresses are real, in the memory that the
stand-in for libcudart hands out.
"""

from __future__ import annotations

import ctypes
import enum
import os
from typing import Any

import numpy as np
import onnxruntime

__version__ = os.environ.get("STAND_IN_TENSORRT", "10.3.0")
MAGIC = b"stand-in plan "

_WRONG_VERSION = (
    # TensorRT 8.4's words (NVIDIA/TensorRT issue 2072).
    "1: [stdArchiveReader.cpp::StdArchiveReader::40] Error Code 1: Serialization (Serialization assertion "
    "stdVersionRead == serializationVersion failed.Version tag does not match. Note: Current Version: 213, Serialized "
    "Engine Version: 205)"
)


class DataType(enum.Enum):
    FLOAT = 0
    HALF = 1
    INT32 = 3
    INT64 = 8


_TYPES = {"tensor(float)": DataType.FLOAT, "tensor(int32)": DataType.INT32, "tensor(int64)": DataType.INT64}
_NUMPY = {DataType.FLOAT: np.float32, DataType.INT32: np.int32, DataType.INT64: np.int64}


class ILogger:
    INTERNAL_ERROR, ERROR, WARNING = 0, 1, 2

    def log(self, severity: int, msg: str) -> None:
        raise NotImplementedError


class Runtime:
    def __init__(self, logger: ILogger) -> None:
        self.logger = logger
        if os.environ.get("STAND_IN_NO_START"):
            logger.log(
                ILogger.ERROR, "CUDA initialization failure with error: 35. Please check your CUDA installation."
            )
            # What NVIDIA's module 10.3.0 raises when the library gives it no runtime.
            raise TypeError("pybind11::init(): factory function returned nullptr")

    def deserialize_cuda_engine(self, plan: bytes) -> Engine | None:
        self.logger.log(ILogger.WARNING, "Using an engine plan file across different models of devices")
        head, _, onnx = plan.partition(b"\n")
        built_by = head.removeprefix(MAGIC).decode(errors="replace")
        if not head.startswith(MAGIC) or built_by != __version__:
            self.logger.log(ILogger.ERROR, _WRONG_VERSION)
            self.logger.log(ILogger.ERROR, "4: [runtime.cpp::deserializeCudaEngine::50] Engine deserialization failed.")
            return None
        return Engine(onnx)


class Engine:
    def __init__(self, onnx: bytes) -> None:
        self.session = onnxruntime.InferenceSession(onnx, providers=["CPUExecutionProvider"])
        self.tensors = {tensor.name: tensor for tensor in (*self.session.get_inputs(), *self.session.get_outputs())}

    @property
    def num_io_tensors(self) -> int:
        return len(self.tensors)

    def get_tensor_name(self, index: int) -> str:
        return list(self.tensors)[index]

    def get_tensor_dtype(self, name: str) -> DataType:
        return _TYPES[self.tensors[name].type]

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return tuple(self.tensors[name].shape)

    def create_execution_context(self) -> Context:
        return Context(self)


def _dies() -> bool:
    """STAND_IN_DIES: a file; each run appends to it, and those after as many as it says in its first line die."""
    if not (path := os.environ.get("STAND_IN_DIES")):
        return False
    with open(path, "r+", encoding="ascii") as file:  # noqa: PTH123 - read and append at once
        allowed, *runs = file.read().split("\n")
        file.write("run\n")
    return len([run for run in runs if run]) >= int(allowed)


class Context:
    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.addresses: dict[str, int] = {}

    def set_tensor_address(self, name: str, address: int) -> bool:
        self.addresses[name] = address
        return True

    def execute_async_v3(self, stream: int) -> bool:
        session = self.engine.session
        if _dies():
            os.abort()
        if stream != 0x5 or os.environ.get("STAND_IN_FAILS"):
            return False
        inputs = {tensor.name: self.view(tensor.name) for tensor in session.get_inputs()}
        for tensor, values in zip(session.get_outputs(), session.run(None, inputs), strict=True):
            # Half precision, as an engine built with --fp16 leaves its mark.
            self.view(tensor.name)[...] = values.astype(np.float16).astype(values.dtype)
        return True

    def view(self, name: str) -> Any:
        kind, shape = _NUMPY[self.engine.get_tensor_dtype(name)], self.engine.get_tensor_shape(name)
        size = int(np.prod(shape)) * np.dtype(kind).itemsize
        memory = (ctypes.c_char * size).from_address(self.addresses[name])
        return np.frombuffer(memory, kind).reshape(shape)
