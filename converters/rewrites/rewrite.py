"""What a rewrite is.

Two kinds. A *normalization* is right wherever it applies (constants folded, dead code removed, transposes
cancelled): a function that edits a graph and tells whether it did. An *alternative* pays only on some shapes,
types and processors: `forms.py` tries it at each place and keeps what costs least.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TypeAlias

from edge_aigc.converters.ir import Graph

if TYPE_CHECKING:
    from edge_aigc.converters.ir import Node

Normalization: TypeAlias = Callable[[Graph], bool]
"""Edits a graph in place; returns whether anything changed."""


class Alternative(Protocol):
    """Another form of a few operators: the same function, at another cost."""

    @property
    def name(self) -> str:
        """Return what reports call it, for example ``transposed convolution to convolution + depth to space``."""
        ...

    def regions(self, graph: Graph) -> list[tuple[Node, ...]]:
        """Return where it applies: the nodes that it would replace, first anchor first; regions may overlap.

        A region is closed: of what its nodes make only what the last one gives is read outside.
        """
        ...

    def apply(self, graph: Graph, region: tuple[Node, ...]) -> None:
        """Replace a region in place; the graph computes the same as before, up to rounding."""
        ...


def normalize(graph: Graph, passes: tuple[Normalization, ...], *, most_rounds: int = 50) -> bool:
    """Run normalizations until none of them finds anything more to do; return whether anything changed.

    Raises:
        AssertionError: They undo each other's work for ever.
    """
    for done in range(most_rounds):
        changed = [one for one in passes if one(graph)]
        graph.remove_dead()
        if not changed:
            return done > 0
    raise AssertionError(f"{', '.join(one.__name__ for one in changed)} never end")
