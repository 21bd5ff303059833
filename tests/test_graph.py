"""The flatbuffer read, edited and written back."""

from __future__ import annotations

import nets
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from edge_aigc.converters.float16 import to_float16
from edge_aigc.converters.graph import inputs_and_outputs, name_borders, operators, parse, serialize
from edge_aigc.converters.sources.keras import load_keras
from edge_aigc.converters.targets.xnnpack import Xnnpack
from edge_aigc.errors import CompatibilityError, ConversionError
from edge_aigc.interpreter import Interpreter


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return load_keras(nets.gan(tmp_path_factory.mktemp("net")))


@pytest.fixture
def inputs():
    dice = np.random.default_rng(0)
    return [dice.standard_normal((1, 8)).astype(np.float32), np.eye(3, dtype=np.float32)[[1]]]


def data_offsets(flatbuffer):
    """Return where the data of every buffer starts within the file."""
    root = schema.Model.GetRootAs(flatbuffer, 0)
    start = np.frombuffer(flatbuffer, np.uint8).__array_interface__["data"][0]
    buffers = [root.Buffers(index) for index in range(root.BuffersLength())]
    return [b.DataAsNumpy().__array_interface__["data"][0] - start for b in buffers if not b.DataIsNone()]


def test_writing_back_changes_nothing_that_runs(source, inputs):
    again = serialize(parse(source.flatbuffer))
    assert again == serialize(parse(again))
    assert np.array_equal(Interpreter(again).run(inputs)[0], Interpreter(source.flatbuffer).run(inputs)[0])


def test_constants_are_aligned_as_the_schema_demands(source):
    for flatbuffer in (source.flatbuffer, to_float16(source.flatbuffer)):
        offsets = data_offsets(flatbuffer)
        assert offsets
        assert all(offset % 16 == 0 for offset in offsets)


def test_the_flatbuffer_agrees_with_keras(source, inputs):
    ((expected,),) = source.reference([inputs])
    assert np.abs(Interpreter(source.flatbuffer).run(inputs)[0] - expected).max() < 1e-5


def test_borders_carry_the_models_own_names(source):
    taken, made = inputs_and_outputs(source.flatbuffer)
    assert [tensor.name for tensor in taken] == ["latent", "kind"]
    assert [tensor.name for tensor in made] == ["image"]
    renamed = name_borders(source.flatbuffer, ["a", "b"], ["c"])
    assert [tensor.name for tensor in inputs_and_outputs(renamed)[0]] == ["a", "b"]


def test_nothing_in_the_graph_has_an_open_size(source):
    for operator in operators(source.flatbuffer):
        assert operator.kind not in {"SHAPE", "PACK"}
    Xnnpack().check(source.flatbuffer)


def test_float16_rounds_weights_and_only_them(source, inputs):
    half = to_float16(source.flatbuffer)
    kinds = [operator.kind for operator in operators(half)]
    assert kinds.count("DEQUANTIZE") >= 2
    assert [kind for kind in kinds if kind != "DEQUANTIZE"] == [o.kind for o in operators(source.flatbuffer)]
    difference = np.abs(Interpreter(half).run(inputs)[0] - Interpreter(source.flatbuffer).run(inputs)[0])
    # Half precision keeps 11 bits: 2^-12 of each weight, some hundred of them in a sum.
    assert 0 < difference.max() < 1e-3


def test_a_run_time_shape_of_a_transposed_convolution_is_refused(source):
    model = parse(source.flatbuffer)
    for entry, operator in zip(model.subgraphs[0].operators, operators(source.flatbuffer), strict=True):
        if operator.kind == "TRANSPOSE_CONV":
            model.buffers[model.subgraphs[0].tensors[entry.inputs[0]].buffer].data = None
    with pytest.raises(CompatibilityError, match="computes its output shape at run time"):
        Xnnpack().check(serialize(model))


@pytest.mark.parametrize("content", [b"", b"hello world", bytes(64)])
def test_what_is_no_flatbuffer_is_refused(content):
    with pytest.raises(ConversionError, match="not a TFLite flatbuffer"):
        parse(content)
