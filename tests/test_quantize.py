"""Recipes on what is not a plain chain of operators: models with loops."""

from __future__ import annotations

import numpy as np
import pytest
import small_nets

from edge_aigc.converters.graph import operators_of, parse
from edge_aigc.converters.quantize import quantize
from edge_aigc.errors import ConversionError
from edge_aigc.interpreter import Interpreter


@pytest.fixture(scope="module")
def loop():
    return small_nets.net("gru")


def test_weights_in_the_body_of_a_loop_are_halved_and_their_values_kept_where_they_are_read(loop):
    half = quantize(loop.flatbuffer, "float16", calibration=[], int8_borders=False)
    model = parse(half)
    assert "DEQUANTIZE" in {operator.kind for operator in operators_of(model, 2)}
    assert len(half) < len(loop.flatbuffer)
    for sample in loop.samples[:3]:
        difference = Interpreter(half).run(sample)[0] - Interpreter(loop.flatbuffer).run(sample)[0]
        assert 0 < np.abs(difference).max() < 1e-2


def test_a_model_with_loops_is_not_made_int8_by_a_quantizer_that_crashes_on_it(loop):
    with pytest.raises(ConversionError, match="with loops") as caught:
        quantize(loop.flatbuffer, "int8", calibration=[list(loop.samples[0])], int8_borders=False)
    assert "unroll=True" in caught.value.remedy
