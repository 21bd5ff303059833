"""The graph that rewrites edit: read, write, extract, splice."""

from __future__ import annotations

import numpy as np
import pytest

from edge_aigc.converters.ir import Builder, Graph, Value, read, write
from edge_aigc.converters.models import DIGITS
from edge_aigc.converters.sources.keras import load_keras
from edge_aigc.interpreter import Interpreter


def _chain() -> Graph:
    """A convolution, a ReLU that is read twice, a sum, a product."""
    x = Value(name="x", shape=(1, 5, 6, 2))
    graph = Graph(inputs=[x], outputs=[], nodes=[], input_names=["x"], output_names=["y"])
    build = Builder(graph)
    rng = np.random.default_rng(3)
    y = build.conv_2d(x, rng.normal(size=(2, 3, 3, 2)).astype(np.float32), padding="SAME")
    y = build.unary("RELU", y)
    z = build.add(y, np.float32([1.0, 2.0]))
    graph.outputs = [build.mul(z, y)]
    return graph


def _outputs(flatbuffer: bytes, seed: int = 0) -> list[np.ndarray]:
    interpreter = Interpreter(flatbuffer)
    rng = np.random.default_rng(seed)
    inputs = [rng.normal(size=value.shape).astype(np.float32) for value in read(flatbuffer).inputs]
    return interpreter.run(inputs)


@pytest.fixture(scope="module")
def digits() -> bytes:
    return load_keras(DIGITS).flatbuffer


def test_a_flatbuffer_read_and_written_computes_the_same_bits(digits: bytes) -> None:
    assert np.array_equal(_outputs(digits)[0], _outputs(write(read(digits)))[0])


def test_writing_twice_gives_the_same_bytes(digits: bytes) -> None:
    graph = read(digits)
    assert write(graph) == write(graph) == write(read(write(graph)))


def test_borders_keep_their_names(digits: bytes) -> None:
    graph = read(write(read(digits)))
    assert graph.input_names == ["latent", "digit"]
    assert [value.name for value in graph.inputs] == ["latent", "digit"]
    assert graph.output_names == ["image"]


def test_every_region_of_a_chain_can_be_taken_out_and_put_back() -> None:
    for start in range(4):
        for end in range(start + 1, 5):
            graph = _chain()
            expected = _outputs(write(graph))[0]
            region = graph.nodes[start:end]
            graph.splice(region, read(write(graph.extract(region))))
            assert np.array_equal(_outputs(write(graph))[0], expected)


def test_a_region_gives_what_is_read_outside_only() -> None:
    graph = _chain()
    micro = graph.extract(graph.nodes[:2])
    assert len(micro.inputs) == 1
    assert len(micro.outputs) == 1


def test_a_copy_is_not_touched_by_edits() -> None:
    graph = _chain()
    before = write(graph)
    other = graph.copy()
    other.outputs = [other.nodes[0].output]
    other.remove_dead()
    assert len(other.nodes) == 1
    assert write(graph) == before


def test_dead_nodes_go() -> None:
    graph = _chain()
    Builder(graph).unary("TANH", graph.nodes[0].output)
    assert graph.remove_dead() == 1
