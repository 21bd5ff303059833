"""Which operators the compiler makes into one: it compiles a single part of the graph, the first that maps.

Source: `PartitionGraphIntoIndependentNodeSubsets` in TensorFlow Lite's graph_info.cc, which delegates and the
compiler are built on; the compiled models of google-coral/test_data are cut where this cuts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_aigc.converters.targets.edgetpu.nodes import Node


def parts(nodes: Sequence[Node], maps: Sequence[bool]) -> list[list[int]]:
    """Return the graph in parts that run one after another; within a part all operators map, or none does.

    Every part is as large as it can be: it takes all operators of its kind that need nothing but what earlier
    parts and itself make, wherever they stand.

    Args:
        nodes: In the order of execution.
        maps: For each, whether the Edge TPU could compute it.
    """
    made_by_nobody_yet = {number for node in nodes for number in node.outputs}
    waiting = list(range(len(nodes)))
    result: list[list[int]] = []
    while waiting:
        part = _next_part(nodes, maps, waiting, made_by_nobody_yet)
        if not part:
            # A damaged file: something needs what nothing makes, or what it makes itself.
            result.append(waiting)
            break
        result.append(part)
        taken = set(part)
        waiting = [index for index in waiting if index not in taken]
    return result


def compiled_part(nodes: Sequence[Node], maps: Sequence[bool]) -> tuple[set[int], set[int]]:
    """Return the operators that are compiled, and those that run on the CPU before them, by position."""
    before: set[int] = set()
    for part in parts(nodes, maps):
        if all(maps[index] for index in part):
            return set(part), before
        before |= set(part)
    return set(), before


def _next_part(nodes: Sequence[Node], maps: Sequence[bool], waiting: list[int], unmade: set[int]) -> list[int]:
    part: list[int] = []
    kind: bool | None = None
    grew = True
    while grew:
        grew = False
        for index in waiting:
            if index in part or not unmade.isdisjoint(nodes[index].inputs):
                continue
            kind = maps[index] if kind is None else kind
            if maps[index] is kind:
                part.append(index)
                unmade.difference_update(nodes[index].outputs)
                grew = True
    return sorted(part)
