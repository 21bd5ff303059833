"""The suite's end of the pipe to PyTorch, which runs in a process of its own: it may live in another environment."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_aigc.errors import RuntimeMissingError

if TYPE_CHECKING:
    from generators.net import Array
    from typing_extensions import Self

    from contest.forms import Forms

BENCHMARKS = Path(__file__).resolve().parents[1]
VARIABLE = "EDGE_AIGC_TORCH_PYTHON"
"""Names a Python that has torch, where this one has not."""


class TorchSide:
    """A context: the process lives as long as it."""

    def __init__(self, python: str) -> None:
        """Start it."""
        search = [str(BENCHMARKS), str(BENCHMARKS.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
        self._process = subprocess.Popen(
            [python, "-m", "contest.torch_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(search), "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
        )
        self.missing: dict[str, str] = {}
        self.onnx: dict[str, Path] = {}
        self.release = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.__exit__(None, None, None)  # closes the pipes and waits: the worker ends with its input

    def load(self, forms: Forms) -> tuple[list[str], list[Array]]:
        """Build a net there, and write it as ONNX beside its other forms.

        Returns:
            The names of the forms that can be timed, and the outputs of the first, channels last.
        """
        inputs, outputs = forms.folder / "inputs.npz", forms.folder / "torch.npz"
        np.savez(inputs, *forms.inputs)
        told = self._ask(
            do="load", net=forms.net.name, inputs=str(inputs), outputs=str(outputs), onnx=str(forms.folder)
        )
        self.release, self.missing = told["torch"], told["missing"]
        self.onnx = {name.removesuffix(".onnx"): forms.folder / name for name in told["onnx"]}
        with np.load(outputs) as kept:
            return told["forms"], [kept[f"arr_{index}"] for index in range(len(kept.files))]

    def time(self, form: str, *, seconds: float, most: int) -> list[float]:
        """Return milliseconds of some runs of a form, measured there."""
        return list(self._ask(do="time", form=form, seconds=seconds, most=most)["ms"])

    def _ask(self, **request: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(request), file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        reply: dict[str, Any] = json.loads(line) if line else {"error": f"it ended with {self._process.wait()}"}
        if "error" in reply:
            raise RuntimeMissingError(
                f"PyTorch's side failed at {request}: {reply['error']}.",
                remedy="Run `python -m contest.torch_worker` by hand, or leave PyTorch out with `--without-torch`.",
            )
        return reply


def torch_python() -> str:
    """Return a Python that has torch.

    Raises:
        RuntimeMissingError: None is known.
    """
    if named := os.environ.get(VARIABLE):
        return named
    if importlib.util.find_spec("torch") is not None:
        return sys.executable
    raise RuntimeMissingError(
        "PyTorch is not installed here, and the suite compares with it.",
        remedy="Install it (`pip install 'edge-aigc[torch]' h5py`)"
        f" here, or elsewhere and name that Python with {VARIABLE}; or leave it out: `--without-torch`.",
    )
