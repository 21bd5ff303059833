"""A graph whose values are being cut: what fits ask of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edge_aigc.converters.ir.graph import Node, Value, constant
from edge_aigc.converters.prune.labels import alike

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from edge_aigc.converters.ir import Array
    from edge_aigc.converters.prune.labels import Key


class Cutting:
    """Makes the values and nodes of the smaller graph.

    Attributes:
        nodes: Of the smaller graph, so far.
    """

    def __init__(self, left: Mapping[Key, list[Array]]) -> None:
        """Begin.

        Args:
            left: Of every tensor with labels the places of each axis that stay.
        """
        self.nodes: list[Node] = []
        self._left = left
        self._values: dict[int, Value] = {}
        self._constants: dict[tuple[object, ...], Value] = {}
        """By what each is cut from, and to what: what several nodes read stays one."""

    def left_of(self, value: Value) -> list[Array]:
        """Return the places of each axis of a computed value that stay."""
        return self._left[id(value)]

    def value(self, old: Value) -> Value:
        """Return a computed value, or a constant without labels, as it is now."""
        if id(old) not in self._values:
            shape = old.shape if old.data is not None else tuple(axis.size for axis in self._left[id(old)])
            self._values[id(old)] = Value(
                name=old.name, shape=shape, dtype=old.dtype, data=old.data, quantization=old.quantization
            )
        return self._values[id(old)]

    def read(self, node: Node, place: int) -> Value | None:
        """Return what a node reads at a place, as it is now."""
        old = node.inputs[place]
        left = self._left.get((id(node), place))
        if old is None or old.data is None or left is None or _whole(left, old.shape):
            return None if old is None else self.value(old)
        left = [np.arange(kept.size) if alike(old, axis) else kept for axis, kept in enumerate(left)]
        key = (id(old), *(kept.tobytes() for kept in left))
        if key not in self._constants:
            data = np.ascontiguousarray(old.data[np.ix_(*left)])
            self._constants[key] = Value(
                name=old.name, shape=data.shape, dtype=old.dtype, data=data, quantization=old.quantization
            )
        return self._constants[key]

    def copied(self, node: Node) -> Node:
        """Return a node on the smaller tensors, and keep it; constants that tell shapes are still the old ones."""
        new = Node(
            kind=node.kind,
            inputs=[self.read(node, place) for place in range(len(node.inputs))],
            outputs=[self.value(output) for output in node.outputs],
            options=dict(node.options),
            option_class=node.option_class,
            version=node.version,
            custom=node.custom,
            is_custom=node.is_custom,
            more=node.more,
        )
        self.nodes.append(new)
        return new

    def place(self, node: Node, place: int, axis: int, at: int) -> int:
        """Return where a place of what a node reads is now, or what comes next where it is gone."""
        value = node.input(place)
        key: Key = id(value) if value.data is None else (id(node), place)
        return int(np.searchsorted(self._left[key][axis], at))

    def made_place(self, node: Node, axis: int, at: int) -> int:
        """Return the same of what a node makes."""
        return int(np.searchsorted(self._left[id(node.output)][axis], at))

    def number(self, new: Node, place: int, numbers: Iterable[object]) -> None:
        """Write numbers into a constant that a new node reads, where they are others than before."""
        old = new.input(place)
        assert old.data is not None
        data = np.array(list(numbers), old.data.dtype)
        data = data if old.data.ndim == 1 else data.reshape(old.shape)
        if not np.array_equal(data, old.data):
            key = id(old), data.shape, data.tobytes()
            new.inputs[place] = self._constants.setdefault(key, constant(data, old.name))

    def scale(self, new: Node, factor: float) -> None:
        """Multiply what a new node makes by a number; what reads it reads the product."""
        product = new.output
        before = Value(name=f"{product.name}_unscaled", shape=product.shape, dtype=product.dtype, producer=new)
        new.outputs = [before]
        number = constant(np.array(factor, np.float32), "factor")
        self.nodes.append(Node(kind="MUL", inputs=[before, number], outputs=[product], option_class="MulOptions"))


def _whole(left: list[Array], shape: tuple[int, ...]) -> bool:
    return all(axis.size == size for axis, size in zip(left, shape, strict=True))
