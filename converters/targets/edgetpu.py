"""The Edge TPU of Coral: int8 all the way, compiled by Google's closed `edgetpu_compiler`.

Where the compiler is not installed the bundle says so and how to compile it; the int8 model runs on
the CPU in either case.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from edge_aigc.converters.graph import operators
from edge_aigc.converters.targets.target import Compiled
from edge_aigc.manifest import EdgeTpu

if TYPE_CHECKING:
    from edge_aigc.converters.graph import Operator

COMPILER = "edgetpu_compiler"
COMPILED_FILE = "model_edgetpu.tflite"
_TIMEOUT_S = 300
"""The compiler gives up by itself after 180 s (`--timeout_sec`)."""

_HOW = (
    f"Put {COMPILER} (x86-64 only: package `edgetpu-compiler` of the Coral repository) on PATH and convert again, "
    f"or unpack model.tflite from the bundle and run `{COMPILER} model.tflite` wherever it is."
)

SUPPORTED = frozenset(
    # coral.ai, "TensorFlow models on the Edge TPU", and the compiler guide's table.
    """ADD AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D EXPAND_DIMS FULLY_CONNECTED
    L2_NORMALIZATION LOGISTIC MAXIMUM MAX_POOL_2D MEAN MINIMUM MUL PACK PAD PRELU QUANTIZE
    REDUCE_MAX REDUCE_MIN RELU RELU6 RELU_N1_TO_1 RESHAPE RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR RSQRT
    SLICE SOFTMAX SPACE_TO_DEPTH SPLIT SQUEEZE STRIDED_SLICE SUB SUM SQUARED_DIFFERENCE TANH TRANSPOSE
    TRANSPOSE_CONV UNIDIRECTIONAL_SEQUENCE_LSTM""".split()  # noqa: SIM905 - forty quoted names read worse
)
_REASONS = {
    "LEAKY_RELU": "not an operator of the Edge TPU; train with ReLU or PReLU",
    "GATHER": "not an operator of the Edge TPU; give a class as one-hot instead of an index",
    "DEPTH_TO_SPACE": "not an operator of the Edge TPU; transposed convolutions are",
    "GELU": "not an operator of the Edge TPU; train with ReLU",
    "BATCH_MATMUL": "not an operator of the Edge TPU; fully connected layers with constant weights are",
    "DEQUANTIZE": "turns int8 into float, which the Edge TPU does not compute with",
    "EXP": "not an operator of the Edge TPU",
    "WHILE": "loops do not run on the Edge TPU; unroll the layer",
}
_TENSOR_TYPES = {"INT8", "UINT8", "INT32"}
"""INT32 are biases and shapes."""
_MOST_WIDE_DIMENSIONS = 3
"""coral.ai, tensor rules: at most the three innermost dimensions may be larger than 1."""


class EdgeTpuTarget:
    """One Edge TPU."""

    int8_borders = True

    def check(self, flatbuffer: bytes) -> None:
        """Refuse nothing: what the TPU does not take runs on the CPU, and the manifest lists it."""
        del flatbuffer

    def compile(self, flatbuffer: bytes) -> Compiled:
        """Compile where the compiler is on PATH; else say why not and how to."""
        refused = precheck(flatbuffer)
        program = shutil.which(COMPILER)
        if program is None:
            reason = f"Not compiled: {COMPILER} is not on PATH. {_HOW}"
            return Compiled(edgetpu=EdgeTpu(compiled=False, reason=reason, refused=refused))
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder) / "model.tflite"
            source.write_bytes(flatbuffer)
            log = _run(program, source)
            result = Path(folder) / COMPILED_FILE
            # Its exit codes are undocumented: only the file together with these words means success.
            if "compiled successfully" in log.lower() and result.is_file():
                edgetpu = parse_log(log, refused=refused)
                return Compiled(files={COMPILED_FILE: result.read_bytes()}, edgetpu=edgetpu)
        reason = f"Not compiled: {COMPILER} said: {_last_words(log)}"
        return Compiled(edgetpu=EdgeTpu(compiled=False, reason=reason, compiler=_version(log), refused=refused))


def precheck(flatbuffer: bytes) -> dict[str, str]:
    """Return the operators that the Edge TPU refuses, each with the reason, in the order of execution."""
    refused: dict[str, str] = {}
    for operator in operators(flatbuffer):
        reason = _refusal(operator)
        if reason is not None:
            refused.setdefault(operator.kind, reason)
    return refused


def parse_log(log: str, *, refused: dict[str, str]) -> EdgeTpu:
    """Return what the compiler reports of a model that it compiled.

    Args:
        log: All that it printed.
        refused: What the pre-check found.
    """
    return EdgeTpu(
        compiled=True,
        reason="",
        compiler=_version(log),
        refused=refused,
        on_tpu=_count(log, r"operations that will run on Edge TPU:\s*(\d+)"),
        on_cpu=_count(log, r"operations that will run on CPU:\s*(\d+)"),
        subgraphs=_count(log, r"Number of Edge TPU subgraphs:\s*(\d+)"),
        on_chip_bytes=_size(log, "On-chip memory used for caching model parameters"),
        off_chip_bytes=_size(log, "Off-chip memory used for streaming uncached model parameters"),
    )


def _refusal(operator: Operator) -> str | None:
    if operator.kind not in SUPPORTED:
        return _REASONS.get(operator.kind, "not an operator of the Edge TPU")
    tensors = [tensor for tensor in (*operator.inputs, *operator.outputs) if tensor is not None]
    if operator.kind != "QUANTIZE":
        for tensor in tensors:
            if tensor.dtype not in _TENSOR_TYPES:
                return f"its tensor {tensor.name!r} is {tensor.dtype.lower()}; the Edge TPU computes in int8"
    for tensor in tensors:
        outer = tensor.shape[: -_MOST_WIDE_DIMENSIONS or None]
        if not tensor.constant and any(size != 1 for size in outer):
            return f"its tensor {tensor.name!r} {list(tensor.shape)} is wide in more than three dimensions"
    return None


def _run(program: str, source: Path) -> str:
    command = [program, "--show_operations", "--out_dir", str(source.parent), str(source)]
    try:
        done = subprocess.run(  # noqa: PLW1510 - exit codes mean nothing here
            command, capture_output=True, text=True, timeout=_TIMEOUT_S, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        return f"no answer within {_TIMEOUT_S} s"
    except OSError as exc:
        return f"it cannot be started: {exc.strerror}"
    return f"{done.stdout}\n{done.stderr}"


def _version(log: str) -> str | None:
    match = re.search(r"Edge TPU Compiler version (\S+)", log)
    return match[1] if match else None


def _count(log: str, pattern: str) -> int | None:
    match = re.search(pattern, log)
    return int(match[1]) if match else None


_UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


def _size(log: str, label: str) -> int | None:
    match = re.search(rf"{label}:\s*([\d.]+)\s*([KMG]?i?B)", log)
    return round(float(match[1]) * _UNITS[match[2]]) if match and match[2] in _UNITS else None


def _last_words(log: str) -> str:
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    return lines[-1] if lines else "nothing"
