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


def lost_places(groups: Sequence[Group], keep: Keep) -> dict[str, dict[int, Array]]:
    """Return what of each value a cut takes away, by name and axis.

    Args:
        groups: Of the whole graph.
        keep: Groups that are not in it lose nothing.
    """
    gone: dict[str, dict[int, set[int]]] = {}
    for group in groups:
        mask = keep.get(group.name)
        for member in group.members if mask is not None else ():
            lost = np.ravel(member.places[~np.asarray(mask)]).tolist()
            gone.setdefault(member.value_name, {}).setdefault(member.axis, set()).update(lost)
    return {name: {axis: np.array(sorted(lost), np.intp) for axis, lost in axes.items()} for name, axes in gone.items()}


def places_left(graph: Graph, groups: Sequence[Group], keep: Keep) -> Callable[[str], Array]:
    """Return what tells the places of a value's last axis that are left, by the value's name.

    Args:
        graph: Whole.
        groups: Of it.
        keep: Groups that are not in it lose nothing.
    """
    shapes = {value.name: value.shape for node in graph.nodes for value in (*node.inputs, *node.outputs) if value}
    gone = lost_places(groups, keep)

    def left(name: str) -> Array:
        lost = gone.get(name, {}).get(len(shapes[name]) - 1, ())
        return np.setdiff1d(np.arange(shapes[name][-1]), lost)

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
