"""Do what sees one pixel at a time before pixels are multiplied, not after.

Given:   y = act(conv_1x1(resize(x))), nearest or bilinear
Result:  y = act(resize(conv_1x1(x)))

A resize mixes pixels with weights that add up to one, a 1x1 convolution mixes channels: in either order the result is
the same, its bias, too. Before the resize there are fewer pixels.

Given:   y = f(resize_nearest(x)), f elementwise
Result:  y = resize_nearest(f(x))
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_aigc.converters.ir import Builder
from edge_aigc.converters.ir.windows import activation_of, stride_of
from edge_aigc.converters.rewrites.match import per_channel
from edge_aigc.converters.rewrites.movement import repeats

if TYPE_CHECKING:
    from edge_aigc.converters.ir import Graph, Node, Value

_RESIZES = frozenset({"RESIZE_NEAREST_NEIGHBOR", "RESIZE_BILINEAR"})
_UNARY = frozenset(
    {"RELU", "RELU6", "RELU_N1_TO_1", "LEAKY_RELU", "TANH", "LOGISTIC", "ELU", "GELU", "HARD_SWISH", "ABS", "NEG",
     "EXP", "SQUARE", "SQRT", "RSQRT"}
)  # fmt: skip
_BINARY = frozenset({"ADD", "SUB", "MUL", "DIV", "MAXIMUM", "MINIMUM", "PRELU"})


class PointwiseBeforeResize:
    """A 1x1 convolution of what is resized, the smaller picture."""

    name = "1x1 convolution before the resize, not after"

    def regions(self, graph: Graph) -> list[tuple[Node, ...]]:
        """Return every resize to more pixels that only a 1x1 convolution with constant weights reads."""
        return [(resize, node) for node in graph.nodes if (resize := _resize_before(graph, node)) is not None]

    def apply(self, graph: Graph, region: tuple[Node, ...]) -> None:
        """Replace it."""
        resize, convolution = region
        build, activation = Builder(graph, convolution), activation_of(convolution)
        _, weights, *rest = convolution.inputs
        assert weights is not None
        made = build.conv_2d(resize.input(0), weights, rest[0] if rest else None)
        made = _resized(build, resize, made)
        graph.replace(convolution.output, build.activate(made, activation))
        graph.remove_dead()


def elementwise_first(graph: Graph) -> bool:
    """Move elementwise operators from behind a nearest upsampling to before it."""
    changed = False
    for node in list(graph.nodes):
        resize = _repeat_before(graph, node)
        if resize is None:
            continue
        build, x = Builder(graph, node), resize.input(0)
        inputs = [x if value is resize.output else value for value in node.inputs]
        early = build.node(node.kind, inputs, x.shape, option_class=node.option_class, **node.options)
        graph.replace(node.output, _resized(build, resize, early))
        graph.remove_dead()
        changed = True
    return changed


def _resize_before(graph: Graph, node: Node) -> Node | None:
    if node.kind != "CONV_2D" or node.output.dtype != "FLOAT32" or stride_of(node) != (1, 1):
        return None
    x, weights = node.input(0), node.input(1)
    if weights.shape[1:3] != (1, 1) or weights.shape[3] != x.shape[3]:
        return None
    constant = all(value is None or value.constant for value in node.inputs[1:])
    resize = x.producer
    if not constant or resize is None or resize.kind not in _RESIZES or graph.sole_user(x) is not node:
        return None
    return resize if x.size > resize.input(0).size else None


def _repeat_before(graph: Graph, node: Node) -> Node | None:
    """Return the nearest upsampling that only an elementwise node with constants reads; None if it is not one."""
    if node.kind not in _UNARY | _BINARY:
        return None
    varying = [value for value in node.inputs if value is not None and not value.constant]
    if len(varying) != 1 or varying[0].producer is None or not repeats(varying[0].producer):
        return None
    wide = varying[0]
    if graph.sole_user(wide) is not node or node.output.shape != wide.shape or node.output.dtype != wide.dtype:
        return None
    return wide.producer if all(_by_channel(value, wide) for value in node.inputs) else None


def _by_channel(value: Value | None, wide: Value) -> bool:
    if value is None or value.data is None:
        return True
    return len(value.shape) <= len(wide.shape) and per_channel(value.data, wide.shape[3]) is not None


def _resized(build: Builder, resize: Node, x: Value) -> Value:
    _, high, wide, _ = resize.output.shape
    return build.resize(
        resize.kind,
        x,
        (high, wide),
        align_corners=bool(resize.options.get("alignCorners")),
        half_pixel=bool(resize.options.get("halfPixelCenters")),
    )
