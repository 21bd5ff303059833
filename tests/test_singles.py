"""A flatbuffer taken apart: what runs as one stays together, what is equal has equal bytes."""

from __future__ import annotations

import numpy as np
import pytest
from bundles import DATA

from edge_aigc.converters import graph
from edge_aigc.converters.costs.canonical import standardize
from edge_aigc.converters.costs.singles import split
from edge_aigc.converters.quantize import quantize
from edge_aigc.interpreter import Interpreter

TINY = (DATA / "tiny.tflite").read_bytes()
RECIPES = ("float32", "float16", "dynamic", "int8")


def in_recipe(flatbuffer, recipe):
    inputs, _ = graph.inputs_and_outputs(flatbuffer)
    samples = [[np.full(tensor.shape, 0.5, np.float32) for tensor in inputs]]
    return quantize(flatbuffer, recipe, calibration=samples, int8_borders=False)


def chain(*kinds, elements=64, uses_all=False):
    """A float model of operators with one input each, one after another."""
    model = graph.empty()
    subgraph = model.subgraphs[0]
    values = [graph.add_tensor(subgraph, "x", [1, elements], "FLOAT32", 0)]
    for position, kind in enumerate(kinds):
        values.append(graph.add_tensor(subgraph, kind, [1, elements], "FLOAT32", 0))
        code = graph.operator_code(model, kind, 1)
        inputs = [values[-2]] * (2 if kind in {"ADD", "MUL"} else 1)
        graph.add_operator(subgraph, code, inputs, [values[-1]], position)
    subgraph.inputs, subgraph.outputs = values[:1], values[1:] if uses_all else values[-1:]
    return graph.serialize(model)


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_single_runs_alone(recipe):
    for single in split(in_recipe(TINY, recipe)):
        interpreter = Interpreter(single.flatbuffer)
        made = interpreter.run([np.zeros(info.shape, info.dtype) for info in interpreter.inputs])
        assert made[0].shape == single.shape


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_operator_that_runs_is_in_one_single(recipe):
    flatbuffer = in_recipe(TINY, recipe)
    kinds = [operator.kind for operator in graph.operators(flatbuffer)]
    once = {i for i, o in enumerate(graph.operators(flatbuffer)) if o.kind == "DEQUANTIZE" and o.inputs[0].constant}
    positions = [position for single in split(flatbuffer) for position in single.positions]
    assert sorted(positions) == [i for i in range(len(kinds)) if i not in once]
    assert (recipe == "float16") == bool(once)


def test_an_activation_stays_with_what_makes_its_input():
    assert [single.kind for single in split(chain("ADD", "RELU", "TANH"))] == ["ADD+RELU", "TANH"]
    assert [single.kind for single in split(chain("ADD", "RELU"), fused=False)] == ["ADD", "RELU"]
    # Somebody else needs the sum itself: XNNPACK cannot fuse.
    assert [single.kind for single in split(chain("ADD", "RELU", uses_all=True))] == ["ADD", "RELU"]


def test_equal_operators_have_equal_keys_and_others_do_not():
    first, second, third = split(chain("NEG", "NEG", "ABS"))
    assert first.key == second.key
    assert first.flatbuffer == second.flatbuffer
    assert first.key != third.key
    assert first.key != split(chain("NEG", elements=65))[0].key
    assert (first.elements_in, first.elements_out) == ((64,), (64,))


def test_leave_to_compute_in_float16_is_part_of_what_an_operator_is():
    allowed = graph.parse(chain("NEG"))
    graph.set_metadata(allowed, "reduced_precision_support", b"fp16accfp16")
    graph.set_metadata(allowed, "min_runtime_version", b"1.5.0")
    (single,) = split(graph.serialize(allowed))
    assert graph.metadata(single.flatbuffer) == {"reduced_precision_support": b"fp16accfp16"}
    assert single.key != split(chain("NEG"))[0].key


def test_ranges_and_weights_make_no_difference_but_equal_ranges_stay_equal():
    int8 = in_recipe(TINY, "int8")
    model = graph.parse(int8)
    for tensor in model.subgraphs[0].tensors:
        quantization = tensor.quantization
        if quantization is None or quantization.scale is None or 1 / 128 in quantization.scale:
            continue  # not quantized, or what tanh prescribes
        quantization.scale = [float(scale) * 1.01 for scale in quantization.scale]
        if graph.type_of(tensor) == "INT8" and model.buffers[tensor.buffer].data is None:
            quantization.zeroPoint = [int(point) ^ 1 for point in quantization.zeroPoint]
    for single in split(int8):
        assert len({single.key, split(single.flatbuffer)[0].key}) == 1, "the standard form of itself"
    assert [single.key for single in split(graph.serialize(model))] == [single.key for single in split(int8)]
    reshape = next(single for single in split(int8) if single.kind == "RESHAPE")
    interpreter = Interpreter(reshape.flatbuffer)
    assert interpreter.inputs[0].scale == interpreter.outputs[0].scale


def test_shapes_and_axes_are_never_taken_for_weights():
    model = graph.parse(TINY)
    shapes = {t.name: None for t in model.subgraphs[0].tensors if graph.type_of(t) == "INT32"}
    before = [bytes(model.buffers[t.buffer].data) for t in model.subgraphs[0].tensors if t.name in shapes]
    standardize(model)
    after = [
        bytes(model.buffers[t.buffer].data)
        for t in model.subgraphs[0].tensors
        if graph.type_of(t) == "INT32" and model.buffers[t.buffer].data is not None
    ]
    assert before
    assert after == before
