"""What the tests of pruning share: random nets, and the graph that a cut one must equal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from hypothesis import assume, settings

from edge_aigc.converters.ir import Builder, Graph, Node, Value, constant, write
from edge_aigc.converters.prune.borders import Borders, Places, kept
from edge_aigc.converters.prune.cut import cut
from edge_aigc.converters.prune.groups import channel_groups
from edge_aigc.interpreter import Interpreter
from tests.normalizing import error_of
from tests.rewriting import normal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edge_aigc.converters.prune.groups import Group

Step = "Callable[[Builder, Value, np.random.Generator], Value]"
_STEPS = 4
CASES = settings(max_examples=200, derandomize=True, deadline=None)
"""For each family of operators."""


def cuttable(graph: Graph) -> dict[str, Group]:
    """Return the groups that can be cut, by name."""
    return {group.name: group for group in channel_groups(graph) if not group.refused}


def random_masks(graph: Graph, rng: np.random.Generator) -> dict[str, np.ndarray[Any, Any]]:
    """Return of every group that can be cut a random part to keep; at least one unit goes and one of each stays."""
    masks: dict[str, np.ndarray[Any, Any]] = {}
    for name, group in cuttable(graph).items():
        keep = rng.random(group.units) < rng.uniform(0.2, 1)
        keep[rng.integers(group.units)] = True
        masks[name] = keep
    assume(masks)
    if all(keep.all() for keep in masks.values()):
        keep = masks[str(rng.choice(sorted(masks)))]
        keep[rng.integers(keep.size)] = False
    return masks


def halves(graph: Graph) -> dict[str, np.ndarray[Any, Any]]:
    """Return of every group that can be cut every other unit."""
    return {name: np.arange(group.units) % 2 == 0 for name, group in cuttable(graph).items()}


def zeroed(graph: Graph, masks: Mapping[str, np.ndarray[Any, Any]]) -> Graph:
    """Return a graph of the old shapes whose channels are zero in every value that holds them."""
    gone: dict[str, list[tuple[int, np.ndarray[Any, Any]]]] = {}
    for name, group in cuttable(graph).items():
        for member in group.members if name in masks else ():
            if member.role == "activation":
                places = member.places[~masks[name]].reshape(-1)
                gone.setdefault(member.value_name, []).append((member.axis, places))
    changed = graph.copy()
    for node in list(changed.nodes):
        for value in node.outputs:
            if value.dtype == "FLOAT32" and value.name in gone:
                _zero(changed, node, value, gone[value.name])
    return changed


def _zero(graph: Graph, node: Node, value: Value, gone: Sequence[tuple[int, np.ndarray[Any, Any]]]) -> None:
    kept = np.ones(value.shape, bool)
    for axis, places in gone:
        np.moveaxis(kept, axis, 0)[places] = False
    masked = Value(name=f"{value.name}_zeroed", shape=value.shape)
    graph.replace(value, masked)
    # Chosen rather than multiplied: what is divided by a zero is gone, too.
    select = Node(
        kind="SELECT_V2",
        inputs=[constant(kept), value, constant(np.zeros(value.shape, np.float32))],
        outputs=[masked],
        option_class="SelectV2Options",
    )
    graph.nodes.insert(graph.nodes.index(node) + 1, select)


def assert_cut_is_zeroed(
    graph: Graph, masks: Mapping[str, np.ndarray[Any, Any]], *, tolerance: float = 1e-5, seed: int = 1
) -> Graph:
    """Cut a graph and compare it with the old one whose channels are zeroed; return the smaller one.

    Args:
        graph: Is not touched but for names.
        masks: By name of a group what is kept.
        tolerance: Largest error, as a share of the output's largest magnitude.
        seed: Of the inputs.
    """
    smaller, reference = cut(graph, masks), zeroed(graph, masks)
    for found, expected in zip(run(smaller, seed), run(reference, seed), strict=True):
        assert np.isfinite(expected).all()
        if np.abs(expected).max() > 0:
            assert error_of(found, expected) <= tolerance
        else:
            assert not found.any()
    return smaller


def assert_steps_are_as_if_zeroed(graph: Graph, masks: Mapping[str, np.ndarray[Any, Any]]) -> Graph:
    """Cut a step graph and play both for some steps, each fed what it left; return the smaller one."""
    smaller, reference = cut(graph, masks), zeroed(graph, masks)
    borders = Borders.of(graph, channel_groups(graph), masks)
    rng = np.random.default_rng(3)
    states = [
        _zeroed_but(normal(rng, value.shape) if value.dtype == "FLOAT32" else np.zeros(value.shape, np.int32), places)
        for value, places in zip(graph.inputs[1:], borders.inputs[1:], strict=True)
    ]
    expected, after = _played(reference, states)
    found, ours = _played(smaller, borders.taken([np.zeros((1, 1)), *states])[1:])
    for one, other in zip(found, expected, strict=True):
        assert error_of(one, other) <= 1e-5
    for one, other, places in zip(ours, after, borders.outputs[1:], strict=True):
        assert np.abs(one - kept(other, places)).max() <= 1e-5
        np.testing.assert_array_equal(other, _zeroed_but(other, places))
    return smaller


def _played(graph: Graph, states: list[np.ndarray[Any, Any]]) -> tuple[list[Any], list[Any]]:
    """Return the scores of several steps, and the states after the last."""
    run = Interpreter(write(graph)).run
    scores = []
    for token in range(_STEPS):
        logits, *states = run([np.array([[token]], np.int32), *states])
        scores.append(logits)
    return scores, states


def _zeroed_but(values: np.ndarray[Any, Any], places: Places) -> np.ndarray[Any, Any]:
    left = np.ones(values.shape, bool)
    for axis, stay in places.items():
        np.moveaxis(left, axis, 0)[np.setdiff1d(np.arange(values.shape[axis]), stay)] = False
    return values * left


def run(graph: Graph, seed: int = 1) -> list[np.ndarray[Any, Any]]:
    """Return what a graph makes of normal inputs, or of numbers of tokens below 4."""
    rng = np.random.default_rng(seed)
    inputs = [
        normal(rng, value.shape) if value.dtype == "FLOAT32" else rng.integers(0, 4, value.shape).astype(np.int32)
        for value in graph.inputs
    ]
    return Interpreter(write(graph)).run(inputs)


def split_node(
    build: Builder, kind: str, inputs: Sequence[Any], shapes: Sequence[Sequence[int]], **options: Any
) -> list[Value]:
    """Add an operator of several outputs; return them."""
    first = build.node(kind, inputs, shapes[0], dtype="FLOAT32", **options)
    more = [Value(name=f"{kind.lower()}_{place}", shape=tuple(shape)) for place, shape in enumerate(shapes[1:])]
    node = first.producer
    assert node is not None
    for value in more:
        value.producer = node
        node.outputs.append(value)
    return node.outputs


def conv(
    build: Builder, x: Value, rng: np.random.Generator, depth: int, *, size: int = 3, groups: int = 1, **options: Any
) -> Value:
    """Add a convolution with a bias, to some channels."""
    taken = x.shape[3] // groups
    kernel = normal(rng, (depth, size, size, taken)) / np.float32(size * taken**0.5)
    return build.conv_2d(x, kernel, normal(rng, (depth,)), padding="SAME", **options)


def chained(
    steps: Sequence[str],
    menu: Mapping[str, Any],
    seed: int,
    *,
    shape: tuple[int, ...] = (1, 4, 6, 3),
    depth: int = 4,
    most: int = 1 << 20,
) -> Graph:
    """Return a net of steps between two convolutions.

    Args:
        steps: Names.
        menu: By name what adds a step to maps.
        seed: Of sizes and weights.
        shape: Of the input.
        depth: Channels that the first convolution makes.
        most: Elements of a value; no more steps are added once one holds more.
    """
    rng = np.random.default_rng(seed)
    x = Value(name="x", shape=shape)
    graph = Graph(inputs=[x], outputs=[], nodes=[], input_names=["x"], output_names=["y"])
    build = Builder(graph)
    y = conv(build, x, rng, depth, activation="RELU")
    for step in steps:
        if y.size <= most:
            y = menu[step](build, y, rng)
    graph.outputs = [conv(build, y, rng, 2)]
    return graph


def remembering() -> Graph:
    """A step graph of six units of state, fed by three."""
    rng = np.random.default_rng(0)
    x, state = Value(name="x", shape=(1, 4)), Value(name="h", shape=(1, 6))
    graph = Graph(inputs=[x, state], outputs=[], nodes=[], input_names=["x", "h"], output_names=["y", "h_next"])
    build = Builder(graph)
    left = build.fully_connected(build.fully_connected(x, normal(rng, (3, 4)), None), normal(rng, (6, 3)), None)
    left = build.unary("TANH", build.add(left, state))
    graph.outputs = [build.fully_connected(left, normal(rng, (2, 6)), None), left]
    return graph
