"""Every kind of operator that we quantize, on the real wheels: each runs what the table says that it runs, right."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from quantizer_cases import case
from test_compat_loaded import WHEELS, loaded, python_of, save

from edge_aigc.converters import compat
from edge_aigc.converters.quantizer.calibration import Calibration
from edge_aigc.converters.quantizer.kinds import KINDS
from edge_aigc.converters.recipes import Recipe
from edge_aigc.interpreter import Interpreter

pytestmark = pytest.mark.heavy

ROWS = [(kind, dtype) for kind, row in KINDS.items() for dtype in sorted(row.types)]
OLDER = compat.Wheel(runtime="litert", release="2.1.0")
"""Wrong in silence in int8 BATCH_MATMUL: the table knows, and the planner leaves it float for older kernels."""
RIGHT = 0.04
"""Largest difference from the float operator, in shares of its range."""


def written(kind, dtype, folder):
    """Return a narrow form of one operator, and a file with what the float one makes of its inputs."""
    net = case(kind, 7)
    types = {"INT8": "int8", "INT16": "int16x8"}[dtype]
    form = (
        Calibration(net.flatbuffer, net.samples).quantized(Recipe(name="test", types=types, borders=dtype)).flatbuffer
    )
    inputs = net.samples[0]
    file = folder / f"{kind}-{dtype}.npz"
    save(file, form, inputs, Interpreter(net.flatbuffer).run(inputs))
    return form, file


@pytest.mark.parametrize("wheel", [*WHEELS, OLDER], ids=str)
def test_a_wheel_computes_each_kind_right_or_the_table_says_that_it_does_not(wheel, tmp_path):
    python_of(wheel)
    forms = {row: written(*row, tmp_path) for row in ROWS}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = dict(zip(ROWS, pool.map(lambda row: loaded(wheel, "run", forms[row][1]), ROWS), strict=True))
    surprises = []
    for row, result in results.items():
        runs = "refused" not in result and result["largest"] <= RIGHT
        predicted = [need.reason for need in compat.incompatibilities(forms[row][0], wheel)]
        if runs == bool(predicted):
            surprises.append((*row, predicted, result))
    assert not surprises
    assert np.mean(["refused" not in result for result in results.values()]) > 0.9
