"""Which channels of a graph can only go together.

A *unit* is everything that must go when one channel goes: its place in every value, weight and bias that holds it. A
*group* is the units of one kind: each touches the same axes, as many places of each. Any of them can be removed as long
as one stays, and every shape stays static and valid.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge_aigc.converters.prune.classes import LONE
from edge_aigc.converters.prune.labelled import labelled
from edge_aigc.converters.prune.worked import Worked

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from edge_aigc.converters.ir import Array, Graph, Node
    from edge_aigc.converters.prune.classes import Classes
    from edge_aigc.converters.prune.labels import Entry, Key, Labels, Mark

Role: TypeAlias = Literal["activation", "makes", "takes", "beside"]
"""A computed value; or a constant: weights along the channels that they make, weights along the channels that they sum
over, numbers beside the channels (biases, scales)."""
Places: TypeAlias = NDArray[np.intp]
Reader: TypeAlias = tuple[str, int]
"""Of a constant, which several operators may read: the name of what one of them makes, and at which place it reads."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Member:
    """One axis of one value or constant that holds a group's units."""

    value_name: str
    axis: int
    places: Places
    """Shape ``(units, copies)``: which indices of the axis go with each unit."""
    role: Role
    reader: Reader | None
    """Of a constant."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Group:
    """Channels that are of one kind."""

    name: str
    """Of the first value that weights make these channels of; numbered where it has several groups."""
    units: int
    """How many can be removed one by one; at least one must stay."""
    members: tuple[Member, ...]
    producers: tuple[str, ...]
    """The operators that make the channels: kind and name of what each makes."""
    consumers: tuple[str, ...]
    """The operators that sum over them."""
    through: tuple[str, ...]
    """Kinds of the operators between."""
    multiplications: int
    """Those in which any of its channels takes part: what would fall away with all of them."""
    refused: str
    """Why no unit can be removed; empty if they can."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A group with the classes of its units, in their order."""

    group: Group
    roots: Array


def channel_groups(graph: Graph, *, states: Mapping[str, str] | None = None) -> tuple[Group, ...]:
    """Return the groups of channels that weights of a graph make, in its order.

    Args:
        graph: Normalized; its values are given names of their own, if they have not such.
        states: Of a step graph: by the name of an input the output that feeds it; None: found by their names.
    """
    graph.name_apart()
    labels = labelled(graph, states)
    return tuple(found.group for found in found_groups(graph, labels, labels.settle()))


def found_groups(graph: Graph, labels: Labels, classes: Classes) -> list[Found]:
    """Return the groups of a labelled graph.

    Args:
        graph: Its values have names of their own.
        labels: Of it.
        classes: Of the labels.
    """
    touched = _touched(labels, classes)
    kinds: dict[tuple[object, ...], list[int]] = {}
    for root, places in touched.items():
        signature = (classes.reason(root), *((key, axis, len(at)) for (key, axis), at in places.items()))
        kinds.setdefault(signature, []).append(root)
    described = _Describer(graph, labels, classes)
    ordered = sorted(kinds.values(), key=described.place)
    found = [described.found(roots, [touched[root] for root in roots]) for roots in ordered]
    return _numbered([one for one in found if one.group.refused != LONE])


def _touched(labels: Labels, classes: Classes) -> dict[int, dict[tuple[Key, int], list[int]]]:
    """Return by class of channels that weights make which places of which axes it holds."""
    is_made = np.zeros(classes.count, bool)
    for mark in labels.made:
        is_made[classes.roots(mark.labels)] = True
    touched: dict[int, dict[tuple[Key, int], list[int]]] = {root: {} for root in np.flatnonzero(is_made).tolist()}
    for key, entry in labels.entries.items():
        for axis, names in enumerate(entry.axes):
            roots = classes.roots(names)
            held = np.flatnonzero(is_made[roots])
            for place, root in zip(held.tolist(), roots[held].tolist(), strict=True):
                touched[root].setdefault((key, axis), []).append(place)
    return touched


