"""ONNX files brought to the float flatbuffer, and what is refused of them."""

from __future__ import annotations

import numpy as np
import onnx_sources
import pytest

from edge_aigc.converters.graph import operators
from edge_aigc.converters.sources.load import load
from edge_aigc.converters.sources.source import Wish
from edge_aigc.errors import ConversionError, SourceError
from edge_aigc.interpreter import Interpreter


def _one(folder, nodes, constants, *, shape=(1, 3, 8, 8), outputs=("y",), opset=onnx_sources.OPSET):
    made = onnx_sources.model(nodes, {"x": shape}, outputs, constants, opset=opset)
    return onnx_sources.saved(made, folder / "net.onnx")


def _largest_error(source):
    rng = np.random.default_rng(2)
    sample = [rng.standard_normal(fact.shape).astype(fact.dtype) for fact in source.inputs]
    ((*expected,),) = source.reference([sample])
    found = Interpreter(source.flatbuffer).run(sample)
    return max(float(np.abs(a - b).max() / np.ptp(a)) for a, b in zip(expected, found, strict=True))


def test_a_dcgan_comes_out_with_its_channels_last_and_no_transposition(tmp_path):
    source = load(onnx_sources.dcgan(tmp_path))
    assert [(fact.name, fact.shape) for fact in source.inputs] == [("latent", (1, 1, 1, 16))]
    assert [(fact.name, fact.shape, fact.activation) for fact in source.outputs] == [("image", (1, 16, 16, 3), "tanh")]
    assert "TRANSPOSE" not in [entry.kind for entry in operators(source.flatbuffer)]
    assert _largest_error(source) < 1e-5
    assert source.framework.startswith("onnx ")


def test_a_unet_with_a_skip_comes_out_without_a_transposition(tmp_path):
    source = load(onnx_sources.unet(tmp_path))
    assert source.outputs[0].shape == (1, 16, 16, 3)
    assert source.outputs[0].activation == "sigmoid"
    assert "TRANSPOSE" not in [entry.kind for entry in operators(source.flatbuffer)]
    assert _largest_error(source) < 1e-5


def test_the_same_file_gives_the_same_bytes(tmp_path):
    path = onnx_sources.dcgan(tmp_path)
    assert load(path).flatbuffer == load(path).flatbuffer


def test_an_open_size_asks_for_the_flag_and_takes_it(tmp_path):
    path = onnx_sources.unet(tmp_path, side="side")
    with pytest.raises(SourceError, match="--input-size"):
        load(path)
    source = load(path, Wish(input_size=(12, 20)))
    assert source.inputs[0].shape == (1, 12, 20, 3)
    assert source.inputs[0].open_size
    assert _largest_error(source) < 1e-5


def test_a_stated_shape_must_fit_the_model(tmp_path):
    path = onnx_sources.unet(tmp_path, side="side")
    assert load(path, Wish(input_shapes=((1, 3, 8, 16),))).inputs[0].shape == (1, 8, 16, 3)
    with pytest.raises(SourceError, match="the model takes"):
        load(path, Wish(input_shapes=((1, 4, 8, 16),)))


def test_an_operator_that_is_not_translated_is_named_with_its_place(tmp_path):
    nodes = [("Relu", ["x"], ["a"]), ("NonZero", ["a"], ["b"]), ("Cast", ["b"], ["y"], {"to": 1})]
    with pytest.raises(ConversionError, match=r"NonZero \(named 'NonZero_1'\)"):
        load(_one(tmp_path, nodes, {}))


def test_weights_that_are_no_numbers_are_named(tmp_path):
    weights = onnx_sources.weights(4, 3, 1, 1)
    weights[0, 0, 0, 0] = np.nan
    with pytest.raises(ConversionError, match="'kernel'"):
        load(_one(tmp_path, [("Conv", ["x", "kernel"], ["y"])], {"kernel": weights}))


def test_an_infinity_that_no_weight_holds_may_be_meant(tmp_path):
    mask = np.where(np.arange(8) > 5, -np.inf, 0).astype(np.float32)
    nodes = [("Add", ["x", "mask"], ["a"]), ("Softmax", ["a"], ["y"], {"axis": -1})]
    assert _largest_error(load(_one(tmp_path, nodes, {"mask": mask}))) < 1e-5


