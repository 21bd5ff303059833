"""tflite-runtime's side of the suite: a process in an environment of its own, told what to do by lines of JSON.

It needs tflite-runtime, NumPy before 2 and msgspec. Requests and replies:

    {"do": "load", "folder": FOLDER, "forms": [NAME…]}   FOLDER/NAME.tflite, FOLDER/inputs.npz
        -> {"refused": {NAME: REASON}}                   FOLDER/NAME.npz, the outputs
    {"do": "time", "form": NAME, "seconds": AT_MOST, "most": ROUNDS}   -> {"ms": [FLOAT…]}

A request that fails is answered with {"error": WORDS}. It ends with its standard input.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from contest.clock import timed
from edge_aigc.errors import BundleError
from edge_aigc.interpreter import Interpreter


def load(folder: Path, names: list[str]) -> tuple[dict[str, Interpreter], dict[str, str]]:
    """Return the forms that this runtime takes, their outputs written, and why it refuses the others."""
    with np.load(folder / "inputs.npz") as kept:
        inputs = dict(kept)
    ready: dict[str, Interpreter] = {}
    refused: dict[str, str] = {}
    for name in names:
        try:
            interpreter = Interpreter((folder / f"{name}.tflite").read_bytes(), runtime="tflite")
        except BundleError as exc:
            refused[name] = exc.message
            continue
        np.savez(folder / f"{name}.npz", *interpreter.run([inputs[info.name] for info in interpreter.inputs]))
        ready[name] = interpreter
    return ready, refused


def answer(request: dict[str, Any], ready: dict[str, Interpreter]) -> dict[str, Any]:
    """Return the reply; what is loaded is kept in `ready`."""
    if request["do"] == "load":
        ready.clear()
        loaded, refused = load(Path(request["folder"]), request["forms"])
        ready.update(loaded)
        return {"refused": refused}
    return {"ms": timed(ready[request["form"]].invoke, seconds=request["seconds"], most=request["most"])}


def main() -> None:
    """Answer line by line."""
    replies, sys.stdout = sys.stdout, sys.stderr  # whatever libraries print is no reply
    ready: dict[str, Interpreter] = {}
    for line in sys.stdin:
        try:
            reply = answer(json.loads(line), ready)
        except Exception as exc:  # noqa: BLE001 - the suite decides
            reply = {"error": f"{type(exc).__name__}: {exc}"}
        print(json.dumps(reply), file=replies, flush=True)


if __name__ == "__main__":
    main()
