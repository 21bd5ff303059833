"""ONNX operators translated to the flatbuffer, channels last: equal to ONNX Runtime."""

from __future__ import annotations

import numpy as np
import onnx_sources
import pytest

from edge_aigc.converters.graph import operators
from edge_aigc.converters.sources.translate.walk import translate
from edge_aigc.interpreter import Interpreter

CASES = onnx_sources.cases()


def _compared(model, inputs):
    """Return the flatbuffer and the largest error of its outputs, of their range."""
    import onnxruntime

    rng = np.random.default_rng(1)
    samples = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in inputs.items()}
    expected = onnxruntime.InferenceSession(model.SerializeToString()).run(None, samples)
    wanted = {name: (shape, "FLOAT32") for name, shape in inputs.items()}
    names = [f"y{place}" for place in range(len(expected))]
    made = translate(model, wanted, (list(inputs), names))
    given = [x.transpose(order) for x, order in zip(samples.values(), made.inputs, strict=True)]
    found = Interpreter(made.flatbuffer).run([np.ascontiguousarray(x) for x in given])
    worst = 0.0
    for theirs, ours, order in zip(expected, found, made.outputs, strict=True):
        turned = theirs.transpose(order)
        assert turned.shape == ours.shape
        worst = max(worst, float(np.abs(turned - ours).max() / (np.ptp(turned) or 1)))
    return made, worst


@pytest.mark.parametrize("name", CASES)
def test_an_operator_makes_what_onnx_runtime_makes(name):
    case = CASES[name]
    _, worst = _compared(onnx_sources.one(case), case[2])
    assert worst < 1e-6


@pytest.mark.parametrize(
    "name", ["Conv", "Resize nearest", "Concat", "Pad reflect", "DepthToSpace CRD", "Mul channels"]
)
def test_a_picture_goes_through_with_its_channels_last_and_no_transposition(name):
    case = CASES[name]
    kind, attributes, inputs, constants = case
    width = next(iter(inputs.values()))[1]
    nodes, held = [], {}
    for entry in inputs:
        held[f"in_{entry}"] = onnx_sources.weights(width, width, 1, 1)
        nodes.append(("Conv", [entry, f"in_{entry}"], [f"{entry}_"]))
    names = [f"{entry}_" for entry in inputs]
    for place, value in enumerate(constants):
        names.append("" if value is None else f"constant{place}")
        if value is not None:
            held[f"constant{place}"] = value
    model = onnx_sources.model([*nodes, (kind, names, ["made"], attributes)], inputs, ["made"], held)
    made, worst = _compared(model, inputs)
    assert worst < 1e-6
    assert all(order == (0, 2, 3, 1) for order in (*made.inputs, *made.outputs))
    assert "TRANSPOSE" not in [entry.kind for entry in operators(made.flatbuffer)]


def test_attention_over_a_picture_keeps_its_channels_last():
    """As SAGAN writes it: queries and keys flattened, turned and multiplied."""
    nodes = [
        ("Conv", ["x", "q"], ["query"]),
        ("Conv", ["x", "k"], ["key"]),
        ("Conv", ["x", "v"], ["value"]),
        ("Reshape", ["query", "flat"], ["query_"]),
        ("Transpose", ["query_"], ["query__"], {"perm": [0, 2, 1]}),
        ("Reshape", ["key", "flat"], ["key_"]),
        ("MatMul", ["query__", "key_"], ["energy"]),
        ("Softmax", ["energy"], ["attention"], {"axis": -1}),
        ("Transpose", ["attention"], ["turned"], {"perm": [0, 2, 1]}),
        ("Reshape", ["value", "flat"], ["value_"]),
        ("MatMul", ["value_", "turned"], ["seen"]),
        ("Shape", ["x"], ["shape"]),
        ("Reshape", ["seen", "shape"], ["seen_"]),
        ("Add", ["seen_", "x"], ["y"]),
    ]
    held = {name: onnx_sources.weights(6, 6, 1, 1) for name in "qkv"} | {"flat": np.array([0, 6, -1], np.int64)}
    inputs = {"x": (1, 6, 4, 5)}
    made, worst = _compared(onnx_sources.model(nodes, inputs, ["y"], held), inputs)
    assert worst < 1e-6
    assert "TRANSPOSE" not in [entry.kind for entry in operators(made.flatbuffer)]


def test_a_group_norm_written_as_reshapes_around_an_instance_norm_moves_nothing():
    nodes = [
        ("Conv", ["x", "w"], ["a"]),
        ("Reshape", ["a", "grouped"], ["b"]),
        ("InstanceNormalization", ["b", "ones", "zeros"], ["c"]),
        ("Shape", ["a"], ["shape"]),
        ("Reshape", ["c", "shape"], ["d"]),
        ("Mul", ["d", "scale"], ["y"]),
    ]
    held = {
        "w": onnx_sources.weights(6, 6, 1, 1),
        "grouped": np.array([0, 3, -1], np.int64),
        "ones": np.ones(3, np.float32),
        "zeros": np.zeros(3, np.float32),
        "scale": onnx_sources.weights(6, 1, 1),
    }
    inputs = {"x": (1, 6, 4, 5)}
    made, worst = _compared(onnx_sources.model(nodes, inputs, ["y"], held), inputs)
    assert worst < 1e-6
    assert "TRANSPOSE" not in [entry.kind for entry in operators(made.flatbuffer)]


def test_what_is_channels_last_already_stays_so():
    """As tf2onnx writes: transposed at the border, computed channels first, transposed back."""
    nodes = [
        ("Transpose", ["x"], ["a"], {"perm": [0, 3, 1, 2]}),
        ("Conv", ["a", "w"], ["b"]),
        ("Transpose", ["b"], ["y"], {"perm": [0, 2, 3, 1]}),
    ]
    inputs = {"x": (1, 4, 5, 6)}
    made, worst = _compared(onnx_sources.model(nodes, inputs, ["y"], {"w": onnx_sources.weights(3, 6, 1, 1)}), inputs)
    assert worst < 1e-6
    assert (made.inputs, made.outputs) == (((0, 1, 2, 3),), ((0, 1, 2, 3),))
    assert [entry.kind for entry in operators(made.flatbuffer)] == ["CONV_2D"]
