"""What the compatibility table says; that it is true is proven in test_compat_loaded.py."""

from __future__ import annotations

import json

import flatbuffers
import nets
import pytest
import small_nets
from ai_edge_litert import schema_py_generated as schema

from edge_aigc.cli import run
from edge_aigc.converters import compat
from edge_aigc.converters.graph import metadata, operator_code, operators, operators_of, parse, serialize, set_metadata
from edge_aigc.converters.quantize import quantize
from edge_aigc.converters.sources.keras import load_keras
from edge_aigc.devices.catalog import FOLDERS_VARIABLE, find_profile
from edge_aigc.errors import CompatibilityError

TFLITE = compat.Wheel(runtime="tflite", release="2.14.0")
NEWEST = compat.Wheel(runtime="litert", release="2.3.0")
OLD_PROFILE = """
extends = "rpi4"
name = "old"
title = "Board with an old image"
[[images]]
name = "One"
python = "3.11"
glibc = "2.36"
wheels = { litert = "2.3.0", tflite = "2.14.0" }
[[images]]
name = "Another"
python = "3.10"
glibc = "2.31"
wheels = { litert = "1.3.0" }
"""


@pytest.fixture(scope="module")
def gan(tmp_path_factory):
    return nets.gan(tmp_path_factory.mktemp("gan"))


@pytest.fixture(scope="module")
def source(gan):
    return load_keras(gan)


@pytest.fixture(scope="module")
def dynamic(source):
    return quantize(source.flatbuffer, "dynamic", calibration=[], int8_borders=False)


@pytest.fixture(scope="module")
def loop():
    return quantize(small_nets.net("gru").flatbuffer, "dynamic", calibration=[], int8_borders=False)


def kinds(flatbuffer, wheel):
    return {need.operator for need in compat.incompatibilities(flatbuffer, wheel)}


def test_float_and_half_run_on_every_release_that_we_support(source):
    for recipe in ("float32", "float16"):
        flatbuffer = quantize(source.flatbuffer, recipe, calibration=[], int8_borders=False)
        for runtime, release in compat.OLDEST.items():
            assert not compat.incompatibilities(flatbuffer, compat.Wheel(runtime=runtime, release=release))


def test_a_refusal_names_operator_version_first_release_and_remedy(dynamic):
    with pytest.raises(CompatibilityError) as caught:
        compat.require(dynamic, (NEWEST, TFLITE), recipe="dynamic")
    assert "The recipe dynamic does not run on tflite-runtime 2.14.0" in caught.value.message
    assert "FULLY_CONNECTED version 12 needs TensorFlow Lite 2.17" in caught.value.message
    assert "the last tflite-runtime is 2.14.0" in caught.value.message
    assert "TRANSPOSE_CONV with int8 weights and float32 activations" in caught.value.message
    assert "--runtime litert" in caught.value.remedy


def test_a_lowered_version_does_not_hide_what_a_tensor_calls_for(dynamic):
    model = parse(dynamic)
    for code in model.operatorCodes:
        code.version = 1
    lied = serialize(model)
    assert {operator.version for operator in operators(lied)} == {1}
    assert kinds(lied, TFLITE) == {"FULLY_CONNECTED", "TRANSPOSE_CONV"}
    assert not kinds(lied, NEWEST)
    versions = {operator.kind: operator.version for operator in operators(compat.stamp_versions(lied))}
    assert versions["FULLY_CONNECTED"] == 12


def test_the_metadata_of_the_minimum_runtime_are_not_believed(dynamic):
    model = parse(dynamic)
    set_metadata(model, "min_runtime_version", b"1.5.0".ljust(16, b"\0"))
    lied = serialize(model)
    assert metadata(lied)["min_runtime_version"].startswith(b"1.5.0")
    assert kinds(lied, TFLITE) == {"FULLY_CONNECTED", "TRANSPOSE_CONV"}
    assert compat.first_release(lied, "tflite") == compat.first_release(dynamic, "tflite")


def test_operators_in_the_body_of_a_loop_count(loop):
    model = parse(loop)
    assert "FULLY_CONNECTED" in {operator.kind for operator in operators_of(model, 2)}
    assert kinds(loop, TFLITE) == {"FULLY_CONNECTED"}


def test_an_operator_that_is_only_listed_counts(source):
    model = parse(source.flatbuffer)
    operator_code(model, "FULLY_CONNECTED", 14)
    listed = serialize(model)
    assert kinds(listed, TFLITE) == {"FULLY_CONNECTED"}
    assert kinds(listed, compat.Wheel(runtime="litert", release="2.0.3")) == {"FULLY_CONNECTED"}
    assert not kinds(listed, compat.Wheel(runtime="litert", release="2.1.0"))


def test_a_kernel_that_was_wrong_for_a_few_releases_is_refused_on_those_alone():
    net = small_nets.net("matching")
    calibration = [list(sample) for sample in net.samples]
    flatbuffer = quantize(net.flatbuffer, "int8", calibration=calibration, int8_borders=False)
    for release, runs in {"1.4.0": True, "2.0.2": False, "2.1.2": False, "2.1.3": True, "2.4.0": True}.items():
        wheel = compat.Wheel(runtime="litert", release=release)
        assert bool(kinds(flatbuffer, wheel)) is not runs, release
    need = compat.first_release(flatbuffer, "litert")
    assert (need.operator, need.release) == ("BATCH_MATMUL", "2.1.3")
    with pytest.raises(CompatibilityError) as caught:
        compat.require(flatbuffer, (compat.Wheel(runtime="litert", release="2.1.0"),), recipe="int8")
    assert "install ai-edge-litert 2.1.3" in caught.value.remedy


