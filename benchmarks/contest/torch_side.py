"""The suite's end of the pipe to PyTorch."""

from __future__ import annotations

import importlib.util
import os
import sys
from typing import TYPE_CHECKING

import numpy as np

from contest.side import Side
from edge_aigc.errors import RuntimeMissingError

if TYPE_CHECKING:
    from pathlib import Path

    from generators.net import Array

    from contest.forms import Forms

VARIABLE = "EDGE_AIGC_TORCH_PYTHON"
"""Names a Python that has torch, where this one has not."""


class TorchSide(Side):
    """A context: the process lives as long as it."""

    def __init__(self, python: str) -> None:
        """Start it."""
        super().__init__(python, "contest.torch_worker", what="PyTorch", without=" with `--without-torch`")
        self.missing: dict[str, str] = {}
        self.onnx: dict[str, Path] = {}
        self.release = ""

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