@pytest.mark.parametrize(("opset", "word"), [(99, "opset 99"), (6, "opset 6")])
def test_an_opset_that_is_not_known_is_refused_with_the_known_ones(tmp_path, opset, word):
    path = _one(tmp_path, [("Relu", ["x"], ["y"])], {}, opset=opset)
    with pytest.raises(SourceError, match=word) as caught:
        load(path)
    assert "7 to 24" in caught.value.message


def test_a_fixed_batch_other_than_1_is_refused(tmp_path):
    with pytest.raises(SourceError, match="fixed batch of 4"):
        load(_one(tmp_path, [("Relu", ["x"], ["y"])], {}, shape=(4, 3, 8, 8)))


def test_weights_of_two_gigabytes_are_refused_before_anything_is_made(tmp_path, monkeypatch):
    from edge_aigc.converters.sources import source

    monkeypatch.setattr(source, "LIMIT_BYTES", 10_000)
    with pytest.raises(ConversionError, match="B of weights; a flatbuffer holds less than 10,000 B"):
        load(onnx_sources.dcgan(tmp_path))


def test_a_damaged_file_is_refused(tmp_path):
    path = onnx_sources.dcgan(tmp_path)
    content = path.read_bytes()
    for damaged in (content[: len(content) // 2], b"", content[:100] + b"\xff" * 80 + content[180:]):
        path.write_bytes(damaged)
        with pytest.raises(SourceError, match="not an ONNX model"):
            load(path)


def test_a_constant_output_is_refused(tmp_path):
    nodes = [("Relu", ["x"], ["y"]), ("Identity", ["fixed"], ["z"])]
    with pytest.raises(ConversionError, match="constant"):
        load(_one(tmp_path, nodes, {"fixed": np.ones((1, 4), np.float32)}, outputs=("y", "z")))


def _noisy(folder, *, side=8):
    """A net that adds noise to its maps and mixes two pictures by chance, as exporters write it."""
    nodes = [
        ("Conv", ["x", "w"], ["a"], {"pads": [1, 1, 1, 1]}),
        ("RandomNormalLike", ["a"], ["n"], {"mean": 0.5, "scale": 2.0}),
        ("Add", ["a", "n"], ["b"]),
        ("RandomUniform", [], ["u"], {"shape": [1, 1, 8, 8], "low": -1.0, "high": 1.0}),
        ("Mul", ["b", "u"], ["c"]),
        ("RandomNormal", [], ["e"], {"shape": [1, 3, 1, 1]}),
        ("Add", ["c", "e"], ["d"]),
        ("Tanh", ["d"], ["y"]),
    ]
    return _one(folder, nodes, {"w": onnx_sources.weights(3, 3, 3, 3) / 4}, shape=(1, 3, side, side))


def test_random_numbers_become_inputs_with_a_prior(tmp_path):
    source = load(_noisy(tmp_path))
    assert [(fact.name, fact.shape, fact.prior) for fact in source.inputs] == [
        ("x", (1, 8, 8, 3), None),
        ("noise", (1, 8, 8, 3), "normal"),
        ("noise_2", (1, 8, 8, 1), "uniform"),
        ("noise_3", (1, 1, 1, 3), "normal"),
    ]
    assert _largest_error(source) < 1e-5
    kinds = {entry.kind for entry in operators(source.flatbuffer)}
    assert not any(kind.startswith("RANDOM") for kind in kinds)


def test_random_numbers_have_the_size_that_the_user_states(tmp_path):
    path = _noisy(tmp_path)
    import onnx

    model = onnx.load(path)
    for node in list(model.graph.node):
        if node.op_type == "RandomUniform":
            node.ClearField("attribute")
            node.op_type, node.input[:] = "RandomUniformLike", ["b"]
    for axis in (2, 3):
        model.graph.input[0].type.tensor_type.shape.dim[axis].Clear()
        model.graph.input[0].type.tensor_type.shape.dim[axis].dim_param = f"side{axis}"
    del model.graph.value_info[:]
    onnx_sources.saved(model, path)
    source = load(path, Wish(input_size=(6, 10)))
    assert [fact.shape for fact in source.inputs[:3]] == [(1, 6, 10, 3)] * 3
    assert _largest_error(source) < 1e-5
