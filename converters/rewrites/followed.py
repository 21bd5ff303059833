"""One alternative, and others on what it makes.

Given:   y = transpose_conv(x, w, b)
Result:  y = depth_to_space(concat(conv(x, w0, b), conv(x, w1, b), …)), each of these in Winograd's products

Both steps together pay where each phase's convolution is alone worth a second step: a search that takes one step
after another would have to take as many as there are phases.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_aigc.converters.ir import Graph, Node
    from edge_aigc.converters.rewrites.rewrite import Alternative


class Followed:
    """An alternative, and for every operator that it makes the first of some others that applies."""

    def __init__(self, first: Alternative, others: Sequence[Alternative]) -> None:
        """Choose what is done.

        Args:
            first: Names the regions.
            others: Tried in this order on every node that the first one makes; their regions begin with it.
        """
        self._first, self._others = first, tuple(others)
        self.name = f"{first.name}, then {' or '.join(other.name for other in others)}"

    def regions(self, graph: Graph) -> list[tuple[Node, ...]]:
        """Return the regions of the first."""
        return self._first.regions(graph)

    def apply(self, graph: Graph, region: tuple[Node, ...]) -> None:
        """Replace a region."""
        known = {id(node) for node in graph.nodes}
        self._first.apply(graph, region)
        for made in [node for node in graph.nodes if id(node) not in known]:
            self._follow(graph, made)

    def _follow(self, graph: Graph, made: Node) -> None:
        for other in self._others:
            for region in other.regions(graph):
                if region[0] is made:
                    other.apply(graph, region)
                    return
