"""A float model beside what its tensors hold; everything that is quantized from it shares the observation."""

from __future__ import annotations

import copy
import functools
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge_aigc.converters.graph import parse
from edge_aigc.converters.quantizer.constants import Constants
from edge_aigc.converters.quantizer.emit import Emitted, emit
from edge_aigc.converters.quantizer.masks import floors
from edge_aigc.converters.quantizer.observe import Observed, cut, not_finite, observe
from edge_aigc.converters.quantizer.plan import Scene, decide, plan

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edge_aigc.converters.quantizer.plan import Plan
    from edge_aigc.converters.quantizer.scales import Narrow
    from edge_aigc.converters.recipes import Ranges, Recipe

Array: TypeAlias = NDArray[Any]
Inputs: TypeAlias = "Sequence[NDArray[Any]]"

_STEPS: Mapping[str, int] = {"INT8": 255, "INT16": 65535}


class Calibration:
    """What a float flatbuffer does on its calibration inputs."""

    def __init__(self, flatbuffer: bytes, samples: Sequence[Inputs]) -> None:
        """Nothing runs before it is asked for.

        Args:
            flatbuffer: Float.
            samples: Inputs of several runs, in the flatbuffer's order.
        """
        self.flatbuffer, self.samples = flatbuffer, list(samples)

    @functools.cached_property
    def observed(self) -> Mapping[int, Observed]:
        """Every float tensor of the main subgraph that is computed, and its inputs.

        Raises:
            ConversionError: There are no samples, or a tensor is not finite.
        """
        scene = self.scene()
        seen = observe(self.flatbuffer, scene.computed(), self.samples)
        for place, tensor in enumerate(scene.inputs):
            if scene.is_float(tensor):
                seen[tensor] = _of_arrays([inputs[place] for inputs in self.samples])
        return seen

    def scene(self) -> Scene:
        """Return the float model, to be read or used up; what its buffers hold is shared."""
        model = self._constants.model
        return Scene(copy.deepcopy(model, {id(buffer.data): buffer.data for buffer in model.buffers}))

    @functools.cached_property
    def _constants(self) -> Constants:
        return Constants(parse(self.flatbuffer))

    def quantized(self, recipe: Recipe) -> Emitted:
        """Return the model in a recipe's types; the same recipe gives the same bytes.

        Args:
            recipe: Rules decide for each operator.

        Raises:
            ConversionError: A tensor is not finite on the calibration inputs.
        """
        scene, decided = self.planned(recipe)
        return emit(scene, decided, self._constants, borders=recipe.borders)

    def planned(self, recipe: Recipe) -> tuple[Scene, Plan]:
        """Return the model as the planner sees it, and how each of its tensors is quantized.

        Args:
            recipe: Rules decide for each operator.

        Raises:
            ConversionError: A tensor is not finite on the calibration inputs.
        """
        scene = self.scene()
        types = decide(scene, recipe)

        def whole(tensor: int) -> tuple[float, float]:
            if tensor in self.observed:
                return self.observed[tensor].low, self.observed[tensor].high
            return self._constants.range(tensor)

        def range_of(tensor: int, dtype: Narrow) -> tuple[float, float]:
            low, high = whole(tensor)
            if tensor in bounds:
                return max(low, bounds[tensor]), high
            if not np.isfinite([low, high]).all():
                raise not_finite(self.flatbuffer, tensor)
            return self._range(tensor, dtype, recipe.ranges) if tensor in self.observed else (low, high)

        crests = {tensor: seen.crest for tensor, seen in self.observed.items()} if recipe.calibrated else {}
        bounds = floors(scene, crests, lambda tensor: whole(tensor)[1])
        return scene, plan(scene, types, range_of)

    @functools.cache  # noqa: B019 - a calibration lives as long as its conversion
    def _range(self, tensor: int, dtype: Narrow, ranges: Ranges) -> tuple[float, float]:
        seen = self.observed[tensor]
        return (seen.low, seen.high) if ranges == "min-max" else cut(seen, steps=_STEPS[dtype])


def _of_arrays(arrays: Sequence[Array]) -> Observed:
    return Observed(
        low=min(float(values.min()) for values in arrays),
        high=max(float(values.max()) for values in arrays),
        values=np.concatenate([values.ravel()[:: max(1, values.size >> 10)] for values in arrays]).astype(np.float32),
    )
