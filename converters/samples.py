"""Samples that forms of one generator are calibrated, verified and proven on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from edge_aigc.converters.loops.own_states import OwnStates
    from edge_aigc.converters.loops.rollouts import Text
    from edge_aigc.interpreter import Interpreter

Array: TypeAlias = NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """Inputs of some runs: a plain value that another process can use."""

    inputs: Sequence[Sequence[Array]]
    """Of each, in the flatbuffer's order, as the source takes them."""
    texts: Sequence[Text] = ()
    """Of a step graph: the texts whose last steps they are."""
    own: OwnStates | None = None
    """Of a step graph: how its forms read them."""

    def __call__(self, form: Interpreter) -> Iterator[Sequence[Array]]:
        """Yield what a form takes: what its source does, or, if it has fewer places in its states, those of its own.

        Args:
            form: Whole, or what was left of it.
        """
        if self.own is None or self.own.fits(form):
            yield from self.inputs
        else:
            yield from (self.own.last_inputs(form, text) for text in self.texts)
