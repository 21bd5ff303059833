"""The state of a translation: what every ONNX name holds, and how tensors are brought into a layout."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from edge_aigc.converters.ir import Builder, Graph, Value
from edge_aigc.converters.sources.translate.laid import (
    CHANNELS_LAST,
    Array,
    Laid,
    Layout,
    complete,
    identity,
    laid_array,
    sizes,
)
from edge_aigc.errors import ConversionError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Held: TypeAlias = "Laid | Array"
"""What a name holds: a tensor, or a constant in ONNX's own order."""
Handler: TypeAlias = "Callable[[Translation, Operator], list[Held]]"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Operator:
    """One ONNX operator, its inputs looked up."""

    kind: str
    place: str
    """Where in the source it stands, in words."""
    version: int
    """The opset of its domain."""
    inputs: list[Held | None]
    attributes: dict[str, Any]
    outputs: list[str]
    proto: Any
    """`onnx.NodeProto`."""
    fresh: bool = False
    """Whether nothing else reads its first input."""

    def tensor(self, place: int) -> Laid:
        """Return an input that is no constant.

        Raises:
            ConversionError: It is a constant, or missing.
        """
        held = self.given(place)
        if not isinstance(held, Laid):
            raise self.refusal(f"with a constant as input {place}")
        return held

    def constant(self, place: int) -> Array:
        """Return an input that must be known now.

        Raises:
            ConversionError: It is computed when the model runs.
        """
        held = self.given(place)
        if not isinstance(held, np.ndarray):
            raise self.refusal(f"whose input {place} is computed, not constant")
        return held

    def given(self, place: int) -> Held | None:
        """Return an input, or None where it is left out."""
        return self.inputs[place] if place < len(self.inputs) else None

    def optional(self, place: int) -> Array | None:
        """Return an input that may be left out and is constant otherwise."""
        return None if self.given(place) is None else self.constant(place)

    def refusal(self, why: str) -> ConversionError:
        """Return the error for an operator in a form that is not translated."""
        return ConversionError(
            f"The operator {self.kind} {self.place} cannot be translated {why}.",
            remedy="Write that part of the model with other operators, or fix its shapes and export it again.",
        )


@dataclass(slots=True, kw_only=True)
class Translation:
    """A graph on its way from ONNX to the flatbuffer."""

    graph: Graph
    held: dict[str, Held] = field(default_factory=dict)
    before: dict[Laid, Laid] = field(default_factory=dict)
    """What a reshaped tensor was before: reshaped back, it is that again."""
    _made: dict[tuple[object, ...], Value] = field(default_factory=dict)

    @property
    def build(self) -> Builder:
        """Return what adds nodes at the end."""
        return Builder(self.graph)

    def to(self, x: Held, layout: Layout, rank: int | None = None) -> Value:
        """Return a tensor in a layout: as it is, or reshaped, or transposed; each made once.

        Args:
            x: A tensor or a constant.
            layout: Of a tensor of ``rank`` axes.
            rank: When the tensor counts as one of more axes, leading ones of size 1; None: its own.
        """
        if not isinstance(x, Laid):
            from edge_aigc.converters.ir import constant

            return constant(plain(laid_array(x, layout, x.ndim if rank is None else rank)))
        x = x if rank is None else widened(x, rank)
        wanted = sizes(x.shape, layout)
        key = id(x.value), x.layout, layout, wanted
        if key not in self._made:
            self._made[key] = self._moved(x, layout, wanted)
        return self._made[key]

    def _moved(self, x: Laid, layout: Layout, wanted: tuple[int, ...]) -> Value:
        order = [axis for axis in layout if axis is not None and x.shape[axis] > 1]
        if order == x.order:
            return self.reshape(x.value, wanted)
        # Only what is longer than 1 moves; axes of 1 come and go by reshaping.
        named = [axis for axis in layout if axis is not None and axis in x.layout]
        value = self.reshape(x.value, sizes(x.shape, tuple(axis for axis in x.layout if axis in named)))
        now = [axis for axis in x.layout if axis in named]
        value = self.build.transpose(value, [now.index(axis) for axis in named])
        return self.reshape(value, wanted)

    def reshape(self, value: Value, shape: Sequence[int]) -> Value:
        """Return a value in another shape of the same memory; a reshape of a reshape is one."""
        while value.producer is not None and value.producer.kind == "RESHAPE":
            value = value.producer.input(0)
        return value if value.shape == tuple(shape) else self.build.reshape(value, shape)

    def like(self, x: Held, layout: Layout, rank: int | None = None) -> Laid:
        """Return a tensor in a layout, as a `Laid`."""
        shape = x.shape if rank is None else (1,) * (rank - len(x.shape)) + tuple(x.shape)
        return Laid(self.to(x, layout, rank), layout, tuple(shape))

    def channels_last(self, x: Held) -> Laid:
        """Return a tensor with its channels (ONNX axis 1) last, as windows want it."""
        return self.like(x, CHANNELS_LAST[len(x.shape)])

    def plainly(self, x: Held) -> Laid:
        """Return a tensor in ONNX's own order."""
        return self.like(x, identity(len(x.shape)))

    def whole(self, x: Laid) -> Laid:
        """Return a tensor with all of its axes in memory, moved as little as can be."""
        return self.like(x, complete(x.layout, x.shape))

    def with_last(self, x: Laid, axis: int) -> Laid:
        """Return a tensor with an axis last in memory, the others as they lie."""
        axis %= x.rank
        rest = [place for place in complete(x.layout, x.shape) if place is not None and place != axis]
        return self.like(x, (*rest, axis))


def widened(x: Laid, rank: int) -> Laid:
    """Return a tensor as one of more axes, leading ones of size 1 that are not in memory."""
    more = rank - x.rank
    return Laid(x.value, tuple(None if axis is None else axis + more for axis in x.layout), (1,) * more + x.shape)


def plain(data: Array) -> Array:
    """Return a constant in a type that kernels take: floats in 32 bits, integers in 32 bits, or truth values."""
    if data.dtype == np.bool_ or data.dtype in {np.dtype(np.float32), np.dtype(np.int32)}:
        return data
    if np.issubdtype(data.dtype, np.integer):
        limits = np.iinfo(np.int32)
        # ONNX writes "to the end" as the largest integer there is.
        return np.clip(data, limits.min, limits.max).astype(np.int32)
    return data.astype(np.float32)
