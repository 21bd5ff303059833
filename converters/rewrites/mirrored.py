"""Write mirrored borders as slices side by side.

Given:   y = mirror_pad(x)
Result:  y = concat(slices, concat(slices, x, slices), slices), one concatenation an axis

XNNPACK has no MIRROR_PAD, and the kernel that runs instead computes the place of every element; slices and
concatenations copy whole rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_aigc.converters.ir import Builder
from edge_aigc.converters.rewrites.match import known

if TYPE_CHECKING:
    from edge_aigc.converters.ir import Graph, Node, Value

_MOST_SLICES = 16
"""Of one axis: a border is as wide as half a kernel, 3 for one of 7."""


class ConcatenatedMirror:
    """One concatenation an axis, the innermost first."""

    name = "mirrored border to slices and concatenations"

    def regions(self, graph: Graph) -> list[tuple[Node, ...]]:
        """Return every MIRROR_PAD with narrow constant borders."""
        return [(node,) for node in graph.nodes if node.kind == "MIRROR_PAD" and _narrow(node)]

    def apply(self, graph: Graph, region: tuple[Node, ...]) -> None:
        """Replace it."""
        (node,) = region
        build, y = Builder(graph, node), node.input(0)
        skipped = 0 if node.options["mode"] else 1  # symmetric repeats the border itself
        for axis, (before, after) in reversed(list(enumerate(_amounts(node)))):
            size = y.shape[axis]
            near = [_cut(build, y, axis, place) for place in reversed(range(skipped, skipped + before))]
            far = [_cut(build, y, axis, size - 1 - place) for place in range(skipped, skipped + after)]
            y = build.concatenate([*near, y, *far], axis) if near or far else y
        graph.replace(node.output, y)
        graph.remove_dead()


def _amounts(node: Node) -> list[tuple[int, int]]:
    return [(int(before), int(after)) for before, after in known(node.input(1))]


def _narrow(node: Node) -> bool:
    if node.input(1).data is None:
        return False
    widest = max(sum(pair) for pair in _amounts(node))
    return 0 < widest <= _MOST_SLICES


def _cut(build: Builder, x: Value, axis: int, place: int) -> Value:
    begin = [place if other == axis else 0 for other in range(len(x.shape))]
    return build.slice(x, begin, [1 if other == axis else size for other, size in enumerate(x.shape)])
