"""Let a window operator pad by itself.

Given:   y = CONV_2D VALID (PAD(x)), the pads those of SAME
Result:  y = CONV_2D SAME (x)

Also PAD(PAD(x)) to one PAD. Other pads stay: XNNPACK takes a PAD of zeros into the convolution after it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ai_edge_litert import schema_py_generated as schema

from edge_aigc.converters.ir import Builder
from edge_aigc.converters.ir.windows import dilation_of, padding_of, same_padding, stride_of
from edge_aigc.converters.rewrites.match import known, maker, swap

if TYPE_CHECKING:
    from edge_aigc.converters.ir import Graph, Node


def fold_pads(graph: Graph) -> bool:
    """Merge pads of zeros into the pads or convolutions after them."""
    changed = False
    for node in list(graph.nodes):
        pad = maker(node.input(0), "PAD") if node.inputs and node.inputs[0] is not None else None
        if pad is None or pad.input(1).data is None:
            continue
        if node.kind in {"CONV_2D", "DEPTHWISE_CONV_2D"} and _is_same(node, pad):
            node.inputs[0] = pad.input(0)
            node.options["padding"] = int(schema.Padding.SAME)
            changed = True
        elif node.kind == "PAD" and node.input(1).data is not None:
            amounts = known(node.input(1)) + known(pad.input(1))
            both = Builder(graph, before=node).pad(pad.input(0), [(int(a), int(b)) for a, b in amounts])
            changed |= swap(graph, node.output, both)
    graph.remove_dead()
    return changed


def _is_same(node: Node, pad: Node) -> bool:
    """Return whether the pads are what SAME would add."""
    if padding_of(node) != "VALID":
        return False
    amounts = [(int(a), int(b)) for a, b in known(pad.input(1))]
    kernel = node.input(1).shape[1:3]
    sides = zip(pad.input(0).shape[1:3], kernel, stride_of(node), dilation_of(node), strict=True)
    wanted = [same_padding(*side) for side in sides]
    return amounts == [(0, 0), *wanted, (0, 0)]
