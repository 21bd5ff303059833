"""How a window operator reads its input: activation, padding, strides, dilations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict

from ai_edge_litert import schema_py_generated as schema

if TYPE_CHECKING:
    from edge_aigc.converters.ir.graph import Node, Value

Padding: TypeAlias = Literal["SAME", "VALID"]
Pair: TypeAlias = tuple[int, int]

_ACTIVATIONS = {number: name for name, number in vars(schema.ActivationFunctionType).items() if isinstance(number, int)}


class Window(TypedDict, total=False):
    """How a convolution's kernel goes over the picture."""

    stride: Pair
    """(1, 1) unless stated."""
    dilation: Pair
    """(1, 1) unless stated."""
    padding: Padding
    """VALID unless stated."""
    activation: str
    """That is fused; NONE unless stated."""


def activation_of(node: Node) -> str:
    """Return the name of the activation that is fused into a node; ``NONE`` if none is."""
    return str(_ACTIVATIONS[int(node.options.get("fusedActivationFunction", 0))])


def padding_of(node: Node) -> Padding:
    """Return a window operator's padding."""
    return "SAME" if int(node.options["padding"]) == schema.Padding.SAME else "VALID"


def stride_of(node: Node) -> Pair:
    """Return a window operator's strides: down, right."""
    return int(node.options["strideH"]), int(node.options["strideW"])


def dilation_of(node: Node) -> Pair:
    """Return a convolution's dilations: down, right."""
    return int(node.options.get("dilationHFactor", 1)), int(node.options.get("dilationWFactor", 1))


def same_padding(size: int, kernel: int, stride: int, dilation: int = 1) -> Pair:
    """Return what SAME adds before and after an axis: TensorFlow's rule, the odd one after."""
    reach = (kernel - 1) * dilation + 1
    total = max((-(-size // stride) - 1) * stride + reach - size, 0)
    return total // 2, total - total // 2


def activation_number(name: str) -> int:
    """Return the schema's number of an activation."""
    return int(getattr(schema.ActivationFunctionType, name))


def window_options(stride: Pair, dilation: Pair | None, padding: Padding, activation: str) -> dict[str, Any]:
    """Return the schema's fields of a window operator; no dilations for what has none."""
    options = {
        "padding": int(getattr(schema.Padding, padding)),
        "strideH": stride[0],
        "strideW": stride[1],
        "fusedActivationFunction": activation_number(activation),
    }
    return options if dilation is None else {**options, "dilationHFactor": dilation[0], "dilationWFactor": dilation[1]}


def window_sizes(x: Value, kernel: Pair, stride: Pair, dilation: Pair, padding: Padding) -> Pair:
    """Return the height and width of what a window operator makes."""
    sizes = []
    for size, reach, step, spread in zip(x.shape[1:3], kernel, stride, dilation, strict=True):
        room = size if padding == "SAME" else size - (reach - 1) * spread
        sizes.append(-(-room // step))
    return sizes[0], sizes[1]
