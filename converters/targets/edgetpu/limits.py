"""What Coral's table demands of a use of an operator; a function each, named in `operators.toml`.

Each returns None where the use is within the limit, else why it is not. A reason that begins with `DOUBT` is one
of experience: the compiler has been seen to leave such uses on the CPU and to map some; they count as mapped.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from edge_aigc.converters.targets.edgetpu.nodes import Node

DOUBT = "may stay on the CPU: "
_NO_ACTIVATION = 0
"""ActivationFunctionType.NONE of the schema."""
_LONGEST_SOFTMAX = 16_000
"""Coral's table."""
_DEPTH_STEP = 4
"""Coral's table, MEAN."""
_SURE_RESIZE, _HOPELESS_RESIZE = 2.0, 15.0
"""Compiled in google-coral/test_data: 33 to 33 and 24 to 48; left on the CPU there: 33 to 513 (15.5) and 1 to 33."""
_SURE_SIDE, _HOPELESS_SIDE = 128, 512
"""google-coral/edgetpu issue 31: 64 to 128 maps, 256 to 512 does not."""
_SURE_WEIGHT_BYTES = 1 << 20
"""google-coral/edgetpu issue 684: 2 MiB of weights (1024 to 512 channels) were refused."""
_HEIGHT_AND_WIDTH = (1, 2)
_RANK_OF_A_PICTURE = 4


def no_fused_activation(node: Node) -> str | None:
    """An activation stands in an operator of its own."""
    fused = node.options.get("fusedActivationFunction", _NO_ACTIVATION) != _NO_ACTIVATION
    return "it has an activation fused in; the Edge TPU wants that apart" if fused else None


def only_zeros_joined(node: Node) -> str | None:
    """A constant is joined only to pad with zeros."""
    constant = [p for p, tensor in enumerate(node.operator.inputs) if tensor is not None and tensor.constant]
    if not constant or (len(node.inputs) == 2 and set(constant) <= node.zeros):  # noqa: PLR2004 - Coral's table
        return None
    return "it joins a constant that is not zeros, or more than one other input"


def constant_parameters(node: Node) -> str | None:
    """Weights are known when it is compiled."""
    weights = node.operator.inputs[1] if len(node.operator.inputs) > 1 else None
    if weights is None or not weights.constant:
        return "its weights are computed; the Edge TPU wants constants"
    return None


def equal_dilation(node: Node) -> str | None:
    """Dilation is the same both ways."""
    down, along = node.options.get("dilationHFactor", 1), node.options.get("dilationWFactor", 1)
    return None if down == along else f"its dilation is {down} down and {along} along; the Edge TPU wants them equal"


def default_weights(node: Node) -> str | None:
    """Weights are not shuffled."""
    shuffled = node.options.get("weightsFormat", 0) != 0
    return "its weights are in the shuffled format; the Edge TPU takes the default" if shuffled else None


def one_row_out(node: Node) -> str | None:
    """The output has one dimension that is wider than 1."""
    return _one_row(node.operator.outputs[0].shape, "gives")


def short_row(node: Node) -> str | None:
    """A softmax is over one row, not too long."""
    shape = node.operator.outputs[0].shape
    if math.prod(shape) > _LONGEST_SOFTMAX:
        return f"it is over {math.prod(shape):,} values; the Edge TPU takes {_LONGEST_SOFTMAX:,}"
    return _one_row(shape, "is over")


def batch_kept(node: Node) -> str | None:
    """A reduction leaves the batch alone."""
    return "it reduces the batch, which the Edge TPU does not" if 0 in _axes(node) else None


def depth_in_fours(node: Node) -> str | None:
    """A mean over the depth is over a multiple of 4."""
    first = node.operator.inputs[0]
    if first is None or len(first.shape) - 1 not in _axes(node) or first.shape[-1] % _DEPTH_STEP == 0:
        return None
    return f"it is over a depth of {first.shape[-1]}; the Edge TPU wants a multiple of {_DEPTH_STEP}"


def not_along_batch(node: Node) -> str | None:
    """Tensors are not packed along the batch."""
    rank = len(node.operator.outputs[0].shape)
    along = int(node.options.get("axis", 0)) % max(rank, 1) == 0
    return "it packs along the batch, which the Edge TPU does not" if along else None


