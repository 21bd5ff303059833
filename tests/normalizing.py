"""What the tests of normalizations share: parity before and after, until nothing changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edge_aigc.converters.rewrites.rewrite import normalize
from tests.rewriting import outputs_of

if TYPE_CHECKING:
    from edge_aigc.converters.ir import Graph
    from edge_aigc.converters.rewrites.rewrite import Normalization


def kinds(graph: Graph) -> list[str]:
    """Return the operators in order."""
    return [node.kind for node in graph.nodes]


def error_of(found: np.ndarray[Any, Any], expected: np.ndarray[Any, Any]) -> float:
    """Return the largest error as a share of the largest magnitude."""
    assert found.shape == expected.shape
    return float(np.abs(found - expected).max() / max(float(np.abs(expected).max()), 1e-30))


def normalized(graph: Graph, *passes: Normalization, tolerance: float = 1e-5) -> Graph:
    """Return a graph after normalizations; fail if it computes something else than before.

    Args:
        graph: Is not touched.
        passes: Are run until nothing changes.
        tolerance: Largest error, as a share of the output's largest magnitude.
    """
    changed = graph.copy()
    normalize(changed, passes)
    for found, expected in zip(outputs_of(changed), outputs_of(graph), strict=True):
        assert error_of(found, expected) <= tolerance
    return changed
