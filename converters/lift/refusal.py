"""What is said of an operator that cannot be lifted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_aigc.errors import ConversionError

if TYPE_CHECKING:
    from edge_aigc.converters.ir import Node

_REMEDY = "Give `--distill-minutes 0`, which only repairs, or write this part of the model with other operators."


def refused(node: Node, why: str, *, remedy: str = _REMEDY) -> ConversionError:
    """Return the error: the operator, where it stands, why, and what to do."""
    place = f"which makes '{node.outputs[0].name}'," if node.outputs else "which makes nothing,"
    return ConversionError(f"{node.kind}, {place} cannot be trained: {why}.", remedy=remedy)
