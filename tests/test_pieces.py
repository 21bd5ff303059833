"""A flatbuffer cut into operators: each runs alone, and equal ones are the same bytes."""

from __future__ import annotations

import numpy as np
import pytest
from bundles import DATA

from edge_aigc.converters.costs.pieces import pieces
from edge_aigc.converters.graph import inputs_and_outputs, operators, parse, serialize
from edge_aigc.converters.quantize import quantize
from edge_aigc.interpreter import Interpreter

RECIPES = ("float32", "float16", "dynamic", "int8")


@pytest.fixture(scope="module", params=["tiny.tflite", "negative.tflite"])
def source(request):
    return (DATA / request.param).read_bytes()


def in_recipe(flatbuffer, recipe):
    inputs, _ = inputs_and_outputs(flatbuffer)
    samples = [[np.full(tensor.shape, 0.5, np.float32) for tensor in inputs]]
    return quantize(flatbuffer, recipe, calibration=samples, int8_borders=False)


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_piece_runs_alone(source, recipe):
    for piece in pieces(in_recipe(source, recipe)):
        interpreter = Interpreter(piece.flatbuffer)
        made = interpreter.run([np.zeros(info.shape, info.dtype) for info in interpreter.inputs])
        assert [array.shape for array in made] == [value.shape for value in piece.node.outputs]


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_pieces_are_the_operators_that_compute(source, recipe):
    flatbuffer = in_recipe(source, recipe)
    unpacking = recipe == "float16"
    kinds = [operator.kind for operator in operators(flatbuffer) if not (unpacking and operator.kind == "DEQUANTIZE")]
    assert [piece.node.kind for piece in pieces(flatbuffer)] == kinds


def test_other_weights_and_names_give_the_same_pieces(source):
    model = parse(source)
    for buffer in model.buffers:
        if buffer.data is not None and len(buffer.data) > 64:
            buffer.data = bytes(np.roll(np.frombuffer(bytes(buffer.data), np.uint8), 4))
    for tensor in model.subgraphs[0].tensors:
        tensor.name = b"other/" + tensor.name
    assert [p.flatbuffer for p in pieces(serialize(model))] == [p.flatbuffer for p in pieces(source)]


def test_another_recipe_gives_other_pieces():
    source = (DATA / "tiny.tflite").read_bytes()
    float32 = {piece.flatbuffer for piece in pieces(source) if piece.node.weights is not None}
    dynamic = {piece.flatbuffer for piece in pieces(in_recipe(source, "dynamic")) if piece.node.weights is not None}
    assert float32
    assert not float32 & dynamic
