"""Channels of recurrent states: cut, over several steps, they are as if they had been zero at every step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_aigc.converters.costs.work import multiplications
from edge_aigc.converters.ir import Builder, Graph, Value, constant, read, write
from edge_aigc.converters.loops.wanted import Wanted
from edge_aigc.converters.prune.groups import channel_groups
from edge_aigc.converters.rewrites.normalizations import NORMALIZATIONS
from edge_aigc.converters.rewrites.rewrite import normalize
from tests.pruning import CASES, assert_steps_are_as_if_zeroed, halves, random_masks, split_node
from tests.rewriting import normal
from tests.test_loops_keras import MODELS, loaded

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

_LAYERS = {
    "GRU, reset before": 0.45,
    "simple": 0.5,
    "stacked cells": 0.45,
    "causal convolution": 0.5,
    "sinusoidal places, norms after": 0.55,
    "grouped queries": 0.55,
}
"""Others of Keras, and what is left of their multiplications at most with half the channels everywhere."""
_TOKENS = 7


class _Step:
    """A step graph while it is built: tokens in, scores and new states out."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        tokens = Value(name="tokens", shape=(1, 1), dtype="INT32")
        self.graph = Graph(inputs=[tokens], outputs=[], nodes=[], input_names=["tokens"], output_names=[])
        self.build = Builder(self.graph)
        self._left: dict[str, Value] = {}
        self.tokens = tokens

    def weights(self, *shape: int) -> NDArray[np.float32]:
        made: NDArray[np.float32] = normal(self.rng, shape) / np.float32(max(1, shape[-1]) ** 0.5)
        return made

    def dense(self, x: Value, units: int, *, bias: bool = True) -> Value:
        """Add a dense layer on rows of one."""
        return self.build.fully_connected(x, self.weights(units, x.shape[-1]), self.weights(units) if bias else None)

    def state(self, *shape: int) -> Value:
        """Add an input that a state comes by."""
        value = Value(name=f"state{len(self.graph.inputs) - 1}", shape=shape)
        self.graph.inputs.append(value)
        self.graph.input_names.append(value.name)
        return value

    def leave(self, state: Value, new: Value) -> Value:
        """Say what feeds a state at the next step."""
        self._left[f"{state.name}_next"] = new
        return new

    def ended(self, x: Value) -> Graph:
        """Return the graph with scores of the tokens."""
        self.graph.outputs = [self.dense(x, _TOKENS), *self._left.values()]
        self.graph.output_names = ["logits", *self._left]
        return self.graph


def _embedded(step: _Step) -> Value:
    depth = int(step.rng.integers(2, 6))
    table = step.weights(_TOKENS, depth)
    row = step.build.node("GATHER", [table, step.tokens], (1, 1, depth), option_class="GatherOptions", axis=0)
    return step.build.reshape(row, (1, depth))