class _Describer:
    """Says in words what the labels of a group are."""

    def __init__(self, graph: Graph, labels: Labels, classes: Classes) -> None:
        self._labels, self._classes, self._worked = labels, classes, Worked(graph)
        self._order = {id(node): place for place, node in enumerate(graph.nodes)}
        self._roles: dict[tuple[Key, int], Role] = {(mark.key, mark.axis): "takes" for mark in labels.taken}
        self._roles |= {(mark.key, mark.axis): "makes" for mark in labels.made}
        self._makers, self._takers = _by_root(labels.made, classes), _by_root(labels.taken, classes)

    def place(self, roots: Sequence[int]) -> tuple[int, int]:
        """Return what sorts groups by the graph's order: the first operator that makes them, and the first channel."""
        return min(self._order[id(node)] for node in self._makers[roots[0]]), roots[0]

    def found(self, roots: Sequence[int], touched: Sequence[Mapping[tuple[Key, int], list[int]]]) -> Found:
        """Return the group of classes that touch the same axes."""
        makers, takers = (self._sorted(side.get(roots[0], ())) for side in (self._makers, self._takers))
        members = tuple(self._member(key, axis, [places[key, axis] for places in touched]) for key, axis in touched[0])
        refused = self._classes.reason(roots[0])
        group = Group(
            name=makers[0].output.name,
            units=len(roots),
            members=members,
            producers=tuple(map(_words, makers)),
            consumers=tuple(map(_words, takers)),
            through=self._through(touched[0], [*makers, *takers]),
            multiplications=self._worked.without({at: len(places) * len(roots) for at, places in touched[0].items()}),
            refused=refused or ("it is the only one of its kind" if len(roots) == 1 else ""),
        )
        return Found(group=group, roots=np.array(roots))

    def _sorted(self, nodes: Iterable[Node]) -> list[Node]:
        return sorted({id(node): node for node in nodes}.values(), key=lambda node: self._order[id(node)])

    def _member(self, key: Key, axis: int, places: list[list[int]]) -> Member:
        entry = self._labels.entries[key]
        role = "activation" if entry.reader is None else self._roles.get((key, axis), "beside")
        return Member(
            value_name=entry.value.name,
            axis=axis,
            places=np.array(places, np.intp),
            role=role,
            reader=_reader(key, entry),
        )

    def _through(self, touched: Iterable[tuple[Key, int]], ends: Iterable[Node]) -> tuple[str, ...]:
        entries: list[Entry] = [self._labels.entries[key] for key, _ in touched]
        nodes = [entry.reader or entry.value.producer for entry in entries]
        named = {id(node) for node in ends}
        return tuple(dict.fromkeys(node.kind for node in nodes if node is not None and id(node) not in named))


def _reader(key: Key, entry: Entry) -> Reader | None:
    if entry.reader is None or isinstance(key, int):
        return None
    return entry.reader.output.name, key[1]


def _by_root(marks: Iterable[Mark], classes: Classes) -> dict[int, list[Node]]:
    nodes: dict[int, list[Node]] = {}
    for mark in marks:
        for root in set(classes.roots(mark.labels).tolist()):
            nodes.setdefault(root, []).append(mark.node)
    return nodes


def _numbered(found: Sequence[Found]) -> list[Found]:
    """Give groups whose channels one value makes together numbers, and all of them the graph's order."""
    count: dict[str, int] = {}
    for one in found:
        count[one.group.name] = count.get(one.group.name, 0) + 1
    seen: dict[str, int] = {}
    numbered = []
    for one in found:
        name = one.group.name
        seen[name] = seen.get(name, 0) + 1
        told = name if count[name] == 1 else f"{name} ({seen[name]})"
        numbered.append(replace(one, group=replace(one.group, name=told)))
    return numbered


def _words(node: Node) -> str:
    return f"{node.kind} {node.output.name}"
