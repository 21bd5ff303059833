"""Which pictures become pixels, and what the source is held to then."""

from __future__ import annotations

import dataclasses

import nets
import numpy as np
import pytest

from edge_aigc.converters.graph import operators
from edge_aigc.converters.order import Order
from edge_aigc.converters.pixels import in_pixels, with_pixels
from edge_aigc.converters.sources.load import load
from edge_aigc.converters.specification import Statement, complete
from edge_aigc.interpreter import Interpreter
from edge_aigc.manifest import RecipeRecord


@pytest.fixture(scope="module")
def gan(tmp_path_factory):
    source = load(nets.gan(tmp_path_factory.mktemp("gan")))
    stated = Statement(priors={"latent": "normal"}, classes={"kind": ("a", "b", "c")})
    return source, complete(source.inputs, source.outputs, stated, default_name="gan")


def _inputs(source):
    rng = np.random.default_rng(0)
    return [rng.standard_normal(fact.shape).astype(np.float32) for fact in source.inputs]


def test_a_picture_becomes_pixels_and_the_source_is_rounded_to_them(gan):
    source, spec = gan
    ended = in_pixels(source, spec, Order())
    assert [(one.name, one.stated, one.limits) for one in ended.pixels] == [(spec.primary.name, (-1, 1), (0, 1))]
    assert ended.spec.primary.range == (0, 1)  # of the float flatbuffer, which pruning and quantizing look at
    assert (ended.made.primary.dtype, ended.made.primary.range) == ("uint8", (0, 255))
    inputs = _inputs(source)
    ((made,),) = source.reference([inputs])
    ((pixels,),) = ended.source.reference([inputs])
    assert np.array_equal(pixels, np.rint((made + 1) / 2 * 255).astype(np.uint8))
    (found,) = Interpreter(with_pixels(ended.source.flatbuffer, ended.pixels)).run(inputs)
    assert np.abs(found.astype(int) - pixels).max() <= 1


def test_the_flatbuffer_with_pixels_names_its_output_as_before(gan):
    source, spec = gan
    ended = in_pixels(source, spec, Order())
    flatbuffer = with_pixels(ended.source.flatbuffer, ended.pixels)
    last = operators(flatbuffer)[-1]
    assert (last.kind, last.outputs[0].name, last.outputs[0].dtype) == ("QUANTIZE", spec.primary.name, "UINT8")


@pytest.mark.parametrize(
    "order",
    [Order(onnx=True), Order(like=RecipeRecord(name="float32", asked="float32"))],
    ids=["an engine's floats", "a bundle without pixels"],
)
def test_what_is_asked_for_in_floats_stays_as_it_is(gan, order):
    source, spec = gan
    ended = in_pixels(source, spec, order)
    assert (ended.source, ended.spec, ended.made, ended.pixels) == (source, spec, spec, ())


def test_what_is_no_number_stays_none_and_keeps_every_form_from_being_like_it(gan):
    source, spec = gan
    lost = dataclasses.replace(source, reference=lambda _: [[np.full(spec.primary.shape, np.nan, np.float32)]])
    ((made,),) = in_pixels(lost, spec, Order()).source.reference([_inputs(source)])
    assert np.isnan(made).all()
