"""What the groups of a graph tell of its values: which places a unit takes, which are left, who makes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from edge_aigc.converters.prune.patches import REFITTED

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from edge_aigc.converters.ir import Array, Graph, Node
    from edge_aigc.converters.prune.groups import Group, Member

Keep: TypeAlias = "Mapping[str, NDArray[np.bool_]]"
"""Name of a group to which of its units are kept."""


def prunable(groups: Sequence[Group]) -> list[Group]:
    """Return the groups that units can be taken from."""
    return [group for group in groups if not group.refused and group.units > 1]


def places_left(graph: Graph, groups: Sequence[Group], keep: Keep) -> Callable[[str], Array]:
    """Return what tells the places of a value's last axis that are left, by the value's name.

    Args:
        graph: Whole.
        groups: Of it.
        keep: Groups that are not in it lose nothing.
    """
    shapes = {value.name: value.shape for node in graph.nodes for value in (*node.inputs, *node.outputs) if value}
    gone: dict[str, set[int]] = {}
    for group in groups:
        if group.name not in keep:
            continue
        lost = np.flatnonzero(~np.asarray(keep[group.name]))
        for member in group.members:
            if member.axis == len(shapes.get(member.value_name, ())) - 1:
                gone.setdefault(member.value_name, set()).update(member.places[lost].ravel().tolist())

    def left(name: str) -> Array:
        return np.array([place for place in range(shapes[name][-1]) if place not in gone.get(name, ())])

    return left


def makers(graph: Graph, group: Group) -> list[tuple[Node, Member]]:
    """Return the nodes where the channels of a group begin, each with the place of them in what it makes.

    Every sum of products is a beginning; of other operators those that read none of the group's values.
    """
    members = {member.value_name: member for member in group.members}
    found = []
    for node in graph.nodes:
        member = members.get(node.output.name)
        if member is None:
            continue
        computed = [value for value in node.inputs if value is not None and not value.constant]
        if node.kind in REFITTED or not any(value.name in members for value in computed):
            found.append((node, member))
    return found
