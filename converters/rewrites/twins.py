"""Compute once what is computed twice.

Given:   y = f(x); z = f(x)
Result:  y = f(x); z = y
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edge_aigc.converters.rewrites.match import swap

if TYPE_CHECKING:
    from edge_aigc.converters.ir import Graph, Node, Value

_KEPT = ("RANDOM", "MULTINOMIAL", "VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE", "CALL", "STABLEHLO_RNG")
"""Beginnings of the names of operators of which two are not one."""

_COMPARED_BYTES = 64 << 10
"""Constants that are larger are equal only if they are the same: comparing all weights takes longer than it saves."""


def merge_twins(graph: Graph) -> bool:
    """Merge nodes of equal kind, options and inputs."""
    seen: dict[Any, Node] = {}
    changed = False
    for node in list(graph.nodes):
        if node.is_custom or node.more is not None or node.kind.startswith(_KEPT) or _scaled(node):
            continue
        key = (
            node.kind,
            tuple(_identity(value) for value in node.inputs),
            tuple(sorted((name, _plain(option)) for name, option in node.options.items())),
            tuple((value.shape, value.dtype) for value in node.outputs),
        )
        first = seen.setdefault(key, node)
        if first is not node:
            for old, new in zip(node.outputs, first.outputs, strict=True):
                changed |= swap(graph, old, new)
    graph.remove_dead()
    return changed


def _scaled(node: Node) -> bool:
    """Return whether a scale tells what a node's numbers mean: equal bytes may be different values."""
    return any(value is not None and value.quantization is not None for value in (*node.inputs, *node.outputs))


def _identity(value: Value | None) -> Any:
    if value is None or value.data is None or value.data.nbytes > _COMPARED_BYTES:
        return None if value is None else id(value)
    return value.dtype, value.shape, value.data.tobytes()


def _plain(option: Any) -> str:
    return repr(option.tolist() if isinstance(option, np.ndarray) else option)
