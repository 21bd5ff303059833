"""Remove channels: a smaller graph that computes what the old one would with those channels zeroed.

Zeroed means: zero in every value that holds them. Sums over channels then lack nothing; of a MEAN over channels the
divisor stays what it was, by a factor after it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edge_aigc.converters.ir import Graph
from edge_aigc.converters.prune.cutting import Cutting
from edge_aigc.converters.prune.groups import found_groups
from edge_aigc.converters.prune.labelled import labelled
from edge_aigc.converters.prune.rules.table import FITS
from edge_aigc.errors import ConversionError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from edge_aigc.converters.ir import Array, Node
    from edge_aigc.converters.prune.classes import Classes
    from edge_aigc.converters.prune.groups import Found
    from edge_aigc.converters.prune.labels import Key, Labels


def cut(graph: Graph, keep: Mapping[str, NDArray[np.bool_]], *, states: Mapping[str, str] | None = None) -> Graph:
    """Return a new, smaller graph.

    Args:
        graph: As it was given to `channel_groups`; is not touched but for names.
        keep: By name of a group which of its units stay; groups that are not named stay whole.
        states: As in `channel_groups`.

    Raises:
        ConversionError: No such group, one that cannot be cut, a mask of another length, or nothing of a group kept.
    """
    graph.name_apart()
    labels = labelled(graph, states)
    classes = labels.settle()
    gone = _gone(found_groups(graph, labels, classes), keep)
    cutting = Cutting(_left(labels, classes, gone))
    inputs = [cutting.value(value) for value in graph.inputs]
    for node in graph.nodes:
        new = cutting.copied(node)
        if node.kind in FITS and _changed(node, new):
            FITS[node.kind](cutting, node, new)
    return Graph(
        inputs=inputs,
        outputs=[cutting.value(value) for value in graph.outputs],
        nodes=cutting.nodes,
        input_names=list(graph.input_names),
        output_names=list(graph.output_names),
        metadata=dict(graph.metadata),
        bodies=graph.bodies,
    )


def _gone(groups: Sequence[Found], keep: Mapping[str, NDArray[np.bool_]]) -> Array:
    """Return the classes whose channels are removed."""
    by_name = {found.group.name: found for found in groups}
    gone: list[Array] = [np.zeros(0, np.int64)]
    for name, mask in keep.items():
        if name not in by_name:
            known = ", ".join(repr(other) for other in list(by_name)[:5]) or "none"
            raise ConversionError(f"The graph has no group {name!r}.", remedy=f"It has {known}, …: `inspect --groups`.")
        found, kept = by_name[name], np.asarray(mask, bool)
        if kept.shape != (found.group.units,):
            raise ConversionError(
                f"The group {name!r} has {found.group.units} units, and the mask is of the shape {list(kept.shape)}.",
                remedy="Give a mask with one element for each unit.",
            )
        if kept.all():
            continue
        if found.group.refused:
            raise ConversionError(f"The group {name!r} cannot be cut: {found.group.refused}.", remedy="Leave it whole.")
        if not kept.any():
            raise ConversionError(f"Nothing of the group {name!r} would be left.", remedy="Keep at least one unit.")
        gone.append(found.roots[~kept])
    return np.concatenate(gone)


def _left(labels: Labels, classes: Classes, gone: Array) -> dict[Key, list[Array]]:
    """Return by tensor the places of each axis that stay."""
    stays = np.ones(classes.count, bool)
    stays[gone] = False
    return {
        key: [np.flatnonzero(stays[classes.roots(axis)]) for axis in entry.axes]
        for key, entry in labels.entries.items()
    }


def _changed(node: Node, new: Node) -> bool:
    """Return whether any tensor of a node has another shape now."""
    pairs = zip((*node.inputs, *node.outputs), (*new.inputs, *new.outputs), strict=True)
    return any(old is not None and now is not None and old.shape != now.shape for old, now in pairs)
