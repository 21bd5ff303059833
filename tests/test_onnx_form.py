"""The ONNX form: every operator means the same, what cannot be expressed is refused by name."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from bundles import DATA, TINY
from onnx_nets import flatbuffer, nets

from edge_aigc.converters.graph import name_borders
from edge_aigc.converters.onnx.form import OPSET, prove_onnx, to_onnx
from edge_aigc.converters.onnx.graph import canonical
from edge_aigc.errors import CompatibilityError, ConversionError
from edge_aigc.golden import Vector
from edge_aigc.interpreter import Interpreter
from edge_aigc.manifest import Tolerance
from edge_aigc.priors import draw

TINY_FLATBUFFER = name_borders((DATA / "tiny.tflite").read_bytes(), ["latent", "digit"], ["image"])
EXACT = Tolerance(rms=1e-5, largest=1e-4)


def run(content, *inputs):
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    names = [tensor.name for tensor in session.get_inputs()]
    return session.run(None, dict(zip(names, inputs, strict=True)))[0]


def vectors():
    inputs = draw(TINY, seed=1)
    (image,) = Interpreter(TINY_FLATBUFFER).run([inputs[tensor.name] for tensor in TINY.inputs])
    return [Vector(seed=1, inputs=inputs, outputs={"image": image})]


def test_every_operator_of_generators_means_the_same_in_onnx():
    wrong = {}
    for name, (shape, function) in nets().items():
        model = flatbuffer(shape, function)
        values = np.random.default_rng(7).standard_normal(shape).astype(np.float32)
        (expected,) = Interpreter(model).run([values])
        found = run(to_onnx(model), values)
        if found.shape != expected.shape or np.abs(found - expected).max() > 1e-4:
            wrong[name] = (found.shape, expected.shape)
    assert not wrong


def test_the_form_is_onnx_that_tensorrt_8_reads():
    model = onnx.load_from_string(to_onnx(TINY_FLATBUFFER))
    onnx.checker.check_model(model, full_check=True)
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", OPSET)]
    assert model.ir_version <= 7


def test_names_order_and_layout_at_the_borders_are_those_of_the_flatbuffer():
    graph = onnx.load_from_string(to_onnx(TINY_FLATBUFFER)).graph
    shapes = {
        tensor.name: tuple(axis.dim_value for axis in tensor.type.tensor_type.shape.dim)
        for tensor in (*graph.input, *graph.output)
    }
    assert shapes == {"latent": (1, 8), "digit": (1, 10), "image": (1, 8, 8, 1)}
    assert list(shapes) == ["latent", "digit", "image"]


def test_the_same_flatbuffer_gives_the_same_bytes_in_every_process(tmp_path):
    (tmp_path / "tiny.tflite").write_bytes(TINY_FLATBUFFER)
    script = (
        "import hashlib, sys; from pathlib import Path; from edge_aigc.converters.onnx.form import to_onnx;"
        "content = Path(sys.argv[1]).read_bytes(); to_onnx(content);"  # names are counted through a process
        "print(hashlib.sha256(to_onnx(content)).hexdigest())"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent), "PYTHONHASHSEED": "5"}
    command = [sys.executable, "-c", script, str(tmp_path / "tiny.tflite")]
    digest = subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=120).stdout
    assert digest.strip() == hashlib.sha256(to_onnx(TINY_FLATBUFFER)).hexdigest()


def test_an_operator_that_onnx_lacks_is_refused_by_name():
    import tensorflow as tf

    model = flatbuffer((1, 16), lambda x: tf.bitcast(x, tf.int32))
    with pytest.raises(CompatibilityError, match="BITCAST"):
        to_onnx(model)


def test_a_fused_activation_that_would_be_lost_is_refused():
    import tensorflow as tf

    weights = tf.ones((3, 3, 4, 6))
    model = flatbuffer((1, 8, 8, 4), lambda x: tf.clip_by_value(tf.nn.conv2d(x, weights, 1, "SAME"), -1.0, 1.0))
    with pytest.raises(CompatibilityError, match="CONV_2D with RELU_N1_TO_1"):
        to_onnx(model)


def test_a_form_that_makes_the_same_is_proven():
    prove_onnx(to_onnx(TINY_FLATBUFFER), TINY, vectors(), EXACT)


def test_a_form_that_makes_something_else_is_refused_with_the_numbers():
    model = onnx.load_from_string(to_onnx(TINY_FLATBUFFER))
    next(node for node in model.graph.node if node.op_type == "Tanh").op_type = "Sigmoid"
    with pytest.raises(ConversionError, match=r"off by \d+\.\d+% of its range"):
        prove_onnx(model.SerializeToString(), TINY, vectors(), EXACT)


def test_what_is_no_onnx_is_refused():
    with pytest.raises(ConversionError, match="onnxruntime refuses"):
        prove_onnx(b"not a model", TINY, vectors(), EXACT)


def test_names_inside_loops_follow_those_outside():
    import tensorflow as tf

    def thrice(x):
        return tf.while_loop(lambda i, _: i < 3, lambda i, y: (i + 1, y * 1.5 + x), (0, x))[1]

    model = flatbuffer((1, 4), thrice)
    values = np.arange(4, dtype=np.float32).reshape(1, 4)
    np.testing.assert_allclose(run(to_onnx(model), values), Interpreter(model).run([values])[0], rtol=1e-6)


def test_canonical_leaves_the_argument_alone():
    model = onnx.load_from_string(to_onnx(TINY_FLATBUFFER))
    before = model.SerializeToString(deterministic=True)
    canonical(model)
    assert model.SerializeToString(deterministic=True) == before
