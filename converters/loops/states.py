"""The states of one step, of any framework: taken in the order in which the layers ask, and left anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edge_aigc.errors import ConversionError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

UNSEEN = 1e4
"""Taken from the score of a place that holds nothing yet: `exp` makes it 0 in float32 and float16 alike."""
WINDOW_REMEDY = "Convert it with `--window N`: the model then reads the last N tokens at every step."


class States:
    """What one step takes and leaves.

    Attributes:
        context: Places of a cache.
        left: By name, what the next step takes.
    """

    def __init__(self, given: Mapping[str, Any] | None = None, *, context: int) -> None:
        """Begin a step.

        Args:
            given: By name what the last step left; None: this is the first, and all states are zeros.
            context: Places of a cache.
        """
        self._given = given
        self.context = context
        self.left: dict[str, Any] = {}

    def take(self, name: str, zeros: Callable[[], Any]) -> Any:
        """Return a state; zeros at the first step.

        Raises:
            ConversionError: A layer is called twice within a step.
        """
        if name in self.left:
            raise ConversionError(
                f"The layer of the state {name!r} is called twice in a step, and has one state.",
                remedy=f"Use two layers. {WINDOW_REMEDY}",
            )
        self.left[name] = None
        return zeros() if self._given is None else self._given[name]


def cut_at_one(index: Any, shape: Sequence[int]) -> tuple[int, tuple[Any, ...]] | None:
    """Return where a table of places is cut at the length of a step's sequence, 1, as in ``table[:, :1]``.

    Args:
        index: As `__getitem__` takes it.
        shape: Of the table.

    Returns:
        The axis, and the index that takes all of that axis; None where the table is not cut so.
    """
    indices = index if isinstance(index, tuple) else (index,)
    axis = 0
    for place, part in enumerate(indices):
        if part is None:
            continue
        if part is Ellipsis or axis >= len(shape):
            return None
        cut = isinstance(part, slice) and part.start in {None, 0} and part.step in {None, 1}
        if cut and isinstance(part.stop, int) and part.stop == 1 and shape[axis] > 1:
            return axis, (*indices[:place], slice(None), *indices[place + 1 :])
        axis += 1
    return None
