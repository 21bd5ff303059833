"""Step graphs in few bits: what a quantized step hands on to the next one still tells the same story."""

from __future__ import annotations

import numpy as np
import pytest
from test_loops_keras import MODELS, STEPS, loaded, some_tokens

from edge_aigc.converters.graph import inputs_and_outputs, operators
from edge_aigc.converters.loops.wanted import Wanted
from edge_aigc.converters.quantize import Aim, quantize
from edge_aigc.interpreter import Interpreter

ALIKE_DB = {"dynamic": 35, "int8": 25, "mixed": 35}
"""Of the logits after feeding back the state for 24 steps, the span of the float model's as the peak."""


def told(flatbuffer, source, tokens):
    """Return logits and what went into each step, token after token, states fed back."""
    interpreter = Interpreter(flatbuffer)
    left = [np.zeros(fact.shape, fact.dtype) for fact in source.inputs[1:]]
    rows, taken = [], []
    for token in tokens[0]:
        inputs = [np.full((1, 1), token, np.int32), *left]
        taken.append(inputs)
        logits, *left = interpreter.run(inputs)
        rows.append(logits.reshape(-1))
    return np.stack(rows), taken


@pytest.mark.parametrize("name", ["GRU", "LSTM", pytest.param("learnt places, norms before", marks=pytest.mark.heavy)])
def test_a_quantized_step_tells_what_the_float_one_does(name, tmp_path):
    source = loaded(MODELS[name](), tmp_path, Wanted(context=STEPS))
    expected, taken = told(source.flatbuffer, source, some_tokens())
    for recipe, least in ALIKE_DB.items():
        aim = Aim(minimum_db=45.0)
        form = quantize(source.flatbuffer, recipe, calibration=taken, int8_borders=False, aim=aim)
        borders = [tensor.dtype for side in inputs_and_outputs(form) for tensor in side]
        assert set(borders) <= {"FLOAT32", "INT32"}
        assert any(tensor is not None and tensor.dtype == "INT8" for op in operators(form) for tensor in op.inputs)
        found, _ = told(form, source, some_tokens())
        error = np.mean((found - expected) ** 2) / np.ptp(expected) ** 2
        assert -10 * np.log10(error) > least, (recipe, -10 * np.log10(error))
