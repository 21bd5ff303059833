"""An Edge TPU's library for tests: built with the C compiler, loaded by the runtimes as they load the real one."""

from __future__ import annotations

import functools
import struct
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edge_aigc.bundle import read_bundle
from edge_aigc.interpreter import Interpreter
from edge_aigc.priors import draw

if TYPE_CHECKING:
    from collections.abc import Iterable

SOURCE = Path(__file__).parent / "stand_ins" / "libedgetpu.c"


@functools.cache
def library() -> Path:
    """Build the stand-in once and return its path."""
    built = Path(tempfile.mkdtemp(prefix="standin-tpu-")) / "libstandintpu.so"
    subprocess.run(
        ["cc", "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-o", str(built), str(SOURCE)], check=True
    )
    return built


def record(bundle: Path, seeds: Iterable[int], into: Path) -> Path:
    """Write what the bundle's model for the CPU makes of these seeds, which is what the stand-in will answer."""
    opened = read_bundle(bundle)
    interpreter = Interpreter(opened.flatbuffer)
    with into.open("wb") as file:
        for seed in seeds:
            inputs = draw(opened.manifest.spec, seed=seed)
            arrays = [np.ascontiguousarray(inputs[name]) for name in opened.manifest.model.inputs]
            key = b"".join(array.tobytes() for array in arrays)
            answer = b"".join(array.tobytes() for array in interpreter.run(arrays))
            file.write(struct.pack("<II", len(key), len(answer)) + key + answer)
    return into
