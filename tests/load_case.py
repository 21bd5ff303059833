"""Load flatbuffers on the runtime that is installed here; run by another Python, a process for each case.

A crash is a result as well: the caller sees it by the exit code.
"""

from __future__ import annotations

import json
import pickle
import sys
from pathlib import Path

import numpy as np

from edge_aigc.errors import EdgeAigcError
from edge_aigc.interpreter import Interpreter


def run(case: Path) -> dict:
    """Run one flatbuffer; return the distance to what it should make, in shares of the range, or the refusal."""
    with np.load(case, allow_pickle=False) as arrays:
        flatbuffer = arrays["flatbuffer"].tobytes()
        inputs = [arrays[name] for name in sorted(arrays.files) if name.startswith("input")]
        expected = [arrays[name] for name in sorted(arrays.files) if name.startswith("output")]
    try:
        interpreter = Interpreter(flatbuffer)
        found = interpreter.run(inputs)
    except EdgeAigcError as error:
        return {"refused": error.message}
    distances = [distance(one, other) for one, other in zip(found, expected, strict=True)]
    return {
        "runtime": interpreter.runtime,
        "rms": max(rms for rms, _ in distances),
        "largest": max(largest for _, largest in distances),
    }


def listed(probes: Path) -> list[int]:
    """Return which of many flatbuffers load, by position."""
    loaded = []
    for index, flatbuffer in enumerate(pickle.loads(probes.read_bytes())):  # noqa: S301 - the test's own file
        try:
            Interpreter(flatbuffer)
        except EdgeAigcError:
            continue
        loaded.append(index)
    return loaded


def distance(found: np.ndarray, expected: np.ndarray) -> tuple[float, float]:
    """Return root mean square and largest difference, in shares of the span of what is expected."""
    if found.shape != expected.shape:
        return np.inf, np.inf
    width = float(np.ptp(expected.astype(np.float64))) or 1.0
    difference = np.abs(found.astype(np.float64) - expected.astype(np.float64)) / width
    difference = np.where(np.isnan(difference), np.inf, difference)
    return float(np.sqrt(np.mean(difference**2))), float(difference.max())


if __name__ == "__main__":
    action, path = sys.argv[1:]
    result = {"run": run, "listed": listed}[action](Path(path))
    sys.stdout.write(f"RESULT {json.dumps(result)}\n")
