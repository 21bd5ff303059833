"""The suite's end of the pipe to tflite-runtime, which wants an older NumPy than what converts."""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
import venv
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from contest.side import Side
from edge_aigc.converters.compat import LAST_TFLITE
from edge_aigc.errors import RuntimeMissingError
from edge_aigc.files import cache_folder

if TYPE_CHECKING:
    from collections.abc import Mapping

    from generators.net import Array

    from contest.forms import Forms

VARIABLE = "EDGE_AIGC_TFLITE_PYTHON"
"""Names a Python that has tflite-runtime and msgspec; without it an environment is made in the cache folder, once."""
_WANTED = (f"tflite-runtime=={LAST_TFLITE}", "numpy<2", "msgspec>=0.19")


class TfliteSide(Side):
    """A context: the process lives as long as it."""

    def __init__(self, python: str) -> None:
        """Start it."""
        super().__init__(python, "contest.tflite_worker", what="tflite-runtime", without="")
        self._folder = tempfile.TemporaryDirectory()
        self.missing: dict[str, str] = {}
        """Why forms were refused, by name."""

    def __exit__(self, *exc: object) -> None:
        super().__exit__(*exc)
        self._folder.cleanup()

    def load(self, flatbuffers: Mapping[str, bytes], forms: Forms) -> dict[str, list[Array]]:
        """Load forms of a net in place of those before, and return the outputs of each that is not refused."""
        folder = Path(self._folder.name)
        np.savez(
            folder / "inputs.npz", **dict(zip((fact.name for fact in forms.net.inputs), forms.inputs, strict=True))
        )
        for name, flatbuffer in flatbuffers.items():
            (folder / f"{name}.tflite").write_bytes(flatbuffer)
        self.missing = self._ask(do="load", folder=str(folder), forms=list(flatbuffers))["refused"]
        outputs = {}
        for name in flatbuffers:
            if name not in self.missing:
                with np.load(folder / f"{name}.npz") as kept:
                    outputs[name] = [kept[f"arr_{index}"] for index in range(len(kept.files))]
        return outputs


def tflite_python() -> str:
    """Return a Python that has tflite-runtime.

    Raises:
        RuntimeMissingError: None is named, and an environment cannot be made.
    """
    if named := os.environ.get(VARIABLE):
        return named
    key = hashlib.sha256("\n".join(_WANTED).encode()).hexdigest()[:16]
    place = cache_folder() / "environments" / f"suite-{key}"
    python = place / "bin" / "python"
    if not (place / "ready").exists():
        venv.create(place, with_pip=True, clear=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *_WANTED]
        done = subprocess.run(pip, check=False, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeMissingError(
                f"tflite-runtime cannot be installed for this Python: {done.stderr.strip().splitlines()[-1]}.",
                remedy=f"Install {', '.join(_WANTED)} under Python 3.11 or older; name that Python with {VARIABLE}.",
            )
        (place / "ready").touch()
    return str(python)
