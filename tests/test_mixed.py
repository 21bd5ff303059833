"""Mixed precision: what is cheapest of what is faithful enough."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edge_aigc.converters.costs.work import price_with_starts
from edge_aigc.converters.graph import operators
from edge_aigc.converters.ir import write
from edge_aigc.converters.quantizer.calibration import Calibration
from edge_aigc.converters.quantizer.mixed import mix
from edge_aigc.converters.quantizer.paired import Pairs
from edge_aigc.converters.recipes import NAMED, Rule
from tests.rewriting import graph_of, normal

INT8 = NAMED["mixed"]


def dense(build, x):
    """Three layers of one row: nothing but weights that are read once."""
    rng = np.random.default_rng(0)
    for _ in range(3):
        x = build.unary("TANH", build.fully_connected(x, normal(rng, (192, x.shape[-1])) / 16))
    return x


def convolved(build, x):
    """Convolutions on many pixels: the multiplications count."""
    rng = np.random.default_rng(0)
    for _ in range(4):
        x = build.conv_2d(x, normal(rng, (16, 3, 3, x.shape[-1])) / 12, normal(rng, (16,)), padding="SAME")
        x = build.unary("RELU", x)
    return x


@pytest.fixture(scope="module")
def nets():
    made = {}
    for name, make, shape in (("dense", dense, (1, 192)), ("convolved", convolved, (1, 24, 24, 16))):
        flatbuffer, rng = write(graph_of(shape, make)), np.random.default_rng(1)
        samples = [[normal(rng, shape)] for _ in range(6)]
        made[name] = Calibration(flatbuffer, samples), Pairs(flatbuffer, samples)
    return made


def weights_of(flatbuffer):
    return [
        operator.inputs[1].dtype
        for operator in operators(flatbuffer)
        if operator.kind in {"FULLY_CONNECTED", "CONV_2D"}
    ]


def test_layers_that_only_read_weights_have_short_ones_as_far_as_that_is_faithful(nets):
    calibration, pairs = nets["dense"]
    loose, tight = (mix(calibration, pairs, INT8, minimum_db=asked) for asked in (15, 32))
    assert set(weights_of(calibration.quantized(loose.recipe).flatbuffer)) == {"INT4"}
    assert "INT4" not in weights_of(
        calibration.quantized(mix(calibration, pairs, INT8, minimum_db=60).recipe).flatbuffer
    )
    assert loose.price < tight.price
    assert tight.decibels >= 32


def test_older_kernels_get_no_short_weights(nets):
    calibration, pairs = nets["dense"]
    found = mix(calibration, pairs, replace(INT8, older_kernels=True), minimum_db=15)
    assert "INT4" not in weights_of(calibration.quantized(found.recipe).flatbuffer)


def test_the_less_is_asked_the_cheaper_it_is_and_what_is_asked_is_kept(nets):
    calibration, pairs = nets["convolved"]
    plain = mix(calibration, pairs, INT8, minimum_db=0)
    assert calibration.quantized(plain.recipe).flatbuffer == calibration.quantized(INT8).flatbuffer
    found = [mix(calibration, pairs, INT8, minimum_db=plain.decibels + more) for more in (2, 6, 40)]
    assert all(mixed.decibels >= plain.decibels + more for mixed, more in zip(found, (2, 6, 40), strict=True))
    assert [mixed.price for mixed in found] == sorted(mixed.price for mixed in found)
    assert found[-1].price <= price_with_starts(operators(calibration.flatbuffer))


def test_a_price_with_starts_another_kind_decides_otherwise(nets):
    """Where int8 costs more than float, as where no kernel is at hand, nothing is made int8."""
    calibration, pairs = nets["convolved"]

    def against_int8(nodes):
        return price_with_starts(nodes) + 1e9 * sum(node.outputs[0].dtype == "INT8" for node in nodes)

    plain = calibration.quantized(INT8)
    found = mix(calibration, pairs, INT8, minimum_db=pairs_db(pairs, plain) + 2, price=against_int8)
    assert not any(node.outputs[0].dtype == "INT8" for node in calibration.quantized(found.recipe).operators)


def pairs_db(pairs, made):
    return -10 * np.log10(pairs.error(made.flatbuffer))


def test_a_comparison_on_some_draws_is_near_that_on_all(nets):
    calibration, pairs = nets["convolved"]
    made = calibration.quantized(INT8).flatbuffer
    assert pairs.error(made, 2) == pytest.approx(pairs.error(made), rel=0.3)
    assert pairs.error(made, 6) == pairs.error(made, 60) == pairs.error(made)


def test_a_rule_names_outputs_as_they_are():
    rule = Rule(types="dynamic", outputs=frozenset({"a.b", "c"}))
    assert rule.matches("CONV_2D", "a.b")
    assert not rule.matches("CONV_2D", "aXb")
    assert not rule.matches("CONV_2D", "")