def _split(build: Builder, x: Value, count: int) -> list[Value]:
    shapes = [(1, x.shape[1] // count)] * count
    options = {"option_class": "SplitOptions", "numSplits": count}
    parts: list[Value] = split_node(build, "SPLIT", [np.array(1, np.int32), x], shapes, **options)
    return parts


def _gru(step: _Step, x: Value) -> Value:
    """A GRU with the reset after the recurrent product, as Keras has it; gates split by either operator."""
    build, units = step.build, int(step.rng.integers(2, 9))
    state = step.state(1, units)
    mine, theirs = step.dense(x, 3 * units), step.dense(state, 3 * units)
    if step.rng.random() < 0.5:
        gates, held = _split(build, mine, 3), _split(build, theirs, 3)
    else:
        gates, held = ([build.slice(one, (0, k * units), (1, units)) for k in range(3)] for one in (mine, theirs))
    update, reset = (build.unary("LOGISTIC", build.add(gates[k], held[k])) for k in range(2))
    fresh = build.unary("TANH", build.add(gates[2], build.mul(reset, held[2])))
    rest = build.sub(constant(np.float32(1)), update)
    return step.leave(state, build.add(build.mul(update, state), build.mul(rest, fresh)))


def _lstm(step: _Step, x: Value) -> Value:
    """An LSTM, its input and its state multiplied together or apart."""
    build, units = step.build, int(step.rng.integers(2, 9))
    hidden, cell = step.state(1, units), step.state(1, units)
    if step.rng.random() < 0.5:
        gates = step.dense(build.concatenate([x, hidden], 1), 4 * units)
    else:
        gates = build.add(step.dense(x, 4 * units), step.dense(hidden, 4 * units, bias=False))
    entered, kept, fresh, shown = _split(build, gates, 4)
    entered, kept, shown = (build.unary("LOGISTIC", one) for one in (entered, kept, shown))
    memory = build.add(build.mul(kept, cell), build.mul(entered, build.unary("TANH", fresh)))
    step.leave(cell, memory)
    return step.leave(hidden, build.mul(shown, build.unary("TANH", memory)))


def _leaky(step: _Step, x: Value) -> Value:
    """A plain cell that forgets slowly, a residual around it."""
    build, units = step.build, x.shape[-1]
    state = step.state(1, units)
    fresh = build.unary("TANH", build.add(step.dense(x, units), step.dense(state, units, bias=False)))
    half = constant(np.float32(0.5))
    return build.add(x, step.leave(state, build.add(build.mul(half, state), build.mul(half, fresh))))


def _past(step: _Step, x: Value) -> Value:
    """A causal convolution: the last two steps are kept."""
    build, depth = step.build, x.shape[-1]
    state = step.state(1, 2, depth)
    seen = build.concatenate([state, build.reshape(x, (1, 1, depth))], 1)
    step.leave(state, build.slice(seen, (0, 1, 0), (1, 2, depth)))
    made = int(step.rng.integers(2, 7))
    kernel = step.weights(made, 1, 3, depth)
    rows = build.conv_2d(build.reshape(seen, (1, 1, 3, depth)), kernel, step.weights(made), padding="VALID")
    return build.reshape(build.activate(rows, "RELU"), (1, made))


def _dense(step: _Step, x: Value) -> Value:
    return step.build.activate(step.dense(x, int(step.rng.integers(2, 9))), "RELU")


_MENU: dict[str, Callable[[_Step, Value], Value]] = {
    "gru": _gru, "lstm": _lstm, "leaky": _leaky, "past": _past, "dense": _dense,
}  # fmt: skip


def _stacked(layers: list[str], seed: int) -> Graph:
    step = _Step(seed)
    x = _embedded(step)
    for layer in layers:
        x = _MENU[layer](step, x)
    return step.ended(x)


@CASES
@given(
    layers=st.lists(st.sampled_from(["gru", "lstm", "leaky", "past", "dense"]), min_size=1, max_size=4),
    seed=st.integers(0, 2**32 - 1),
)
def test_step_graphs_over_several_steps_equal_those_with_the_same_channels_of_their_states_zeroed(layers, seed):
    graph = _stacked(layers, seed)
    masks = random_masks(graph, np.random.default_rng(seed))
    assert_steps_are_as_if_zeroed(graph, masks)


@pytest.mark.parametrize("layer", ["gru", "lstm", "leaky"])
def test_half_of_a_state_takes_the_gates_the_kernels_and_the_next_layer_along(layer):
    graph = _stacked([layer, "dense"], 5)
    smaller = assert_steps_are_as_if_zeroed(graph, halves(graph))
    for state, whole in zip(smaller.inputs[1:], graph.inputs[1:], strict=True):
        assert state.shape == (1, -(-whole.shape[1] // 2))
    for left, state in zip(smaller.outputs[1:], smaller.inputs[1:], strict=True):
        assert left.shape == state.shape
    assert multiplications(write(smaller)) < 0.6 * multiplications(write(graph))


@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("GRU", 0.45), ("LSTM", 0.45), ("learnt places, norms before", 0.55),
        *(pytest.param(name, most, marks=pytest.mark.heavy) for name, most in _LAYERS.items()),
    ],
)  # fmt: skip
def test_half_of_the_states_of_keras_layers_goes_and_caches_lose_whole_heads(name, most, tmp_path):
    source = loaded(MODELS[name](), tmp_path, Wanted(context=8))
    graph = read(source.flatbuffer)
    normalize(graph, NORMALIZATIONS)
    smaller = assert_steps_are_as_if_zeroed(graph, halves(graph))
    for value, whole in zip(smaller.inputs[1:], graph.inputs[1:], strict=True):
        if whole.name not in {"position", "seen"}:
            assert sum(value.shape) < sum(whole.shape), whole.name
    assert multiplications(write(smaller)) < most * multiplications(write(graph))


def test_the_two_states_of_an_lstm_are_one_group():
    graph = _stacked(["lstm"], 1)
    (group,) = (one for one in channel_groups(graph) if any(m.value_name == "state0" for m in one.members))
    assert not group.refused
    assert {"state0", "state1"} <= {member.value_name for member in group.members}
