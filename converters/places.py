"""Places of a graph: regions that rewrites name, joined where they overlap, and told apart by what they are."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from edge_aigc.converters.ir import Graph, Node, Value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_MOST_NODES = 16
"""Of a place; where overlapping regions join to more than this, each is tried alone."""
_SHORT = 64
"""Elements: shapes, axes, paddings and the like have fewer."""


def place_key(micro: Graph) -> str:
    """Return a hash of a small net's operators, options, shapes and small integer constants, not of its weights."""
    numbers = {id(value): f"in{index}" for index, value in enumerate(micro.inputs)}
    words = [str([(value.shape, value.dtype) for value in micro.inputs])]
    for node in micro.nodes:
        reads = [_word(value, numbers) for value in node.inputs]
        for value in node.outputs:
            numbers[id(value)] = f"v{len(numbers)}"
        options = sorted((key, str(setting)) for key, setting in node.options.items())
        makes = [(value.shape, value.dtype) for value in node.outputs]
        words.append(f"{node.kind} {node.option_class} {options} {reads} {makes}")
    words.append(str([numbers.get(id(value), "constant") for value in micro.outputs]))
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:16]


def _word(value: object, numbers: Mapping[int, str]) -> str:
    if not isinstance(value, Value):
        return "none"
    if value.data is None:
        return numbers[id(value)]
    content = value.data.tobytes().hex() if value.dtype in {"INT32", "INT64"} and value.size <= _SHORT else ""
    return f"{value.dtype}{value.shape}{content}"


def joined(regions: Sequence[tuple[Node, ...]], order: Mapping[int, int]) -> list[tuple[Node, ...]]:
    """Return overlapping regions joined, in the order of execution."""
    owner: dict[int, int] = {}
    groups: dict[int, dict[int, Node]] = {}
    for number, region in enumerate(sorted(regions, key=lambda nodes: order[id(nodes[0])])):
        touched = {owner[id(node)] for node in region if id(node) in owner}
        union = {id(node): node for node in region}
        for group in touched:
            union |= groups[group]
        if len(union) > _MOST_NODES:
            continue  # alone it would tear a place apart that is full
        for group in touched:
            del groups[group]
        groups[number] = union
        owner |= dict.fromkeys(union, number)
    sorted_groups = [tuple(sorted(group.values(), key=lambda node: order[id(node)])) for group in groups.values()]
    return sorted(sorted_groups, key=lambda nodes: order[id(nodes[0])])
