"""What rules ask of constants that tell shapes and places."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge_aigc.converters.ir import Node


class UnknownError(Exception):
    """A rule holds only where something is known that is not; the message tells what."""


def numbers_of(node: Node, place: int) -> list[int]:
    """Return the whole numbers that a node reads at a place.

    Raises:
        UnknownError: They are computed.
    """
    data = node.input(place).data
    if data is None:
        raise UnknownError(f"{node.kind} computes at run time what it does to shapes")
    return [int(number) for number in data.reshape(-1)]
