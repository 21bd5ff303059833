"""Tensors while a net runs on many samples at once, and how one operator sees them.

A graph is written for one sample. A value of shape ``[s0, s1, …]`` that depends on the graph's inputs is held as
*rows*: ``[N s0, s1, …]``, the samples one after the other on axis 0 (a single number: ``[N]``), so that operators
which leave axis 0 alone never learn of the batch. Operators that do touch it see *samples*: ``[N, s0, s1, …]``.
Either is a reshape of the other. What no input changes (weights and what is made of them) is held once, in its own
shape.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from keras import ops

from edge_aigc.converters.lift.refusal import refused

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edge_aigc.converters.ir import Array, Node, Value

Tensor: TypeAlias = Any
"""The backend's own."""
Give: TypeAlias = "Callable[[Tensor], Held]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """One value while a net runs."""

    tensor: Tensor
    shape: tuple[int, ...]
    """Of one sample."""
    sampled: bool
    """Whether the tensor holds rows of all samples; else it is the same for all, in its own shape."""

    def samples(self, rank: int | None = None) -> Tensor:
        """Return ``[N, s0, s1, …]``, or ``[1, s0, s1, …]`` of what is the same for all.

        Args:
            rank: Ones are put in front of s0 until a sample has so many axes.
        """
        missing = 0 if rank is None else rank - len(self.shape)
        return ops.reshape(self.tensor, (-1 if self.sampled else 1, *[1] * missing, *self.shape))


class Call:
    """One operator and what it reads, as its family's functions see it."""

    def __init__(
        self, node: Node, held: Sequence[Held | None], count: Tensor, known: Callable[[Value], Array | None]
    ) -> None:
        """Take what it reads.

        Args:
            node: The operator.
            held: One for each of its inputs.
            count: How many samples there are.
            known: Returns the numbers of what no input decides, None where one does.
        """
        self.node, self.held, self.count, self._known = node, held, count, known
        self.sampled = any(entry is not None and entry.sampled for entry in held)

    def at(self, place: int) -> Held:
        """Return an input that must be there."""
        entry = self.held[place]
        assert entry is not None, f"{self.node.kind} has no input {place}"
        return entry

    def has(self, place: int) -> bool:
        """Return whether an optional input is there."""
        return place < len(self.held) and self.held[place] is not None

    def shape(self, place: int) -> tuple[int, ...]:
        """Return an input's shape for one sample."""
        return self.at(place).shape

    def option(self, name: str, default: Any = 0) -> Any:
        """Return a field of the schema's options."""
        return self.node.options.get(name, default)

    def is_known(self, place: int) -> bool:
        """Return whether `numbers` has an input."""
        return self._known(self.node.input(place)) is not None

    def numbers(self, place: int) -> Array:
        """Return an input that must be known before the net runs: a shape, axes, places.

        Raises:
            ConversionError: The graph's inputs decide it.
        """
        found = self._known(self.node.input(place))
        if found is None:
            raise refused(self.node, f"its input {place} ('{self.node.input(place).name}') changes with the inputs")
        return found

    def output_numbers(self) -> Array:
        """Return the output, which must be known before the net runs.

        Raises:
            ConversionError: The graph's inputs decide it.
        """
        found = self._known(self.node.output)
        if found is None:
            raise refused(self.node, "it changes with the inputs")
        return found

    def axis(self, place: int, axis: int) -> int:
        """Return an axis of an input, counted from the front."""
        return axis % max(1, len(self.shape(place)))

    def rows(self, place: int) -> Tensor:
        """Return an input's rows, or what is the same for all in its own shape."""
        return self.at(place).tensor

    def samples(self, place: int, *, repeated: bool = False) -> Tensor:
        """Return an input as samples.

        Args:
            place: Which.
            repeated: Whether what is the same for all is repeated for each; else it is there once.
        """
        entry = self.at(place)
        tensor = entry.samples()
        if repeated and self.sampled and not entry.sampled:
            return ops.broadcast_to(tensor, (self.count, *entry.shape))
        return tensor

    def from_rows(self, tensor: Tensor, place: int = 0) -> Held:
        """Return an output that was made of rows."""
        shape = self.node.outputs[place].shape
        if not self.sampled:
            tensor = ops.reshape(tensor, shape)
        return Held(tensor=tensor, shape=shape, sampled=self.sampled)

    def from_samples(self, tensor: Tensor, place: int = 0) -> Held:
        """Return an output that was made as samples."""
        shape = self.node.outputs[place].shape
        tensor = ops.reshape(tensor, (-1, *shape[1:]) if self.sampled else shape)
        return Held(tensor=tensor, shape=shape, sampled=self.sampled)

    def along(self, place: int, axis: int) -> tuple[Tensor, int, Give]:
        """Return an input, the place of one of its axes there, and how to give what was made along it."""
        axis = self.axis(place, axis)
        if axis > 0:
            return self.rows(place), axis, self.from_rows
        return self.samples(place), axis + 1, self.from_samples

    def together(self, *places: int) -> tuple[list[Tensor], Give]:
        """Return inputs that broadcast against each other as NumPy's do, and how to give what was made of them."""
        shape = self.node.output.shape
        entries = [self.at(place) for place in places]
        if shape and all(_row_by_row(entry, shape) for entry in entries):
            return [entry.tensor for entry in entries], self.from_rows
        return [entry.samples(len(shape)) for entry in entries], self.from_samples


def _row_by_row(entry: Held, shape: tuple[int, ...]) -> bool:
    """Return whether an operand's rows meet those of an output of a shape."""
    if entry.sampled:
        return len(entry.shape) == len(shape) and entry.shape[0] == shape[0]
    return len(entry.shape) < len(shape) or entry.shape[0] == 1
