"""A graph of operators: what rewrites read and edit."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Array: TypeAlias = NDArray[Any]

NUMPY_TYPES = {
    "FLOAT32": "<f4", "FLOAT16": "<f2", "FLOAT64": "<f8", "INT8": "i1", "UINT8": "u1", "INT16": "<i2",
    "UINT16": "<u2", "INT32": "<i4", "UINT32": "<u4", "INT64": "<i8", "UINT64": "<u8", "BOOL": "?",
}  # fmt: skip
"""The schema's names of types that NumPy has, too. Constants of others are kept as bytes."""
_NAMES = {np.dtype(kind): name for name, kind in NUMPY_TYPES.items()}


@dataclass(eq=False, slots=True, kw_only=True)
class Value:
    """One tensor: an input of the graph, a constant, or what a node makes."""

    name: str
    shape: tuple[int, ...]
    dtype: str = "FLOAT32"
    """The schema's name."""
    data: Array | None = None
    """Of a constant: its values; raw bytes where NumPy lacks the type."""
    quantization: Any = None
    """`schema.QuantizationParametersT`, or None."""
    producer: Node | None = None

    @property
    def constant(self) -> bool:
        """Return whether the values are known now."""
        return self.data is not None

    @property
    def size(self) -> int:
        """Return the number of elements."""
        return int(np.prod(self.shape, dtype=np.int64))

    def __repr__(self) -> str:
        """Return it in a few words."""
        return f"<{self.name} {self.dtype} {list(self.shape)}{' constant' * self.constant}>"


@dataclass(eq=False, slots=True, kw_only=True)
class Node:
    """One operator."""

    kind: str
    """The schema's name, for example ``CONV_2D``; a custom operator's own name."""
    inputs: list[Value | None]
    outputs: list[Value]
    options: dict[str, Any] = field(default_factory=dict)
    """The fields of the schema's options, by its names: ``strideH``, ``fusedActivationFunction``, …"""
    option_class: str | None = None
    """The schema's name of the options, for example ``Conv2DOptions``."""
    version: int = 1
    custom: bytes | None = None
    """The options of a custom operator."""
    is_custom: bool = False
    more: Any = None
    """The schema's second options (`builtinOptions2`) with their type's number, kept as they are."""

    def __post_init__(self) -> None:
        """Tell the outputs who makes them."""
        for value in self.outputs:
            value.producer = self

    @property
    def output(self) -> Value:
        """Return the first output."""
        return self.outputs[0]

    def input(self, place: int) -> Value:
        """Return an input that must be there."""
        value = self.inputs[place]
        assert value is not None, f"{self.kind} has no input {place}"
        return value

    def __repr__(self) -> str:
        """Return it in a few words."""
        return f"<{self.kind} {self.inputs} -> {self.outputs}>"


