"""Random numbers of an ONNX graph, taken from inputs.

Given:   y = f(x, RandomNormalLike(x, mean=m, scale=s))
Result:  y = f(x, noise · s + m), noise an input whose prior is standard normal

RandomUniform likewise, from uniform numbers in [0, 1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_aigc.errors import ConversionError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_PRIORS = {
    "RandomNormal": "normal", "RandomNormalLike": "normal",
    "RandomUniform": "uniform", "RandomUniformLike": "uniform",
}  # fmt: skip
_FLOAT = 1
"""ONNX's number of float32 (`TensorProto.DataType`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """One input that random numbers became."""

    name: str
    shape: tuple[int, ...]
    prior: str
    """``normal`` or ``uniform``."""


def lift_draws(model: Any, shapes: Mapping[str, tuple[int, ...]]) -> tuple[Any, tuple[Draw, ...]]:
    """Return a model whose random numbers are inputs, after its others, and what they are; the same where none are.

    Args:
        model: `onnx.ModelProto`, its functions inlined; it is not touched.
        shapes: Of its inputs.

    Raises:
        ConversionError: The size of a draw is not known before the model runs.
    """
    if not any(node.op_type in _PRIORS for node in model.graph.node):
        return model, ()
    from onnx import helper

    lifted = type(model)()
    lifted.CopyFrom(model)
    known = _shapes(model, shapes)
    taken = {entry.name for entry in (*model.graph.input, *model.graph.output, *model.graph.initializer)}
    draws: list[Draw] = []
    nodes: list[Any] = []
    for node in model.graph.node:
        if node.op_type not in _PRIORS:
            nodes.append(node)
            continue
        draw = Draw(name=_free(taken, len(draws)), shape=_shape(node, known), prior=_PRIORS[node.op_type])
        draws.append(draw)
        nodes.extend(_scaled(node, draw.name))
    del lifted.graph.node[:]
    lifted.graph.node.extend(nodes)
    lifted.graph.input.extend(helper.make_tensor_value_info(draw.name, _FLOAT, draw.shape) for draw in draws)
    return lifted, tuple(draws)


def _shapes(model: Any, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """Return the shapes of everything that has one once the inputs have theirs."""
    from onnx import shape_inference

    fixed = type(model)()
    fixed.CopyFrom(model)
    for entry in fixed.graph.input:
        for size, known in zip(entry.type.tensor_type.shape.dim, shapes.get(entry.name, ()), strict=False):
            size.Clear()
            size.dim_value = known
    del fixed.graph.value_info[:]  # inferred for sizes that were open
    inferred = shape_inference.infer_shapes(fixed, data_prop=True).graph
    found = {tensor.name: tuple(tensor.dims) for tensor in inferred.initializer}
    for entry in (*inferred.input, *inferred.value_info, *inferred.output):
        sizes = [size.dim_value for size in entry.type.tensor_type.shape.dim if size.HasField("dim_value")]
        if entry.type.tensor_type.HasField("shape") and len(sizes) == len(entry.type.tensor_type.shape.dim):
            found[entry.name] = tuple(sizes)
    return found


def _shape(node: Any, known: Mapping[str, tuple[int, ...]]) -> tuple[int, ...]:
    stated = next((tuple(entry.ints) for entry in node.attribute if entry.name == "shape"), None)
    shape = known.get(node.output[0]) or (known.get(node.input[0]) if node.input else stated)
    if shape is None or 0 in shape:
        raise ConversionError(
            f"The model draws random numbers ({node.op_type} {node.output[0]!r}) whose size is not known before it "
            "runs.",
            remedy="Draw them in a fixed size, or give the model an input for its noise.",
        )
    return shape


def _scaled(node: Any, name: str) -> Iterator[Any]:
    """Yield what makes of standard numbers what the node drew."""
    from onnx import helper, numpy_helper

    stated = {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}
    if _PRIORS[node.op_type] == "normal":
        factor, offset = stated.get("scale", 1.0), stated.get("mean", 0.0)
    else:
        offset = stated.get("low", 0.0)
        factor = stated.get("high", 1.0) - offset
    steps = [("Mul", factor)] * (factor != 1) + [("Add", offset)] * (offset != 0)
    for place, (kind, number) in enumerate(steps):
        held = f"{node.output[0]}/{kind}/number"
        yield helper.make_node("Constant", [], [held], value=numpy_helper.from_array(np.float32(number)))
        made = f"{node.output[0]}/{kind}" if place + 1 < len(steps) else f"{node.output[0]}/drawn"
        yield helper.make_node(kind, [name, held], [made], name=f"{node.name}/{kind}")
        name = made
    yield helper.make_node("Cast", [name], [node.output[0]], name=node.name, to=stated.get("dtype", _FLOAT))


def _free(taken: set[str], number: int) -> str:
    name = "noise" if number == 0 else f"noise_{number + 1}"
    while name in taken:
        name += "_"
    taken.add(name)
    return name
