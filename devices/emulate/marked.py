"""Runs inside the guest: invokes flatbuffers between the markers that `count.c` counts between.

A script of its own that imports nothing of ours, so that a guest starts fast:
``marked.py MODULE REPEATS FLATBUFFER…``. Section 0 is an empty call, section N the Nth flatbuffer. What a
runtime refuses is told on stdout, a line of JSON each: ``{"section": N, "refused": "…"}``.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import platform
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

_GETPPID = {"aarch64": 173, "x86_64": 110}
_MAGIC = 0x45444745
_START, _STOP = 1, 2
_WARM_UP = 2
_EMPTY_CALLS = 16
"""More than the 8 after which CPython 3.11 and later specialise the code between the markers."""


def _marker(command: int, section: int) -> tuple[ctypes.c_long, ...]:
    return tuple(ctypes.c_long(number) for number in (_GETPPID[platform.machine()], _MAGIC, command, section))


def _count(call: Callable[[], object], section: int, times: int) -> None:
    system_call = ctypes.PyDLL(None).syscall
    start, stop = _marker(_START, section), _marker(_STOP, section)
    for _ in range(times):
        system_call(*start)
        call()
        system_call(*stop)


def _loaded(module: Any, path: str) -> Any:
    interpreter = module.Interpreter(model_path=path, num_threads=1)
    interpreter.allocate_tensors()
    for entry in interpreter.get_input_details():
        interpreter.set_tensor(entry["index"], np.zeros(entry["shape"], dtype=entry["dtype"]))
    return interpreter


def main(name: str, repeats: str, *paths: str) -> None:
    """Count every flatbuffer."""
    module = importlib.import_module(name)
    _count(lambda: None, 0, _EMPTY_CALLS)
    for section, path in enumerate(paths, start=1):
        refused = _refused(module, path, section, _WARM_UP + int(repeats))
        if refused is not None:
            sys.stdout.write(json.dumps({"section": section, "refused": refused}) + "\n")


def _refused(module: Any, path: str, section: int, times: int) -> str | None:
    try:
        _count(_loaded(module, path).invoke, section, times)
    except (ValueError, RuntimeError) as exc:
        return str(exc)
    return None


if __name__ == "__main__":
    main(*sys.argv[1:])
