"""Every operator that can be lifted."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from keras import ops

from edge_aigc.converters.lift.activations import ACTIVATIONS
from edge_aigc.converters.lift.convolutions import CONVOLUTIONS
from edge_aigc.converters.lift.cuts import CUTS
from edge_aigc.converters.lift.elementwise import ELEMENTWISE
from edge_aigc.converters.lift.held import Call, Held
from edge_aigc.converters.lift.lookups import LOOKUPS
from edge_aigc.converters.lift.maps import MAPS
from edge_aigc.converters.lift.products import PRODUCTS
from edge_aigc.converters.lift.shapes import SHAPES
from edge_aigc.converters.lift.sums import SUMS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Operator: TypeAlias = "Callable[[Call], Held | list[Held]]"


def _settled(call: Call) -> Held:
    """Return what the graph alone decides."""
    value = call.node.output
    return Held(tensor=ops.convert_to_tensor(call.output_numbers()), shape=value.shape, sampled=False)


OPERATORS: Mapping[str, Operator] = {
    **CONVOLUTIONS,
    **PRODUCTS,
    **ACTIVATIONS,
    **ELEMENTWISE,
    **SHAPES,
    **CUTS,
    **LOOKUPS,
    **MAPS,
    **SUMS,
    "SHAPE": _settled,
    "RANK": _settled,
    "RANGE": _settled,
}