@dataclass(eq=False, slots=True, kw_only=True)
class Graph:
    """The main subgraph of a flatbuffer; nodes stand in an order in which they can run."""

    inputs: list[Value]
    outputs: list[Value]
    nodes: list[Node]
    input_names: list[str]
    """What the signature and the file call the inputs."""
    output_names: list[str]
    metadata: dict[str, bytes] = field(default_factory=dict)
    bodies: Any = None
    """The parsed model that the other subgraphs (bodies of loops) come from; None where there are none."""

    def users(self, value: Value) -> list[Node]:
        """Return the nodes that read a value."""
        return [node for node in self.nodes if value in node.inputs]

    def sole_user(self, value: Value) -> Node | None:
        """Return the one node that reads a value, or None if several do or the graph gives it out."""
        users = self.users(value)
        return users[0] if len(users) == 1 and value not in self.outputs else None

    def replace(self, old: Value, new: Value) -> None:
        """Have everything that reads one value, and the outputs, take another."""
        for node in self.nodes:
            node.inputs = [new if value is old else value for value in node.inputs]
        self.outputs = [new if value is old else value for value in self.outputs]

    def values(self) -> list[Value]:
        """Return all values, each once: inputs first, then by node what it reads and makes."""
        listed = [
            *self.inputs,
            *(value for node in self.nodes for value in (*node.inputs, *node.outputs)),
            *self.outputs,
        ]
        return list({id(value): value for value in listed if value is not None}.values())

    def name_apart(self) -> None:
        """Give values that share a name numbers, so that each can be told by its own; done twice, nothing changes."""
        taken = {value.name for value in self.values()}
        seen: set[str] = set()
        for value in self.values():
            if value.name in seen:
                stem, count = value.name, 1
                while (name := f"{stem}_{count}") in taken:
                    count += 1
                value.name = name
                taken.add(name)
            seen.add(value.name)

    def remove_dead(self) -> int:
        """Remove the nodes that nobody reads; return how many."""
        alive: set[int] = {id(value) for value in self.outputs}
        kept: list[Node] = []
        for node in reversed(self.nodes):
            if any(id(value) in alive for value in node.outputs):
                kept.append(node)
                alive.update(id(value) for value in node.inputs if value is not None)
        removed = len(self.nodes) - len(kept)
        self.nodes = kept[::-1]
        return removed

    def sort(self) -> None:
        """Put the nodes into an order in which they can run, as near to the present one as can be."""
        place = {id(node): index for index, node in enumerate(self.nodes)}
        waits = {id(node): _makers(node, place) for node in self.nodes}
        readers: dict[int, list[int]] = {}
        for index, node in enumerate(self.nodes):
            for maker in waits[id(node)]:
                readers.setdefault(maker, []).append(index)
        ready = [index for index, node in enumerate(self.nodes) if not waits[id(node)]]
        heapq.heapify(ready)
        ordered: list[Node] = []
        while ready:
            node = self.nodes[heapq.heappop(ready)]
            ordered.append(node)
            for index in readers.get(id(node), ()):
                left = waits[id(self.nodes[index])]
                left.discard(id(node))
                if not left:
                    heapq.heappush(ready, index)
        assert len(ordered) == len(self.nodes), "a rewrite made a cycle"
        self.nodes = ordered

    def border(self, region: Iterable[Node]) -> tuple[list[Value], list[Value]]:
        """Return what some nodes together take from others, and what of theirs others read, each in order."""
        nodes = list(region)
        within = {id(node) for node in nodes}
        made = {id(value) for node in nodes for value in node.outputs}
        read_outside = {
            id(value) for node in self.nodes if id(node) not in within for value in node.inputs if value is not None
        } | {id(value) for value in self.outputs}
        taken: dict[int, Value] = {}
        for node in nodes:
            for value in node.inputs:
                if value is not None and value.data is None and id(value) not in made:
                    taken.setdefault(id(value), value)
        given = [value for node in nodes for value in node.outputs if id(value) in read_outside]
        return list(taken.values()), given

    def extract(self, region: Sequence[Node]) -> Graph:
        """Return some nodes as a graph of their own; the values are copies, the constants' data are shared."""
        nodes = sorted(region, key=self.nodes.index)
        taken, given = self.border(nodes)
        copies: dict[int, Value] = {}
        return Graph(
            inputs=[_copied(value, copies, bare=True) for value in taken],
            nodes=[_node_copied(node, copies) for node in nodes],
            outputs=[_copied(value, copies) for value in given],
            input_names=[f"input_{index}" for index in range(len(taken))],
            output_names=[f"output_{index}" for index in range(len(given))],
            metadata=dict(self.metadata),
        )

    def splice(self, region: Sequence[Node], micro: Graph) -> None:
        """Put another graph in the place of some nodes.

        Args:
            region: Nodes of this graph, as they were given to `extract`.
            micro: Takes what they took and gives what they gave, in the order of `border`.
        """
        nodes = sorted(region, key=self.nodes.index)
        taken, given = self.border(nodes)
        copies = {id(inner): outer for inner, outer in zip(micro.inputs, taken, strict=True)}
        added = [_node_copied(node, copies) for node in micro.nodes]
        at = self.nodes.index(nodes[-1])
        gone = {id(node) for node in nodes}
        before = [node for node in self.nodes[: at + 1] if id(node) not in gone]
        self.nodes = [*before, *added, *self.nodes[at + 1 :]]
        for old, inner in zip(given, micro.outputs, strict=True):
            new = _copied(inner, copies)
            if new.producer is not None and any(new is value for node in added for value in node.outputs):
                new.name = old.name
            self.replace(old, new)
        self.sort()

    def copy(self) -> Graph:
        """Return an equal graph that can be edited without touching this one; constants' data are shared."""
        copies: dict[int, Value] = {}
        return Graph(
            inputs=[_copied(value, copies) for value in self.inputs],
            nodes=[_node_copied(node, copies) for node in self.nodes],
            outputs=[_copied(value, copies) for value in self.outputs],
            input_names=list(self.input_names),
            output_names=list(self.output_names),
            metadata=dict(self.metadata),
            bodies=self.bodies,
        )


def constant(data: Array, name: str = "constant") -> Value:
    """Return a constant; its type is that of the data."""
    data = np.asarray(data)
    return Value(name=name, shape=data.shape, dtype=_NAMES[data.dtype.newbyteorder("<")], data=data)


def _makers(node: Node, place: dict[int, int]) -> set[int]:
    """Return the nodes of the graph that must run before one."""
    makers = (value.producer for value in node.inputs if value is not None)
    return {id(maker) for maker in makers if maker is not None and id(maker) in place}


def _copied(value: Value, copies: dict[int, Value], *, bare: bool = False) -> Value:
    if id(value) not in copies:
        copies[id(value)] = Value(
            name=value.name,
            shape=value.shape,
            dtype=value.dtype,
            data=None if bare else value.data,
            quantization=value.quantization,
        )
    return copies[id(value)]


def _node_copied(node: Node, copies: dict[int, Value]) -> Node:
    return Node(
        kind=node.kind,
        inputs=[None if value is None else _copied(value, copies) for value in node.inputs],
        outputs=[_copied(value, copies) for value in node.outputs],
        options=dict(node.options),
        option_class=node.option_class,
        version=node.version,
        custom=node.custom,
        is_custom=node.is_custom,
        more=node.more,
    )