def test_the_first_release_is_told_with_the_operator_that_decides(source, dynamic):
    assert compat.first_release(source.flatbuffer, "litert").release == compat.OLDEST["litert"]
    assert compat.first_release(source.flatbuffer, "tflite") == compat.Need(operator="", release="2.14.0", reason="")
    need = compat.first_release(dynamic, "tflite")
    assert (need.operator, need.release) == ("FULLY_CONNECTED", None)
    assert "needs TensorFlow Lite 2.17; the last tflite-runtime is 2.14.0" in need.reason


def test_the_plan_for_older_kernels_runs_on_the_last_tflite_runtime(source):
    flatbuffer = quantize(source.flatbuffer, "dynamic", calibration=[], int8_borders=False, older_kernels=True)
    assert not kinds(flatbuffer, TFLITE)
    assert compat.first_release(flatbuffer, "tflite").release == "2.14.0"
    stored = {(o.kind, o.inputs[0].dtype) for o in operators(flatbuffer) if o.kind in {"DEQUANTIZE", "TRANSPOSE_CONV"}}
    assert ("DEQUANTIZE", "INT8") in stored
    assert {o.inputs[1].dtype for o in operators(flatbuffer) if o.kind == "FULLY_CONNECTED"} == {"INT8"}
    assert {o.inputs[1].dtype for o in operators(flatbuffer) if o.kind == "TRANSPOSE_CONV"} == {"FLOAT32"}


def test_versions_that_no_release_has_are_told_as_such(source):
    assert compat.registered("UNIDIRECTIONAL_SEQUENCE_LSTM", 5, "litert") is None
    assert compat.registered("STABLEHLO_CBRT", 1, "litert") is None
    assert compat.registered("BROADCAST_TO", 1, "tflite") is None
    model = parse(source.flatbuffer)
    operator_code(model, "UNIDIRECTIONAL_SEQUENCE_LSTM", 5)
    need = compat.first_release(serialize(model), "litert")
    assert (need.operator, need.release) == ("UNIDIRECTIONAL_SEQUENCE_LSTM", None)
    assert "in no release of ai-edge-litert" in need.reason


def test_custom_operators_run_nowhere_except_those_of_the_edge_tpu():
    for name, runs in ((b"FlexErf", False), (b"edgetpu-custom-op", True)):
        assert bool(compat.incompatibilities(custom(name), NEWEST)) is not runs


def custom(name):
    """Return a flatbuffer that lists a custom operator."""
    model, graph, code = schema.ModelT(), schema.SubGraphT(), schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
    code.customCode, code.version = name, 1
    graph.tensors, graph.operators, graph.inputs, graph.outputs = [], [], [], []
    model.version, model.operatorCodes, model.subgraphs, model.buffers = 3, [code], [graph], [schema.BufferT()]
    builder = flatbuffers.Builder(512)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def test_every_operator_of_the_table_is_one_of_the_schema():
    table = compat._table()
    named = {
        *table.tensorflow,
        *table.litert,
        *table.types,
        *table.operands,
        *(k for lie in table.lies for k in lie.operators),
    }
    assert named <= set(vars(schema.BuiltinOperator))
    assert named <= set(table.tensorflow)
    for kind, versions in table.types.items():
        assert max(versions.values()) <= len(table.tensorflow[kind]) or kind in {"LSTM", "UNIDIRECTIONAL_SEQUENCE_LSTM"}


def test_every_image_of_a_profile_is_asked(monkeypatch, tmp_path):
    (tmp_path / "old.toml").write_text(OLD_PROFILE)
    monkeypatch.setenv(FOLDERS_VARIABLE, str(tmp_path))
    wheels = compat.wheels_of(find_profile("old"), ("litert", "tflite"))
    assert list(map(str, wheels)) == ["ai-edge-litert 2.3.0", "ai-edge-litert 1.3.0", "tflite-runtime 2.14.0"]


def test_a_release_older_than_what_bundles_are_proven_on_is_refused(monkeypatch, tmp_path, gan, capfd):
    (tmp_path / "old.toml").write_text(OLD_PROFILE)
    monkeypatch.setenv(FOLDERS_VARIABLE, str(tmp_path))
    flags = [
        "--profile",
        "old",
        "--recipe",
        "float32",
        "--prior",
        "latent=normal",
        "--classes",
        "kind=a,b,c",
    ]
    assert run(["convert", str(gan), *flags, "-o", str(tmp_path / "out"), "--json"]) == 1
    error = json.loads(capfd.readouterr().out)["error"]
    assert error["code"] == "compatibility"
    assert "on ai-edge-litert 1.3.0: bundles are proven on ai-edge-litert 1.4.0 and later" in error["message"]
    assert "install ai-edge-litert 1.4.0" in error["remedy"]
    assert not (tmp_path / "out").exists()
