"""What a graph of one step keeps in mind, and passages of texts: some steps in a row, each fed what the last one left.

A passage is a sample of such a graph: of an input that nothing feeds the values of all steps ``[steps, s0, s1, …]``,
of a state what its first step takes, ``[s0, s1, …]``, as the whole model has it there. Teacher and student read the
same tokens, each with states of its own, so that a student learns with the states that it will see.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from edge_aigc.converters.prune.borders import Places

Array: TypeAlias = NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """The states of a graph of one step."""

    fed: Mapping[int, int]
    """By place of an input that of the output that feeds it at the next step."""
    steps: int
    """Of a passage that teaches."""
    kept: Mapping[int, Places]
    """By place of such an input what the student has of it; one that is whole is not named."""

    @property
    def left(self) -> dict[int, Places]:
        """Return by place of an output what the student has of it."""
        return {self.fed[place]: kept for place, kept in self.kept.items()}

    def played(
        self, run: Callable[[list[Array]], Sequence[Array]], passage: Sequence[Array]
    ) -> Iterator[tuple[list[Array], Sequence[Array]]]:
        """Yield what each step of a passage takes and makes.

        Args:
            run: A graph, inputs to outputs.
            passage: With states as this graph takes them.
        """
        states = {place: passage[place] for place in self.fed}
        for step in range(steps_of(passage, self)):
            inputs = [states[place] if place in states else values[step] for place, values in enumerate(passage)]
            outputs = run(inputs)
            states = {place: outputs[left] for place, left in self.fed.items()}
            yield inputs, outputs

    def words(self) -> list[list[Any]]:
        """Return it in plain values."""
        return [
            [place, left, [[axis, places.tolist()] for axis, places in self.kept.get(place, {}).items()]]
            for place, left in sorted(self.fed.items())
        ]


def steps_of(passage: Sequence[Array], memory: Memory) -> int:
    """Return how many steps a passage has."""
    return next(len(values) for place, values in enumerate(passage) if place not in memory.fed)
