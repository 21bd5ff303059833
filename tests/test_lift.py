"""`lift`: each operator against TFLite's kernels, for one sample and for three at once."""

from __future__ import annotations

import lift_cases
import lift_elementwise
import lift_maps
import lift_moves
import pytest

from edge_aigc.converters.lift.table import OPERATORS
from tests.lifting import assert_parity

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


@pytest.mark.parametrize("name", CASES)
def test_an_operator_makes_what_tflite_makes(name):
    case = CASES[name]
    assert_parity(case.graph, [case.draw(seed) for seed in range(3)])


def test_every_operator_has_a_case():
    assert {name.partition(" ")[0] for name in CASES} == set(OPERATORS)
    for name, case in CASES.items():
        assert name.partition(" ")[0] in {node.kind for node in case.graph.nodes}
