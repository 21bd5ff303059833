"""Runs inside the guest: invokes flatbuffers between the markers that `count.c` counts between.

A script of its own that imports nothing of ours, so that a guest starts fast:
``marked.py MODULE REPEATS FLATBUFFER…``. Section 0 is an empty call, section N the Nth flatbuffer. What a
runtime refuses is told on stdout, a line of JSON each: ``{"section": N, "refused": "…"}``.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import platform
import sys
import time
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

_GETPPID = {"aarch64": 173, "x86_64": 110}
_MAGIC = 0x45444745
_START, _STOP = 1, 2
_WARM_UP = 2
_SPECIALISED_AFTER = 16
"""Calls; CPython 3.11 and later specialise code after 8."""
_PATIENCE_S = 2.0
"""For that, and for the counts of one model: the noise is of some hundred instructions whatever its size."""
_LEAST = 2
"""Calls counted even so: the first sets up what later ones reuse."""


def _marker(command: int, section: int) -> tuple[ctypes.c_long, ...]:
    return tuple(ctypes.c_long(number) for number in (_GETPPID[platform.machine()], _MAGIC, command, section))


def _count(call: Callable[[], object], section: int, times: int) -> None:
    system_call = ctypes.PyDLL(None).syscall
    start, stop = _marker(_START, section), _marker(_STOP, section)
    began = time.monotonic()
    for done in range(times):
        if done >= _LEAST and time.monotonic() - began > _PATIENCE_S:
            break
        system_call(*start)
        call()
        system_call(*stop)


def _specialise(call: Callable[[], object]) -> None:
    began = time.monotonic()
    for _ in range(_SPECIALISED_AFTER):
        call()
        if time.monotonic() - began > _PATIENCE_S:
            break


def _loaded(module: Any, path: str) -> Any:
    interpreter = module.Interpreter(model_path=path, num_threads=1)
    interpreter.allocate_tensors()
    for entry in interpreter.get_input_details():
        # Halves keep scalar mathematics off its short cuts; integers may be indices.
        value = 0.5 if np.issubdtype(entry["dtype"], np.floating) else 0
        interpreter.set_tensor(entry["index"], np.full(entry["shape"], value, dtype=entry["dtype"]))
    return interpreter


def main(name: str, repeats: str, *paths: str) -> None:
    """Count every flatbuffer."""
    module = importlib.import_module(name)
    gc.disable()
    _count(lambda: None, 0, _SPECIALISED_AFTER)
    for section, path in enumerate(paths, start=1):
        refused = _refused(module, path, section, _WARM_UP + int(repeats))
        if refused is not None:
            sys.stdout.write(json.dumps({"section": section, "refused": refused}) + "\n")


def _refused(module: Any, path: str, section: int, times: int) -> str | None:
    try:
        invoke = _loaded(module, path).invoke
        if section == 1:
            _specialise(invoke)
        _count(invoke, section, times)
    except (ValueError, RuntimeError) as exc:
        return str(exc)
    return None


if __name__ == "__main__":
    main(*sys.argv[1:])
