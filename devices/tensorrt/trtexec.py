"""NVIDIA's `trtexec`: found, asked for its version, told what to build, run within a time limit."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edge_aigc.devices.tensorrt.log import device_in, failure, passed, seconds_in, version_in
from edge_aigc.errors import ConversionError, RuntimeMissingError, UsageError
from edge_aigc.processes import await_end, kill_group, said_by

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edge_aigc.engines import Precision

JETPACK = Path("/usr/src/tensorrt/bin/trtexec")
"""Where JetPack puts it, which is not on PATH."""
OLDEST = (8, 0, 0)
"""The first that reads opset 13: operators.md of onnx-tensorrt."""

_SKIPS_INFERENCE = (8, 6, 0)
"""`--skipInference` from here on, `--buildOnly` before; 10.3 answers the old word with "Unknown option"."""
_WHOLE_MEMORY = (8, 4, 0)
"""From here on kernels may use all memory by default; before it is 16 MiB, as logs of 8.2 on boards say."""
_WORKSPACE_MIB = 256
_STRONGLY_TYPED = (11, 0, 0)
"""From here on types come from the ONNX file ("Precision: Strongly Typed" in its logs)."""
_PROBE_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Trtexec:
    """The program, and the TensorRT that it was built with."""

    path: Path
    version: tuple[int, int, int]

    @property
    def release(self) -> str:
        """Return the version as TensorRT's Python module writes it."""
        return ".".join(map(str, self.version))


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """What the log says of an engine that was built."""

    device: str
    seconds: float


def find_trtexec(stated: Path | None = None) -> Trtexec:
    """Find the program and ask it for its version.

    Args:
        stated: Where the user says it is; None looks on PATH and where JetPack puts it.

    Raises:
        RuntimeMissingError: It is nowhere, does not start, or is older than 8.0.
    """
    path = stated or _on_path() or JETPACK
    if not path.is_file() or not os.access(path, os.X_OK):
        where = f"at {path}" if stated else f"on PATH nor at {JETPACK}"
        raise RuntimeMissingError(
            f"There is no trtexec {where}.",
            remedy="On a Jetson: `sudo apt-get install libnvinfer-bin`. Elsewhere say where it is with `--trtexec`.",
        )
    version = version_in(_help_of(path))
    if version is None:
        raise RuntimeMissingError(
            f"{path} does not say that it is trtexec.", remedy="Name NVIDIA's own with `--trtexec`."
        )
    if version < OLDEST:
        raise RuntimeMissingError(
            f"{path} is of a TensorRT older than 8.0, which does not read the ONNX form.",
            remedy="Install JetPack 4.6 or later.",
        )
    return Trtexec(path=path, version=version)


def command(trtexec: Trtexec, onnx: Path, engine: Path, precision: Precision) -> list[str]:
    """Return the command that builds an engine.

    Never with `--int8`: that needs the ranges of every layer, and Jetson Nano's GPU has no int8 at all.

    Args:
        trtexec: Decides which options there are.
        onnx: What to build from; its shapes are fixed, so none are stated.
        engine: The file to write.
        precision: What the GPU may compute in.

    Raises:
        UsageError: This TensorRT cannot be told the precision.
    """
    words = [str(trtexec.path), f"--onnx={onnx}", f"--saveEngine={engine}"]
    if precision == "float16":
        if trtexec.version >= _STRONGLY_TYPED:
            raise UsageError(
                f"TensorRT {trtexec.release} takes types from the ONNX form, which is float32.",
                remedy="Say `--precision float32`.",
            )
        words.append("--fp16")
    if trtexec.version < _WHOLE_MEMORY:
        words.append(f"--workspace={_WORKSPACE_MIB}")
    words.append("--skipInference" if trtexec.version >= _SKIPS_INFERENCE else "--buildOnly")
    return words


def build(words: Sequence[str], engine: Path, *, limit_s: float, tell: Callable[[str], None]) -> Build:
    """Run the command and return what its log says.

    Args:
        words: From `command`.
        engine: The file that it writes.
        limit_s: Killed after this, with whatever it started.
        tell: Called with the lines of the log as they come.

    Raises:
        ConversionError: It failed, took too long, was killed, or wrote nothing; the reason is what it said.
    """
    code, log, late = _run(words, limit_s, tell)
    if late:
        raise ConversionError(
            f"trtexec did not end within {limit_s:g} s.", remedy="Allow it more with `--time-limit SECONDS`."
        )
    # Programs that ran out of memory or disk have left empty files and exited with 0.
    if code or not passed(log) or not engine.is_file() or not engine.stat().st_size:
        raise failure(code, log)
    return Build(device=device_in(log), seconds=seconds_in(log))


def _help_of(path: Path) -> str:
    try:
        said = said_by([path, "--help"], limit_s=_PROBE_S)
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise RuntimeMissingError(
            f"{path} does not start: {exc}.",
            remedy="Install it again: `sudo apt-get install --reinstall libnvinfer-bin`.",
        ) from exc
    return said.decode(errors="replace")


def _run(words: Sequence[str], limit_s: float, tell: Callable[[str], None]) -> tuple[int, str, bool]:
    late = threading.Event()
    with subprocess.Popen(
        words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    ) as process:
        assert process.stdout is not None

        def end() -> None:
            late.set()
            kill_group(process)

        timer = threading.Timer(limit_s, end)
        timer.start()
        lines = []
        try:
            for raw in process.stdout:
                line = raw.decode(errors="replace").rstrip()
                lines.append(line)
                tell(line)
            code = await_end(process)
        finally:
            timer.cancel()
            kill_group(process)
    return code, "\n".join(lines), late.is_set()


def _on_path() -> Path | None:
    found = shutil.which("trtexec")
    return Path(found) if found else None
