"""The child process that tries things: what kills it is a finding, not the end of the examination.

    python -m edge_aigc.devices.doctor.probe runtime litert|tflite
    python -m edge_aigc.devices.doctor.probe bundle FILE
    python -m edge_aigc.devices.doctor.probe library FILE

It prints one line, a `Report` in JSON.
"""

from __future__ import annotations

import ctypes
import importlib.resources
import resource
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias, cast

import msgspec

if TYPE_CHECKING:
    from edge_aigc.profile import Runtime

Fault: TypeAlias = Literal["numpy", "missing", "clash", "broken", "wrong", "refused", "untried"]

MODEL = "probe.tflite"
_INPUT = (1.0, 2.0, 3.0, 4.0)
_OUTPUT = (0.75, 1.25, 1.75, 2.25)
"""0.5 x + 0.25, exact in float32: `tests/make_tiny.py` makes the model."""


class Report(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """What came of it."""

    fault: Fault | None = None
    """NumPy does not load; not installed; refuses this NumPy; does not load; computes wrongly; says no;
    the system would not let us try."""
    words: str = ""
    """Of whoever failed."""
    remedy: str = ""
    release: str = ""
    """Package and release of the runtime."""
    peak_bytes: int = 0
    """Resident, of this process."""
    took_ms: float = 0.0


def main(what: str, name: str) -> None:
    """Try it and print the report."""
    report = {"runtime": _runtime, "bundle": _bundle, "library": _library}[what](name)
    peak_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # KiB: getrusage(2)
    sys.stdout.write("\n" + msgspec.json.encode(msgspec.structs.replace(report, peak_bytes=peak_bytes)).decode() + "\n")


def _runtime(name: str) -> Report:
    """Run the smallest model: imported is not yet working."""
    try:
        import numpy as np
    except ImportError as exc:
        return Report(fault="numpy", words=str(exc).strip())
    from edge_aigc.errors import BundleError, RuntimeMissingError
    from edge_aigc.interpreter import Interpreter

    flatbuffer = (importlib.resources.files("edge_aigc.devices.doctor") / MODEL).read_bytes()
    started_s = time.perf_counter()
    try:
        interpreter = Interpreter(flatbuffer, runtime=cast("Runtime", name))
        (made,) = interpreter.run([np.array([_INPUT], np.float32)])
    except RuntimeMissingError as exc:
        return Report(fault=_kind(exc), words=str(exc.__cause__ or exc.message))
    except BundleError as exc:
        return Report(fault="broken", words=exc.message)
    except OSError as exc:  # no place for temporary files, for one
        return Report(fault="untried", words=str(exc))
    took_ms = (time.perf_counter() - started_s) * 1e3
    if made.tolist() != [list(_OUTPUT)]:
        return Report(
            fault="wrong", words=f"{made.tolist()[0]} instead of {list(_OUTPUT)}", release=interpreter.runtime
        )
    return Report(release=interpreter.runtime, took_ms=took_ms)


def _kind(exc: Exception) -> Fault:
    cause = exc.__cause__
    if isinstance(cause, SystemError):
        return "clash"
    return "missing" if isinstance(cause, ModuleNotFoundError) else "broken"


def _bundle(name: str) -> Report:
    """Open a bundle and prove it, as the daemon's worker does before it serves."""
    from edge_aigc.errors import EdgeAigcError
    from edge_aigc.generator import open_bundle

    started_s = time.perf_counter()
    try:
        generator = open_bundle(Path(name))
    except EdgeAigcError as exc:
        return Report(fault="refused", words=exc.message, remedy=exc.remedy)
    return Report(release=generator.runtime, took_ms=(time.perf_counter() - started_s) * 1e3)


def _library(name: str) -> Report:
    """Load a shared library with everything that it needs."""
    try:
        ctypes.CDLL(name)
    except OSError as exc:
        return Report(fault="broken", words=str(exc))
    return Report()


if __name__ == "__main__":
    main(*sys.argv[1:])
