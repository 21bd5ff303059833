"""Know a dilated convolution that is spelled with batches.

Given:   y = BATCH_TO_SPACE_ND(conv(SPACE_TO_BATCH_ND(x, d, pads), w, b), d, crops), stride 1
Result:  y = conv(PAD(x, pads - crops), w, b), dilation d

So TensorFlow wrote dilated convolutions before TFLite knew them; XNNPACK runs neither of the operators around it.
In one dimension a reshape to pictures and back stands between them and the convolution.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edge_aigc.converters.ir import Builder
from edge_aigc.converters.ir.windows import dilation_of, padding_of, same_padding, stride_of
from edge_aigc.converters.rewrites.match import sole_maker

if TYPE_CHECKING:
    from edge_aigc.converters.ir import Array, Graph, Node, Value

_CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D")
_RESHAPES = ("RESHAPE", "EXPAND_DIMS", "SQUEEZE")
_PICTURE = 4


def know_dilation(graph: Graph) -> bool:
    """Write convolutions between batches as dilated ones."""
    changed = False
    for node in list(graph.nodes):
        if node.kind == "BATCH_TO_SPACE_ND" and node in graph.nodes:
            changed = _know(graph, node) or changed
    return changed


def _know(graph: Graph, end: Node) -> bool:
    convolution = _before(graph, end, _CONVOLUTIONS)
    start = None if convolution is None else _before(graph, convolution, ("SPACE_TO_BATCH_ND",))
    if convolution is None or start is None or not _fits(convolution):
        return False
    blocks, pads = _numbers(start), _numbers(end)
    if blocks is None or pads is None or not np.array_equal(blocks[0], pads[0]):
        return False
    dilation = _of_picture(convolution, blocks[0], 1)
    around = _own_zeros(convolution) * dilation[:, None]
    zeros = _of_picture(convolution, blocks[1], 0) - _of_picture(convolution, pads[1], 0) + around
    if (zeros < 0).any():
        return False
    _write(graph, (start, convolution, end), dilation, zeros)
    return True


def _before(graph: Graph, node: Node, kinds: tuple[str, ...]) -> Node | None:
    """Return the node of one of the kinds that makes what a node reads, maybe through a reshape, for it alone."""
    reshape = sole_maker(graph, node.input(0), *_RESHAPES)
    return sole_maker(graph, (node if reshape is None else reshape).input(0), *kinds)


def _fits(convolution: Node) -> bool:
    return stride_of(convolution) == dilation_of(convolution) == (1, 1)


def _numbers(node: Node) -> tuple[Array, Array] | None:
    """Return the block along each axis and the amounts before and after it."""
    block, amounts = node.input(1).data, node.input(2).data
    return None if block is None or amounts is None else (block, amounts)


def _of_picture(convolution: Node, given: Array, neutral: int) -> Array:
    """Return what is given down and right; what is given for one axis is for the one that is longer than 1."""
    if len(given) == 2:  # noqa: PLR2004 - two axes
        return given.astype(np.int64)
    other = np.full_like(given, neutral, dtype=np.int64)
    upright = convolution.input(1).shape[1] > 1
    return np.concatenate([given, other] if upright else [other, given])


def _own_zeros(convolution: Node) -> Array:
    """Return the zeros that the convolution itself puts around each batch."""
    sides = zip(convolution.input(0).shape[1:3], convolution.input(1).shape[1:3], strict=True)
    same = padding_of(convolution) == "SAME"
    return np.array([same_padding(size, kernel, 1) if same else (0, 0) for size, kernel in sides])


def _write(graph: Graph, nodes: tuple[Node, Node, Node], dilation: Array, zeros: Array) -> None:
    start, convolution, end = nodes
    build, x = Builder(graph, end), start.input(0)
    if len(x.shape) < _PICTURE:
        x = build.reshape(x, _picture(convolution, x))
    if zeros.any():
        down, right = ((int(before), int(after)) for before, after in zeros)
        x = build.pad(x, ((0, 0), down, right, (0, 0)))
    _, high, wide, _ = x.shape
    kernel = convolution.input(1).shape
    made = build.node(
        convolution.kind,
        [x, *convolution.inputs[1:]],
        (
            x.shape[0],
            high - (kernel[1] - 1) * int(dilation[0]),
            wide - (kernel[2] - 1) * int(dilation[1]),
            convolution.output.shape[3],
        ),
        option_class=convolution.option_class,
        **{
            **convolution.options,
            "padding": int(schema.Padding.VALID),
            "dilationHFactor": int(dilation[0]),
            "dilationWFactor": int(dilation[1]),
        },
    )
    graph.replace(end.output, made if made.shape == end.output.shape else build.reshape(made, end.output.shape))
    graph.remove_dead()


def _picture(convolution: Node, x: Value) -> tuple[int, int, int, int]:
    batch, length, depth = x.shape
    return (batch, length, 1, depth) if convolution.input(1).shape[1] > 1 else (batch, 1, length, depth)
