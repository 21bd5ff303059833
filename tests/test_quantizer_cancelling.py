"""Sums and differences whose results are tiny beside their operands."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from rewriting import graph_of

from edge_aigc.converters.ir import write
from edge_aigc.converters.quantize import Aim, quantize


@pytest.mark.parametrize(("recipe", "kind"), [(r, k) for r in ("int8", "int16x8") for k in ("ADD", "SUB")])
def test_what_nearly_cancels_does_not_end_the_process(recipe, kind):
    def make(build, x):
        twin = build.mul(x, np.float32(1 + 1e-6))
        y = build.binary(kind, x, twin if kind == "SUB" else build.unary("NEG", twin))
        return build.fully_connected(y, np.eye(8, dtype=np.float32), np.zeros(8, np.float32))

    _runs_beside(graph_of((1, 8), make), recipe)


def test_squares_of_what_lies_close_together_do_not_end_the_process():
    def make(build, x):
        far = build.add(x, np.float32(1e4))
        y = build.binary("SQUARED_DIFFERENCE", far, build.reduce("MEAN", far, [1]))
        return build.fully_connected(y, np.eye(8, dtype=np.float32), np.zeros(8, np.float32))

    _runs_beside(graph_of((1, 8), make), "int8")


def _runs_beside(graph, recipe):
    """Quantize and run in another process: what aborts there does not end the tests."""
    rng = np.random.default_rng(0)
    samples = [[rng.normal(size=(1, 8)).astype(np.float32)] for _ in range(4)]
    made = quantize(write(graph), recipe, calibration=samples, int8_borders=False, aim=Aim(cuts=("min-max",)))
    run = "import sys; from edge_aigc.interpreter import Interpreter; Interpreter(sys.stdin.buffer.read())"
    assert subprocess.run([sys.executable, "-c", run], input=made, check=False).returncode == 0
