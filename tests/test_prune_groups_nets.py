"""Whole generators, every group of them cut by half: they run, keep their shapes and cost as much less."""

from __future__ import annotations

import importlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from contest import forms
from generators import NETS

from edge_aigc.converters.costs.work import multiplications
from edge_aigc.converters.ir import read, write
from edge_aigc.converters.loops.asked import loop_asked
from edge_aigc.converters.prune.cut import cut
from edge_aigc.converters.prune.groups import channel_groups
from edge_aigc.converters.rewrites.normalizations import NORMALIZATIONS
from edge_aigc.converters.rewrites.rewrite import normalize
from edge_aigc.converters.sources.load import load
from edge_aigc.converters.sources.source import Wish
from edge_aigc.converters.specification import Statement
from tests.pruning import assert_cut_is_zeroed, assert_steps_are_as_if_zeroed, cuttable, halves, run

POEMS = Path(__file__).parents[1] / "examples" / "poems"
SMALL = {
    # What is changed in the generator's file, and the shape of its first input.
    "cyclegan-128": ({"_WIDTH": 8, "_BLOCKS": 2}, (16, 16, 3)),
    "pix2pix-128": ({"_DOWN": (8, 16, 16)}, (8, 8, 3)),
    "stylegan2-64": ({"_WIDTH": 16, "_CHANNELS": {4: 16, 8: 16, 16: 16, 32: 16, 64: 8}}, (16,)),
    "hifigan-v2": ({"_WIDTH": 32}, (2, 12)),
}
FREE = {
    # Of how many groups how many can be cut, at the published sizes; what stays is an output, or a state's.
    "cyclegan-128": (14, 15), "dcgan-64": (4, 5), "esrgan-x2": (8, 9), "gru-step": (1, 3), "hifigan-v2": (41, 41),
    "pix2pix-128": (13, 14), "stylegan2-64": (18, 19), "transformer-step": (7, 14), "vae-64": (6, 7),
    "vqvae-128": (5, 6), "wavegan-16384": (5, 5), "wgan-gp-32": (7, 8),
}  # fmt: skip
AT_MOST = {"gru-step": 0.91, "transformer-step": 0.41}
"""Of the multiplications, with half the channels everywhere; the others, of which only ends stay: 0.29."""


def _normalized(flatbuffer):
    """Return the graph that pruning works on."""
    graph = read(flatbuffer)
    normalize(graph, NORMALIZATIONS)
    return graph


def _small(name, monkeypatch):
    """Return a generator of the suite with its layers and few channels."""
    from generators.keras_layers import keras_model

    from edge_aigc.converters.sources.keras import source_of

    changed, shape = SMALL[name]
    net = NETS[name]
    for key, setting in changed.items():
        monkeypatch.setattr(importlib.import_module(net.build.__module__), key, setting)
    first, *others = net.inputs
    model = keras_model(replace(net, inputs=(replace(first, shape=shape), *others)), batch=1)
    return _normalized(source_of(model, Wish(), file_name=name).flatbuffer)


def _poems():
    """Return the step graph of the poems model."""
    options = dict.fromkeys(("vocabulary", "window", "context", "spec_file"))
    loop = loop_asked(Statement(family="autoregressive"), POEMS / "poems.keras", options)
    return _normalized(load(POEMS / "poems.keras", adapt=loop.adapt).flatbuffer)


def _assert_each_group_pays(graph, most=1000):
    """Cut each group alone by half: its multiplications fall by half; by more where it is summed over into itself."""
    whole, groups = multiplications(write(graph)), cuttable(graph)
    for name in list(groups)[:: -(-len(groups) // most)]:
        group = groups[name]
        left = (group.units + 1) // 2
        smaller = cut(graph, {name: np.arange(group.units) < left})
        saved = (whole - multiplications(write(smaller))) / group.multiplications
        gone = 1 - left / group.units
        assert gone - 1e-9 <= saved <= 1 - (1 - gone) ** 2 + 1e-9, name


def _assert_same_borders(smaller, graph):
    for found, expected in zip(run(smaller), [value.shape for value in graph.outputs], strict=True):
        assert found.shape == expected
        assert np.isfinite(found).all()


@pytest.mark.parametrize("name", SMALL)
def test_generators_cut_by_half_equal_those_zeroed_and_cost_as_much_less(name, monkeypatch):
    graph = _small(name, monkeypatch)
    _assert_each_group_pays(graph, 4)
    smaller = assert_cut_is_zeroed(graph, halves(graph), tolerance=1e-4)
    _assert_same_borders(smaller, graph)
    assert multiplications(write(smaller)) < 0.45 * multiplications(write(graph))
    refused = [group.refused for group in channel_groups(graph) if group.refused]
    assert all("is an output of the graph" in words for words in refused), refused


def test_the_poem_models_step_is_cut_its_memory_too():
    graph = _poems()
    groups = channel_groups(graph)
    assert [group.refused for group in groups if group.refused] == ["'logits' is an output of the graph"]
    _assert_each_group_pays(graph)
    smaller = assert_steps_are_as_if_zeroed(graph, halves(graph))
    assert [value.shape for value in smaller.inputs] == [(1, 1), (1, 128)]
    assert multiplications(write(smaller)) < 0.36 * multiplications(write(graph))


@pytest.mark.heavy
@pytest.mark.parametrize("name", NETS)
def test_the_suites_nets_at_their_published_sizes_are_cut_by_half(name):
    flatbuffer = forms.forms_of(NETS[name], lambda _: None).flatbuffers["naive_batch1"]
    graph = _normalized(flatbuffer)
    groups = channel_groups(graph)
    assert (sum(not group.refused for group in groups), len(groups)) == FREE[name]
    _assert_each_group_pays(graph)
    smaller = cut(graph, halves(graph))
    _assert_same_borders(smaller, graph)
    share = multiplications(write(smaller)) / multiplications(write(graph))
    assert share <= AT_MOST.get(name, 0.29)
