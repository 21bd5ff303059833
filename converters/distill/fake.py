"""Fake quantization: the student computes in floats that are rounded as int8 will round them, and learns to bear it.

Weights and activations take the values that the quantizer's own plan gives them; gradients go through the rounding as
if it were not there ("straight through": Bengio, Léonard, Courville 2013; Jacob et al. 2018, arXiv:1712.05877).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from edge_aigc.converters.ir import write
from edge_aigc.converters.quantizer.calibration import Calibration
from edge_aigc.converters.quantizer.kinds import KINDS
from edge_aigc.converters.recipes import NAMED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edge_aigc.converters.ir import Graph, Value
    from edge_aigc.converters.quantizer.plan import Plan, Scene
    from edge_aigc.converters.recipes import Ranges, Recipe

Array: TypeAlias = NDArray[Any]
Tensor: TypeAlias = Any

_WIDEST = 127
"""Of weights: -127..127 (TFLite 8-bit quantization specification)."""
_LOW, _HIGH = -128, 127
_SMALLEST_SCALE = 2.0**-60


class Rounding:
    """How each value and weight of one graph is rounded.

    Attributes:
        numbers: Scale and zero point of each activation, one row each; they follow the weights when `follow` is called.
    """

    def __init__(self, graph: Graph, samples: Sequence[Sequence[Array]], *, ranges: Ranges = "min-max") -> None:
        """Plan it as the quantizer would.

        Args:
            graph: Its values have names of their own.
            samples: That ranges are observed on.
            ranges: Where activations are cut off.

        Raises:
            ConversionError: A value is not finite on the samples.
        """
        self._samples, self._recipe = samples, replace(NAMED["int8"], ranges=ranges)
        scene, plan = planned(graph, samples, self._recipe)
        self._weights = _weights_of(scene, plan)
        found = _activations_of(scene, plan)
        self._places = {name: place for place, name in enumerate(found)}
        self.numbers = keras.Variable(np.array(list(found.values()), np.float32), trainable=False, name="rounding")

    def follow(self, graph: Graph) -> None:
        """Plan anew for the weights as they are now.

        Args:
            graph: The same operators and names.
        """
        found = _activations_of(*planned(graph, self._samples, self._recipe))
        self.numbers.assign(np.array([found[name] for name in self._places], np.float32))

    def weights(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return kernels as int8 holds them; what is not quantized is left out.

        Args:
            weights: By the constants' names.
        """
        return {
            name: _of_weights(ops.convert_to_tensor(weights[name]), axis)
            for name, axis in self._weights.items()
            if name in weights
        }

    def through(self, value: Value, tensor: Tensor) -> Tensor:
        """Return a value's rows as int8 holds them, or as they are where it stays float."""
        place = self._places.get(value.name)
        if place is None:
            return tensor
        scale, zero = self.numbers[place][0], self.numbers[place][1]
        inside = ops.clip(tensor, (_LOW - zero) * scale, (_HIGH - zero) * scale)
        return _straight(inside, scale)


def planned(graph: Graph, samples: Sequence[Sequence[Array]], recipe: Recipe) -> tuple[Scene, Plan]:
    """Return how the quantizer would quantize a graph.

    Args:
        graph: Float.
        samples: That ranges are observed on.
        recipe: Which types.
    """
    return Calibration(write(graph), samples).planned(recipe)


def _weights_of(scene: Scene, plan: Plan) -> dict[str, int | None]:
    """Return the constants that are rounded on their own, by name, with the axis of their channels."""
    found: dict[str, int | None] = {}
    for step in plan.steps:
        if plan.dtype(step.index) is None:
            continue
        row = KINDS[step.kind]
        if row.role == "weighs":
            found[_name(scene, step.inputs[row.weights])] = row.axis
        elif row.symmetric:
            found |= {_name(scene, tensor): None for tensor in step.operands if scene.constant(tensor)}
    return found


def _activations_of(scene: Scene, plan: Plan) -> dict[str, tuple[float, float]]:
    """Return scale and zero point of every value that an int8 operator reads or makes, by name."""
    found: dict[str, tuple[float, float]] = {}
    for step in plan.steps:
        dtype = plan.dtype(step.index)
        if dtype is None:
            continue
        for tensor in (*step.operands, *step.outputs):
            params = plan.params[tensor, dtype]
            if not scene.constant(tensor):
                found[_name(scene, tensor)] = (params.scale, float(params.zero))
    return found


def _name(scene: Scene, tensor: int) -> str:
    return bytes(scene.graph.tensors[tensor].name or b"").decode()


def _of_weights(weights: Tensor, axis: int | None) -> Tensor:
    others = [place for place in range(len(weights.shape)) if place != axis]
    largest = ops.max(ops.abs(weights), axis=others, keepdims=True)
    return _straight(weights, ops.maximum(ops.stop_gradient(largest) / _WIDEST, _SMALLEST_SCALE))


def _straight(values: Tensor, scale: Tensor) -> Tensor:
    """Return values rounded to multiples of a scale, with the gradient of the values themselves."""
    return values + ops.stop_gradient(ops.round(values / scale) * scale - values)
