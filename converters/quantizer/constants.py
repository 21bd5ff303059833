"""The constants of one float model in narrow numbers: all forms of the model share them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge_aigc.converters.graph import constant_of
from edge_aigc.converters.quantizer.scales import of_weights, packed, rounded

if TYPE_CHECKING:
    from edge_aigc.converters.graph import Model
    from edge_aigc.converters.quantizer.scales import Params

Array: TypeAlias = NDArray[Any]


class Constants:
    """Constants of a main subgraph, by tensor."""

    def __init__(self, model: Model) -> None:
        """Read none yet.

        Args:
            model: Parsed; its tensors and buffers are not edited while this is used.
        """
        self.model = model
        self._params: dict[tuple[int, int | None, str], Params] = {}
        self._packed: dict[tuple[int, Params], bytes] = {}

    def values(self, tensor: int) -> Array:
        """Return float32 values."""
        values = constant_of(self.model, self.model.subgraphs[0].tensors[tensor])
        assert values is not None
        return values

    def weights(self, tensor: int, axis: int | None, dtype: str) -> Params:
        """Return symmetric parameters, as `of_weights` does."""
        key = (tensor, axis, dtype)
        if key not in self._params:
            self._params[key] = of_weights(self.values(tensor), axis, dtype)
        return self._params[key]

    def content(self, tensor: int, form: Params) -> bytes:
        """Return a constant as a flatbuffer holds it."""
        key = (tensor, form)
        if key not in self._packed:
            self._packed[key] = packed(rounded(self.values(tensor), form), form.dtype)
        return self._packed[key]

    def range(self, tensor: int) -> tuple[float, float]:
        """Return the least and the largest value; zeros where it is no float32 constant."""
        values = constant_of(self.model, self.model.subgraphs[0].tensors[tensor])
        return (0.0, 0.0) if values is None else (float(np.min(values)), float(np.max(values)))
