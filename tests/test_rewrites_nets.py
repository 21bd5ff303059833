"""All normalizations on whole nets."""

from __future__ import annotations

import pytest

from benchmarks.zoo import FITTED, HELD_OUT, keras_file
from edge_aigc.converters.ir import read
from edge_aigc.converters.models import DIGITS
from edge_aigc.converters.rewrites.normalizations import NORMALIZATIONS
from edge_aigc.converters.sources.load import load
from tests.normalizing import normalized


def test_the_digits_compute_the_same():
    graph = read(load(DIGITS).flatbuffer)
    assert len(normalized(graph, *NORMALIZATIONS).nodes) <= len(graph.nodes)


@pytest.mark.heavy
@pytest.mark.parametrize("name", [*FITTED, *HELD_OUT])
def test_generators_of_every_kind_compute_the_same(name, tmp_path):
    graph = read(load(keras_file({**FITTED, **HELD_OUT}[name], tmp_path, name)).flatbuffer)
    assert len(normalized(graph, *NORMALIZATIONS).nodes) <= len(graph.nodes)
