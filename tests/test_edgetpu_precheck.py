"""The Edge TPU's pre-check: against what the compiler did to Coral's own models, and on ours."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import nets
import numpy as np
import pytest
from edgetpu_files import PAIRS, coral_model

from edge_aigc.converters.graph import operators
from edge_aigc.converters.quantize import quantize
from edge_aigc.converters.sources.keras import load_keras
from edge_aigc.converters.targets.edgetpu import (
    CUSTOM_OPERATOR,
    LINKS,
    estimate,
    expected_parameters,
    fit,
    link_of,
    packages,
    precheck,
    transfer,
)
from edge_aigc.converters.targets.edgetpu.limits import DOUBT, LIMITS
from edge_aigc.converters.targets.edgetpu.precheck import AFTER_THE_BREAK
from edge_aigc.converters.targets.edgetpu.prepare import prepare
from edge_aigc.converters.targets.edgetpu.table import refused, sources, supported
from edge_aigc.converters.targets.edgetpu.target import break_words, doubt_words
from edge_aigc.devices.catalog import find_profile
from edge_aigc.errors import ConversionError
from edge_aigc.interpreter import Interpreter

BESIDE = next(
    (p / "shared/models/edgetpu" for p in Path(__file__).parents if (p / "shared/models/edgetpu").is_dir()), None
)
WHOLE_FILES = sorted(BESIDE.glob("*_edgetpu.tflite")) if BESIDE is not None else []
"""Coral's models as they are, where they lie beside the checkout; their structure is tested in any case."""


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A small and a deep generator, with ReLU and with LeakyReLU, int8 in and out, as the quantizer leaves them."""
    made = {}
    for name, build in (("small", nets.gan), ("deep", nets.dcgan)):
        for leaky in (False, True):
            folder = tmp_path_factory.mktemp("nets")
            source = load_keras(build(folder, leaky=leaky))
            dice = np.random.default_rng(1)
            calibration = [
                [dice.standard_normal(fact.shape).astype(np.float32) for fact in source.inputs] for _ in range(4)
            ]
            key = f"{name}-leaky" if leaky else name
            made[key] = quantize(source.flatbuffer, "int8", calibration=calibration, int8_borders=True)
            made[f"{key}-float"] = source.flatbuffer
    return made


def left_on_cpu(compiled):
    return Counter(operator.kind for operator in operators(compiled) if operator.kind != CUSTOM_OPERATOR)


@pytest.mark.parametrize("name", PAIRS)
def test_it_agrees_with_what_the_compiler_did(name):
    checked, compiled = precheck(coral_model(name)), coral_model(f"{name}_edgetpu")
    assert Counter(fate.kind for fate in checked.fates if not fate.on_tpu) == left_on_cpu(compiled)
    (package,) = packages(compiled)
    # What crosses the border, up to the padding of each tensor to 8 bytes and of outputs to whole tiles.
    assert checked.inputs_bytes <= sum(layer.bytes for layer in package.inputs) <= checked.inputs_bytes + 64
    assert checked.outputs_bytes <= sum(layer.bytes for layer in package.outputs)


@pytest.mark.parametrize("path", WHOLE_FILES, ids=lambda path: path.stem)
def test_it_agrees_on_the_whole_files_too(path):
    source = path.with_name(path.name.replace("_edgetpu", ""))
    cpu = Counter(fate.kind for fate in precheck(source.read_bytes()).fates if not fate.on_tpu)
    assert cpu == left_on_cpu(path.read_bytes())


def test_an_upsampling_from_one_point_is_where_deeplab_stops():
    checked = precheck(coral_model("deeplabv3_mnv2_dm05_pascal_quant"))
    assert (checked.on_tpu, checked.on_cpu) == (64, 8)
    assert checked.first_break.kind == "RESIZE_BILINEAR"
    assert "[1, 1] to [33, 33]" in checked.first_break.reason
    after = [fate.kind for fate in checked.fates if fate.reason == AFTER_THE_BREAK]
    assert after == ["QUANTIZE", "CONCATENATION", "CONV_2D", "CONV_2D", "RESIZE_BILINEAR"]


def test_what_stands_before_the_first_that_maps_ends_nothing():
    checked = precheck(coral_model("movenet_single_pose_lightning_ptq"))
    assert [fate.kind for fate in checked.fates[:2]] == ["CAST", "QUANTIZE"]
    assert not checked.fates[0].on_tpu
    assert checked.first_break.kind == "ARG_MAX"
    # Branches that need nothing of the break are compiled although they stand after it.
    assert any(fate.on_tpu and fate.index > checked.first_break.index for fate in checked.fates)


def test_a_leaky_generator_stops_at_its_second_operator(models):
    checked = precheck(fit(models["deep-leaky"]))
    assert (checked.on_tpu, checked.on_cpu) == (1, 8)
    assert (checked.first_break.index, checked.first_break.kind) == (1, "LEAKY_RELU")
    assert list(checked.refused) == ["LEAKY_RELU"]
    words = break_words(checked)
    assert "operator 2 of 9" in words
    assert "MAXIMUM and MUL" in words
    assert "7 more run on the CPU" in words


def test_a_leaky_generator_maps_whole_where_it_is_written_as_the_mend_says(tmp_path):
    source = load_keras(nets.dcgan(tmp_path, leaky=True, as_maximum=True))
    calibration = [[np.linspace(-2, 2, fact.shape[-1], dtype=np.float32)[None] for fact in source.inputs]]
    checked = precheck(fit(quantize(source.flatbuffer, "int8", calibration=calibration, int8_borders=True)))
    assert {"MAXIMUM", "MUL"} <= {fate.kind for fate in checked.fates}
    assert checked.on_cpu == 0


@pytest.mark.parametrize("name", ["small", "deep"])
def test_a_leaky_generator_prepared_for_the_tpu_is_int8_throughout_and_maps_whole(models, name):
    leaky = models[f"{name}-leaky-float"]
    ready = prepare(leaky)
    dice = np.random.default_rng(2)
    fresh = Interpreter(leaky)
    samples = [[dice.standard_normal(info.shape).astype(np.float32) for info in fresh.inputs] for _ in range(8)]
    for inputs in samples:
        np.testing.assert_allclose(Interpreter(ready).run(inputs)[0], fresh.run(inputs)[0], atol=1e-6)
    form = fit(quantize(ready, "int8", calibration=samples, int8_borders=True))
    kinds = {operator.kind for operator in operators(form)}
    assert kinds >= {"MAXIMUM", "MUL"}
    assert kinds.isdisjoint({"LEAKY_RELU", "QUANTIZE", "DEQUANTIZE"})
    checked = precheck(form)
    assert (checked.on_cpu, checked.first_break) == (0, None)


def test_a_model_without_leaky_relu_is_prepared_as_it_is(models):
    assert prepare(models["deep-float"]) == models["deep-float"]


def test_what_may_stay_on_the_cpu_is_said():
    checked = precheck(coral_model("movenet_single_pose_lightning_ptq"))
    assert doubt_words(checked) == ()
    doubtful = replace(checked, fates=(replace(checked.fates[5], doubt=f"{DOUBT}it is large"), *checked.fates[6:]))
    (words,) = doubt_words(doubtful)
    assert words.startswith("CONV_2D ")
    assert words.endswith("may stay on the CPU: it is large")


@pytest.mark.parametrize("name", ["small", "deep"])
def test_a_relu_generator_maps_whole(models, name):
    checked = precheck(fit(models[name]))
    assert checked.on_cpu == 0
    assert checked.first_break is None
    assert checked.refused == {}


def test_operators_newer_than_the_compiler_keep_everything_on_the_cpu(models):
    checked = precheck(models["deep"])
    assert checked.on_tpu == 0
    assert "version 4 is newer than compiler 16" in checked.unread["TRANSPOSE_CONV"]
    assert "the compiler refuses the model for TRANSPOSE_CONV" in checked.fates[0].reason


@pytest.mark.parametrize("name", ["small", "deep"])
def test_fitting_changes_no_bit_of_what_is_made(models, name):
    before, after = models[name], fit(models[name])
    assert all(op.version <= 3 for op in operators(after) if op.kind == "TRANSPOSE_CONV")
    assert fit(after) == after
    dice = np.random.default_rng(5)
    old, new = Interpreter(before), Interpreter(after)
    for _ in range(8):
        inputs = [dice.integers(-128, 128, info.shape).astype(np.int8) for info in old.inputs]
        for made, expected in zip(new.run(inputs), old.run(inputs), strict=True):
            assert np.array_equal(made, expected)


def test_float_tensors_are_refused_by_name(models):
    assert "float32; the Edge TPU computes in int8" in precheck(models["small-float"]).refused["FULLY_CONNECTED"]


def test_what_is_no_model_is_refused():
    with pytest.raises(ConversionError, match="not a TFLite flatbuffer"):
        precheck(b"nothing of the kind")


def test_every_row_of_the_table_names_limits_and_sources_that_exist():
    for row in (*supported().values(), *refused().values()):
        assert row.source in sources()
    used = {limit for row in supported().values() for limit in row.limits}
    assert used == set(LIMITS)
    assert not set(supported()) & set(refused())


def test_parameters_beyond_the_memory_are_streamed(models):
    checked = precheck(fit(models["deep"]))
    everything = expected_parameters(checked)
    assert everything.streamed == 0
    little = expected_parameters(checked, cacheable_bytes=1000)
    assert little.cached == 1000
    assert little.cached + little.streamed == everything.cached


def test_published_times_are_met_within_a_factor_of_two():
    # pycoral's benchmarks/reference: milliseconds of MobileNetV1 224 and InceptionV1 224 on each link. Their sizes:
    # a picture in, 87,584 B of instructions (its embedding extractor's) and the median, 568 and 1,430 million MACs.
    published = {"x86": (2.17, 3.06), "pcie": (2.22, 4.0), "usb3": (4.204, 6.213), "usb2": (9.0, 18.94)}
    for key, (mobilenet_ms, inception_ms) in published.items():
        for expected_ms, instructions, macs in ((mobilenet_ms, 87_584, 568e6), (inception_ms, 165_000, 1430e6)):
            sent = 224 * 224 * 3 + instructions
            found = transfer(LINKS[key], sent_bytes=sent, received_bytes=1008, macs=int(macs))
            assert 0.5 < found.latency_ms / expected_ms < 1.5


def test_a_compiled_model_tells_its_own_sizes():
    checked = precheck(coral_model("mobilenet_v1_0.25_128_quant"))
    made = packages(coral_model("mobilenet_v1_0.25_128_quant_edgetpu"))
    found = estimate(checked, LINKS["usb3"], compiled=made)
    assert found.sent_bytes == 128 * 128 * 3 + 170_032
    assert found.latency_ms != estimate(checked, LINKS["usb3"]).latency_ms


@pytest.mark.parametrize(
    ("profile", "link"),
    [("coral-usb", "usb3"), ("coral-pcie", "pcie"), ("coral-dev-board", "pcie"), ("coral-dev-board-mini", "usb2")],
)
def test_profiles_are_linked_as_their_benchmarks_were(profile, link):
    assert link_of(find_profile(profile)) == LINKS[link]
