"""How many multiplications a net does, as its authors wrote it."""

from __future__ import annotations

import math

from edge_aigc.converters.costs.net import Node, read_net


def multiplications(flatbuffer: bytes) -> int:
    """Return those of convolutions and matrix products; a handful of additions a pixel count nothing."""
    return sum(_of(node) for node in read_net(flatbuffer).nodes)


def _of(node: Node) -> int:
    shapes = [value.shape if value is not None else () for value in node.inputs]
    made = math.prod(node.outputs[0].shape)
    if node.kind == "CONV_2D":
        return made * math.prod(shapes[1][1:])
    if node.kind == "TRANSPOSE_CONV":
        _, height, width, _ = shapes[1]
        return math.prod(shapes[2]) * shapes[1][0] * height * width
    if node.kind == "DEPTHWISE_CONV_2D":
        return made * math.prod(shapes[1][1:3])
    if node.kind == "FULLY_CONNECTED":
        return made * shapes[1][-1]
    if node.kind == "BATCH_MATMUL":
        return made * shapes[0][-1]
    return 0
