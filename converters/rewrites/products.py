"""Let a product of matrices read an operand turned round, rather than turn it round before.

Given:   y = BATCH_MATMUL(TRANSPOSE(a), b), the last two axes swapped
Result:  y = BATCH_MATMUL(a, b), adjX set; likewise b and adjY
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_aigc.converters.rewrites.match import maker, order_of

if TYPE_CHECKING:
    from edge_aigc.converters.ir import Graph


def read_turned(graph: Graph) -> bool:
    """Take the transposes before products of matrices into them."""
    changed = False
    for node in graph.nodes:
        if node.kind != "BATCH_MATMUL":
            continue
        for place, flag in enumerate(("adjX", "adjY")):
            before = maker(node.input(place), "TRANSPOSE")
            order = order_of(before)
            if before is None or order is None or before.input(0).data is not None:
                continue
            rank = len(order)
            if order == (*range(rank - 2), rank - 1, rank - 2):
                node.inputs[place] = before.input(0)
                node.options[flag] = not node.options.get(flag)
                changed = True
    graph.remove_dead()
    return changed
