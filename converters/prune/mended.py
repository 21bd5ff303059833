"""What a unit is worth where those that stay are refitted: less, as far as they can make up for it.

Given:   importance of each unit alone; activations of a group where layers read them
Result:  the units taken away one after the other, each time the one whose importance times the share of its variance
         that no line of those that are left explains is the smallest; that product is its importance

The share is 1 / (Cⱼⱼ (C⁻¹)ⱼⱼ) with the covariance C of those that are left; taking one away is one step of elimination
in C⁻¹, as in Optimal Brain Surgeon: Hassibi and Stork 1993, equation 5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edge_aigc.converters.prune.patches import input_of, refitted
from edge_aigc.converters.prune.walk import Walk

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from edge_aigc.converters.ir import Array, Graph
    from edge_aigc.converters.prune.groups import Group, Member

_RIDGE = 1e-4
"""Of the mean variance: what the repair's own ridge leaves unexplained."""


def mended(
    graph: Graph, groups: Sequence[Group], scores: Mapping[str, Array], samples: Sequence[Sequence[Array]]
) -> dict[str, Array]:
    """Return what each unit is worth if the layers that read its group are refitted once it is gone.

    Args:
        graph: Whole.
        groups: Of it.
        scores: What each unit is worth alone.
        samples: Inputs, in the graph's order.
    """
    covariances = _covariances(graph, groups, samples)
    return {
        name: _eliminated(np.asarray(each, np.float64), covariances[name]) if name in covariances else each
        for name, each in scores.items()
    }


def _eliminated(alone: Array, covariance: Array) -> Array:
    variance = np.diag(covariance).copy()
    ridge = _RIDGE * max(float(variance.mean()), float(np.finfo(np.float32).tiny))
    inverse = np.linalg.inv(covariance + ridge * np.eye(len(covariance)))
    worth, left, least = np.zeros(len(alone)), np.ones(len(alone), bool), 0.0
    for _ in range(len(alone)):
        share = 1 / ((variance + ridge) * np.diag(inverse))
        unit = int(np.argmin(np.where(left, alone * share, np.inf)))
        least = worth[unit] = max(least, float(alone[unit] * share[unit]))
        left[unit] = False
        row = inverse[unit].copy()
        inverse -= np.outer(row, row) / row[unit]
        inverse[unit, unit] = 1.0  # gone: kept from a division by zero
    return worth


def _covariances(graph: Graph, groups: Sequence[Group], samples: Sequence[Sequence[Array]]) -> dict[str, Array]:
    """Return the covariance of the units of each group that a layer with weights reads."""
    walk = Walk(graph, samples)
    held: dict[str, list[tuple[Group, Member]]] = {}
    for group in groups:
        for member in group.members:
            held.setdefault(member.value_name, []).append((group, member))
    found: dict[str, list[Array]] = {}
    seen: set[str] = set()
    for node in graph.nodes:
        if not refitted(node) or input_of(node).name in seen:
            continue
        value = input_of(node)
        seen.add(value.name)
        for group, member in held.get(value.name, ()):
            found.setdefault(group.name, []).append(_covariance(walk.reach(value), member))
    return {name: np.mean(each, axis=0) for name, each in found.items()}


def _covariance(values: Sequence[Array], member: Member) -> Array:
    def rows() -> Iterator[Array]:
        for value in values:
            chosen = np.moveaxis(value, member.axis, -1)[..., member.places]
            yield np.moveaxis(chosen, -2, -1).reshape(-1, len(member.places)).astype(np.float64)

    mean = sum(each.mean(0) for each in rows()) / len(values)
    covariance = sum((each - mean).T @ (each - mean) / len(each) for each in rows()) / len(values)
    return np.asarray(covariance)
