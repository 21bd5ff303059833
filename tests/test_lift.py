"""`lift`: each operator against TFLite's kernels, for one sample and for three at once."""

from __future__ import annotations

import lift_cases
import lift_elementwise
import lift_maps
import lift_moves
import numpy as np
import pytest

from edge_aigc.converters.ir import write
from edge_aigc.converters.lift import lift
from edge_aigc.converters.lift.table import OPERATORS
from edge_aigc.interpreter import Interpreter

CASES = {
    name: case
    for family in (
        lift_cases.convolutions,
        lift_cases.products,
        lift_elementwise.elementwise,
        lift_moves.shapes,
        lift_moves.lookups,
        lift_maps.maps,
        lift_maps.sums,
    )
    for name, case in family()
}


def assert_parity(graph, draws, tolerance=1e-5):
    """Hold the lifted graph against the interpreter, sample by sample and all at once."""
    interpreter, lifted = Interpreter(write(graph)), lift(graph)
    expected = [[np.array(output) for output in interpreter.run(draw)] for draw in draws]
    together = lifted([np.concatenate([np.atleast_1d(x) for x in inputs]) for inputs in zip(*draws, strict=True)])[0]
    alone = lifted([np.atleast_1d(x) for x in draws[0]])[0]
    for place, outputs in enumerate(zip(*expected, strict=True)):
        wanted = np.concatenate([np.atleast_1d(output) for output in outputs])
        assert_near(np.asarray(together[place]), wanted, tolerance)
        assert_near(np.asarray(alone[place]), np.atleast_1d(outputs[0]), tolerance)


def assert_near(found, wanted, tolerance):
    assert found.shape == wanted.shape
    assert found.dtype == wanted.dtype
    span = float(np.ptp(wanted.astype(np.float64))) or float(np.abs(wanted).max()) or 1.0
    assert np.abs(found.astype(np.float64) - wanted.astype(np.float64)).max() <= tolerance * span


@pytest.mark.parametrize("name", CASES)
def test_an_operator_makes_what_tflite_makes(name):
    case = CASES[name]
    assert_parity(case.graph, [case.draw(seed) for seed in range(3)])


def test_every_operator_has_a_case():
    assert {name.partition(" ")[0] for name in CASES} == set(OPERATORS)
    for name, case in CASES.items():
        assert name.partition(" ")[0] in {node.kind for node in case.graph.nodes}
