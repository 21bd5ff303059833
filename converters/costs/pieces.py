"""A flatbuffer cut into operators, each a flatbuffer of its own beside what its costs depend on.

Given:   y = conv(pad(x), dequantize(w16))
Result:  pad(x), conv(x, dequantize(w16)) with weights, scales and names made equal

Speed and instructions do not depend on values, so two operators of the same shapes, types and options
give the same bytes here, whatever net they come from: `converters/singles.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_aigc.converters.costs.net import read_net
from edge_aigc.converters.singles import split

if TYPE_CHECKING:
    from edge_aigc.converters.costs.net import Node


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One operator."""

    node: Node
    flatbuffer: bytes


def pieces(flatbuffer: bytes) -> tuple[Piece, ...]:
    """Return every operator that computes, in the order of execution.

    Raises:
        ConversionError: It is not a TFLite model.
    """
    nodes = {node.position: node for node in read_net(flatbuffer).nodes}
    return tuple(
        Piece(node=nodes[single.positions[0]], flatbuffer=single.flatbuffer)
        for single in split(flatbuffer, fused=False)
    )
