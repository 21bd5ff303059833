"""Where teacher and student are compared between their operators: values of the same name, the places that are left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge_aigc.converters.distill.lessons import Tap

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_aigc.converters.ir import Graph

Array: TypeAlias = NDArray[Any]

_COUNT = 3
_BUSY = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "FULLY_CONNECTED", "BATCH_MATMUL"})


def taps_of(teacher: Graph, student: Graph, gone: Mapping[str, Mapping[int, Array]] = {}) -> tuple[Tap, ...]:
    """Return a few values of weighing operators that both have, evenly spread from inputs to outputs.

    Args:
        teacher: The whole graph.
        student: What is left of it.
        gone: From `prune.units.lost_places`; a value whose shape it does not explain is no tap.
    """
    left = {value.name: value.shape for node in student.nodes for value in node.outputs}
    found = []
    for node in teacher.nodes:
        value = node.output
        if node.kind not in _BUSY or value.dtype != "FLOAT32" or value in teacher.outputs or value.name not in left:
            continue
        kept = {
            axis: np.setdiff1d(np.arange(value.shape[axis]), lost)
            for axis, lost in gone.get(value.name, {}).items()
            if len(lost)
        }
        shape = tuple(len(kept[axis]) if axis in kept else size for axis, size in enumerate(value.shape))
        if shape == left[value.name]:
            found.append(Tap(name=value.name, kept=kept))
    places = np.unique(np.linspace(0, len(found), _COUNT + 2)[1:-1].astype(int)) if found else ()
    return tuple(found[place] for place in places)