def batch_unpadded(node: Node) -> str | None:
    """The batch is not padded, and the padding is known."""
    padding = node.numbers.get(1)
    if padding is None:
        return "its padding is computed; the Edge TPU wants a constant"
    return "it pads the batch, which the Edge TPU does not" if any(padding[:2]) else None


def slopes_by_channel(node: Node) -> str | None:
    """A PReLU has a slope for each channel at most."""
    slopes = node.operator.inputs[1]
    wide = slopes is not None and any(size != 1 for size in slopes.shape[:-1])
    return "its slopes differ by place; use `shared_axes=[1, 2]`" if wide else None


def whole_numbers(node: Node) -> str | None:
    """A quantization is from whole numbers to whole numbers."""
    first = node.operator.inputs[0]
    if first is None or first.dtype in {"INT8", "UINT8"}:
        return None
    return f"it takes {first.dtype.lower()}; give the model int8"


def split_within_sample(node: Node) -> str | None:
    """The batch is not split."""
    axis = node.numbers.get(0)
    if axis is None:
        return "where it splits is computed; the Edge TPU wants a constant"
    rank = len(node.operator.outputs[0].shape)
    return "it splits the batch, which the Edge TPU does not" if axis[0] % max(rank, 1) == 0 else None


def unit_strides(node: Node) -> str | None:
    """A slice takes neighbours, and has no ellipsis and no new axis."""
    if node.options.get("ellipsisMask", 0) or node.options.get("newAxisMask", 0):
        return "it has an ellipsis or a new axis, which the Edge TPU does not take"
    strides = node.numbers.get(3)
    if strides is None or any(stride != 1 for stride in strides):
        return f"its strides are {list(strides) if strides else 'computed'}; the Edge TPU takes 1"
    return None


def moderate_resize(node: Node) -> str | None:
    """A picture is not made too much larger, nor too large."""
    before, after = node.operator.inputs[0], node.operator.outputs[0]
    if before is None or len(before.shape) != _RANK_OF_A_PICTURE:
        return "it is not of a picture"
    factor = max(after.shape[side] / max(before.shape[side], 1) for side in _HEIGHT_AND_WIDTH)
    longest = max(after.shape[side] for side in _HEIGHT_AND_WIDTH)
    sizes = f"it goes from {list(before.shape[1:3])} to {list(after.shape[1:3])}"
    if factor >= _HOPELESS_RESIZE or longest >= _HOPELESS_SIDE:
        return f"{sizes}, too far to keep precision; resize in steps of 2 up to {_SURE_SIDE}, or outside of the model"
    if factor > _SURE_RESIZE or longest > _SURE_SIDE:
        return f"{DOUBT}{sizes}; steps of 2 up to {_SURE_SIDE} are sure"
    return None


def moderate_weights(node: Node) -> str | None:
    """A transposed convolution is not too large."""
    size = max(node.bytes_by_constant.values(), default=0)
    if size <= _SURE_WEIGHT_BYTES:
        return None
    return (
        f"{DOUBT}it has {size:,} B of weights; large ones have been refused (google-coral/edgetpu issues 509, 684, 686)"
    )


def _axes(node: Node) -> set[int]:
    first = node.operator.inputs[0]
    rank = len(first.shape) if first is not None else 1
    return {axis % max(rank, 1) for axis in node.numbers.get(1, ())}


def _one_row(shape: tuple[int, ...], verb: str) -> str | None:
    wide = [size for size in shape if size != 1]
    return f"it {verb} {list(shape)}; the Edge TPU takes one dimension" if len(wide) > 1 else None


LIMITS: Mapping[str, Callable[[Node], str | None]] = {
    limit.__name__: limit
    for limit in (
        batch_kept,
        batch_unpadded,
        constant_parameters,
        default_weights,
        depth_in_fours,
        equal_dilation,
        moderate_resize,
        moderate_weights,
        no_fused_activation,
        not_along_batch,
        one_row_out,
        only_zeros_joined,
        short_row,
        slopes_by_channel,
        split_within_sample,
        unit_strides,
        whole_numbers,
    )
}
"""By the names that `operators.toml` uses."""
