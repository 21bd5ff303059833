"""`lift` on JAX and on PyTorch: every operator, whole nets, and the gradients that TensorFlow has."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from environments import clean, environment
from lift_cases import GENERATOR, numbers
from lift_elsewhere import gradients
from lift_nets import graph_of, small

from edge_aigc.converters.ir import write
from edge_aigc.converters.lift import lift
from edge_aigc.converters.rewrites.normalizations import NORMALIZATIONS
from edge_aigc.converters.rewrites.rewrite import normalize

ROOT = Path(__file__).parent.parent
NETS = ("cyclegan-128", "esrgan-x2", "stylegan2-64", "transformer-step", "vqvae-128")


def python_of(backend: str) -> Path:
    """Return an interpreter that has a backend: PyTorch is beside TensorFlow, JAX has an environment of its own."""
    if backend == "torch":
        return Path(sys.executable)
    return environment("jax", "keras>=3.15,<3.16", "ai-edge-litert>=2.3,<2.4")


@pytest.mark.heavy
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_another_backend_computes_what_tflite_and_tensorflow_compute(backend, tmp_path, monkeypatch):
    for name in NETS:
        graph = graph_of(small(name, monkeypatch))
        normalize(graph, NORMALIZATIONS)
        (tmp_path / f"{name}.tflite").write_bytes(write(graph))
    x = numbers(3, 5)
    found = {name: np.asarray(gradient) for name, gradient in gradients(lift(GENERATOR), x).items()}
    np.savez(tmp_path / "gradients.npz", x=x, **found)
    done = subprocess.run(
        [python_of(backend), "-W", "ignore", ROOT / "tests" / "lift_elsewhere.py", tmp_path],
        env=clean(KERAS_BACKEND=backend, PYTHONPATH=os.pathsep.join([str(ROOT), str(ROOT / "tests")])),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.startswith(f"{backend}: ")
