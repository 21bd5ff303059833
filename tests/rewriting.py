"""What the tests of rewrites share: small graphs, and parity in the interpreter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edge_aigc.converters.ir import Builder, Graph, Value, write
from edge_aigc.interpreter import Interpreter

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_aigc.converters.rewrites.rewrite import Alternative


def graph_of(shape: tuple[int, ...], make: Callable[[Builder, Value], Value]) -> Graph:
    """Return a graph of one input and of the output that `make` builds from it."""
    x = Value(name="x", shape=shape)
    graph = Graph(inputs=[x], outputs=[], nodes=[], input_names=["x"], output_names=["y"])
    graph.outputs = [make(Builder(graph), x)]
    return graph


def normal(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """Return normal numbers in float32."""
    return rng.normal(size=shape).astype(np.float32)


def outputs_of(graph: Graph, seed: int = 0) -> list[np.ndarray[Any, Any]]:
    """Return what a graph makes of normal inputs."""
    rng = np.random.default_rng(seed)
    return Interpreter(write(graph)).run([normal(rng, value.shape) for value in graph.inputs])


def assert_same(form: Alternative, graph: Graph, *, tolerance: float = 1e-5) -> None:
    """Apply an alternative wherever it applies and compare each result with the graph before.

    Args:
        form: The alternative.
        graph: Has one output, is not touched.
        tolerance: Largest error, as a share of the output's largest magnitude.
    """
    expected = outputs_of(graph)[0]
    places = len(form.regions(graph))
    for place in range(places):
        changed = graph.copy()
        region = form.regions(changed)[place]
        form.apply(changed, region)
        assert not any(node in changed.nodes for node in region)
        found = outputs_of(changed)[0]
        assert found.shape == expected.shape
        assert np.abs(found - expected).max() <= tolerance * np.abs(expected).max()
