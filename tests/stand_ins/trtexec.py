"""Stands in for NVIDIA's program: says what a recorded log says; where that passed, writes a stand-in plan.

STAND_IN_LOG: the recorded log. STAND_IN_TRTEXEC, else STAND_IN_TENSORRT: the version that it claims.
STAND_IN_DOES: `hang`, `die`, `write nothing`, or `build another` (a plan that makes something else).
"""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from pathlib import Path


def main(arguments: list[str]) -> int:
    version = os.environ.get("STAND_IN_TRTEXEC") or os.environ.get("STAND_IN_TENSORRT", "10.3.0")
    log = Path(os.environ["STAND_IN_LOG"]).read_text(encoding="utf-8")
    words = f"trtexec {' '.join(arguments)}"
    if arguments == ["--help"]:
        sys.stdout.write(
            f"&&&& RUNNING TensorRT.trtexec [TensorRT v{number(version)}] # {words}\n=== Model Options ===\n"
        )
        return 0
    does = os.environ.get("STAND_IN_DOES", "")
    sys.stdout.write(re.sub(r"\[TensorRT v\d+\](.*?)# .*", rf"[TensorRT v{number(version)}]\1# {words}", log))
    sys.stdout.flush()
    if does == "hang":
        time.sleep(600)
    if does == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if "&&&& PASSED" not in log:
        return 1
    options = dict(word.removeprefix("--").partition("=")[::2] for word in arguments)
    onnx = Path(options["onnx"]).read_bytes()
    if does == "build another":
        onnx = changed(onnx)
    plan = b"" if does == "write nothing" else b"stand-in plan " + version.encode() + b"\n" + onnx
    Path(options["saveEngine"]).write_bytes(plan)
    return 0


def number(version: str) -> str:
    major, minor, patch = (int(part) for part in version.split("."))
    return f"{major}{minor:02}{patch:02}" if major >= 10 else f"{major}{minor}{patch:02}"


def changed(content: bytes) -> bytes:
    import onnx

    model = onnx.load_from_string(content)
    next(node for node in model.graph.node if node.op_type == "Tanh").op_type = "Sigmoid"
    return bytes(model.SerializeToString())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
