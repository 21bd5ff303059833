"""Recipes carried out: on loops, beside TensorFlow's own quantizer, and mixed."""

from __future__ import annotations

import numpy as np
import pytest
import small_nets

from edge_aigc.converters.costs.work import price
from edge_aigc.converters.graph import listed_operators, operators_of, parse
from edge_aigc.converters.quantize import Aim, quantize
from edge_aigc.converters.quantizer.paired import Pairs, decibels
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


def test_around_a_loop_int8_is_used_and_the_loop_stays_float(loop):
    samples = [list(sample) for sample in loop.samples]
    form = quantize(loop.flatbuffer, "int8", calibration=samples, int8_borders=False)
    kinds = {operator.kind: operator for operator in operators_of(parse(form))}
    assert kinds["FULLY_CONNECTED"].inputs[1].dtype == "INT8"
    assert kinds["WHILE"].outputs[-1].dtype == "FLOAT32"
    assert psnr(loop.flatbuffer, form, samples) > 45


@pytest.mark.parametrize("name", ["mobile", "dcgan", "subpixel", "attention", "vocoder", "shapes", "gelu"])
def test_int8_is_as_faithful_as_the_framework_s_own_and_nothing_in_it_is_float(name):
    """TensorFlow's quantizer is the reference: same specification, another hand."""
    import tensorflow as tf
    from tensorflow.lite.python.optimize import calibrator

    net = small_nets.net(name)
    samples = [list(sample) for sample in net.samples]
    work = calibrator.Calibrator(net.flatbuffer)
    theirs = bytes(work.calibrate_and_quantize(lambda: iter(samples), tf.float32, tf.float32, False, tf.int8))
    ours = quantize(net.flatbuffer, "int8", calibration=samples, int8_borders=False)
    assert psnr(net.flatbuffer, ours, samples) > psnr(net.flatbuffer, theirs, samples) - 0.1
    between = [kind for kind, _ in listed_operators(parse(ours)) if kind in {"QUANTIZE", "DEQUANTIZE"}]
    assert sorted(between) == ["DEQUANTIZE", "QUANTIZE"]
    assert sum(operator.kind in between for operator in operators_of(parse(ours))) == 2


def test_mixed_leaves_out_of_int8_what_it_must_and_int8_what_it_can():
    net = small_nets.net("dcgan")
    samples = [list(sample) for sample in net.samples]

    def form(recipe, minimum_db):
        aim = Aim(minimum_db=minimum_db)
        return quantize(net.flatbuffer, recipe, calibration=samples, int8_borders=False, aim=aim)

    plain = psnr(net.flatbuffer, form("int8", 0), samples)
    asked = plain + 5
    mixed = form("mixed", asked)
    assert form("mixed", plain - 5) == form("int8", 0)
    assert psnr(net.flatbuffer, mixed, samples) >= asked
    assert price(mixed) < price(net.flatbuffer)
    assert mixed == form("mixed", asked)


def psnr(reference, form, samples):
    return decibels(Pairs(reference, samples).error(form))
