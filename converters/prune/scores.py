"""What each unit is worth: how much an output would change without it.

*Magnitude*, the baseline, looks at weights alone: Li et al. 2017, "Pruning Filters for Efficient ConvNets".
*Taylor* looks at what a generator makes: activation times gradient (Molchanov et al. 2017, "Pruning Convolutional
Neural Networks for Resource Efficient Inference"). A generator has no loss whose gradient is not zero where it stands,
so the gradient is that of the outputs themselves, projected on random signs: over signs, the mean square of
activation times gradient is the squared change of the outputs without the unit, to the first order.
*Activity*, where a graph does not lift: power of a unit's activations times that of the weights that read it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from edge_aigc.converters.ir import write
from edge_aigc.converters.prune.gates import gated
from edge_aigc.converters.prune.patches import input_of, refitted, weights_of
from edge_aigc.converters.prune.units import makers
from edge_aigc.converters.prune.walk import Walk
from edge_aigc.errors import ConversionError
from edge_aigc.interpreter import Interpreter

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from edge_aigc.converters.ir import Array, Graph
    from edge_aigc.converters.prune.groups import Group, Member

Scores: TypeAlias = "Mapping[str, Array]"
"""Name of a group to the importance of each of its units: not negative, those of one group and of others add up."""

STATES = 0.3
"""What a change of a state counts beside one of what is published: nobody reads it, and later steps show what matters
of it. With 60 % of the poem model gone 48 % of its tokens stayed after the repair; 40 % if states count as much, 47 %
if a tenth, 39 % if a hundredth."""
_SIGNS = 4
"""Random projections of the outputs of each sample."""


def magnitude(graph: Graph, groups: Sequence[Group]) -> dict[str, Array]:
    """Return the share of each unit in the squared weights that make its group."""
    found = {}
    for group in groups:
        power = np.zeros(group.units)
        for node, member in makers(graph, group):
            if refitted(node) and member.axis == len(node.output.shape) - 1:
                data = weights_of(node).data
                assert data is not None
                each = (data.reshape(len(data), -1).astype(np.float64) ** 2).sum(1)
                power += each[member.places].sum(1)
        found[group.name] = _shares(power)
    return found


def activity(graph: Graph, groups: Sequence[Group], samples: Sequence[Sequence[Array]]) -> dict[str, Array]:
    """Return the share of each unit in what the readers of its group make: power of activations by that of weights."""
    walk = Walk(graph, samples)
    power = {group.name: np.zeros(group.units) for group in groups}
    members: dict[str, list[tuple[Group, Member]]] = {}
    for group in groups:
        for member in group.members:
            members.setdefault(member.value_name, []).append((group, member))
    for node in graph.nodes:
        if not refitted(node) or input_of(node).name not in members:
            continue
        value, data = input_of(node), weights_of(node).data
        assert data is not None
        each = np.mean([_power(found, data) for found in walk.reach(value)], axis=0)
        for group, member in members[value.name]:
            if member.axis == len(value.shape) - 1:
                power[group.name] += each[member.places].sum(1)
    return {name: _shares(each) for name, each in power.items()}


def taylor(
    graph: Graph, groups: Sequence[Group], samples: Sequence[Sequence[Array]], *, feeding: Collection[str] = ()
) -> dict[str, Array]:
    """Return the squared change of the outputs without each unit, to the first order, as a share of their variance.

    Args:
        graph: Lifts.
        groups: Of it.
        samples: Inputs, in the graph's order.
        feeding: Names of outputs that feed states: they count less.

    Raises:
        ConversionError: The graph does not lift, or none of its outputs has a gradient.
    """
    from edge_aigc.converters.lift import lift
    from edge_aigc.converters.prune.gradients import slopes_of

    graph = _smooth(graph)
    opened, gates = gated(graph, groups)
    slopes_at = slopes_of(lift(opened))
    gate_values = [np.ones((_SIGNS, *gate.shape[1:]), np.float32) for gate in gates]
    power = {group.name: np.zeros(group.units) for group in groups}
    scales = _scales(graph, samples, feeding)
    dice = np.random.default_rng(0)
    for inputs in samples:
        repeated = [np.concatenate([np.atleast_1d(one)] * _SIGNS) for one in inputs]
        signs = [
            dice.choice(np.array([-1.0, 1.0], np.float32), _stacked(value.shape)) * np.float32(scale)
            for value, scale in zip(graph.outputs, scales, strict=True)
        ]
        slopes = {group.name: np.zeros((_SIGNS, group.units)) for group in groups}
        for gate, slope in zip(gates, slopes_at(repeated, gate_values, signs), strict=True):
            each = slope.reshape(_SIGNS, -1)
            for channel in np.flatnonzero(gate.units >= 0):
                slopes[gate.group][:, gate.units[channel]] += each[:, channel]
        for name, slope in slopes.items():
            power[name] += (slope**2).mean(0) / len(samples)
    return power


def _power(values: Array, weights: Array) -> Array:
    """Return what each channel of a value adds to the power of what weights make of one row of it.

    Args:
        values: ``[..., channels]``; rows go over axes where a dense layer reads a map.
        weights: ``[outputs, ..., columns]``.
    """
    read = (weights.reshape(-1, weights.shape[-1]).astype(np.float64) ** 2).sum(0)
    rows = np.square(values, dtype=np.float64).reshape(-1, len(read)) * read
    power: Array = rows.reshape(-1, values.shape[-1]).sum(0) / len(rows)
    return power


def _smooth(graph: Graph) -> Graph:
    """Return a graph without the outputs that have no gradient: numbers of tokens.

    Raises:
        ConversionError: There are no others.
    """
    smooth = graph.copy()
    kept = [place for place, value in enumerate(smooth.outputs) if value.dtype == "FLOAT32"]
    smooth.outputs = [smooth.outputs[place] for place in kept]
    smooth.output_names = [smooth.output_names[place] for place in kept]
    if not kept:
        told = ", ".join(
            f"{name!r} ({value.dtype})" for name, value in zip(graph.output_names, graph.outputs, strict=True)
        )
        raise ConversionError(
            f"Scores by gradients need an output in floats, and the generator makes whole numbers alone: {told}.",
            remedy="Score by activity, or give the model without its last step, an argmax for example.",
        )
    return smooth


def weight_of(name: str, feeding: Collection[str]) -> float:
    """Return how much a change of an output counts.

    Args:
        name: Of the output.
        feeding: Those that feed states.
    """
    return STATES if name in feeding else 1.0


def _scales(graph: Graph, samples: Sequence[Sequence[Array]], feeding: Collection[str]) -> list[float]:
    """Return what makes the squared change of each output a share of its variance, all but states alike."""
    interpreter = Interpreter(write(graph))
    made = [interpreter.run(list(inputs)) for inputs in samples]
    found = []
    for place, (value, name) in enumerate(zip(graph.outputs, graph.output_names, strict=True)):
        spread = float(np.stack([outputs[place] for outputs in made]).std(dtype=np.float64))
        share = weight_of(name, feeding) / len(graph.outputs)
        found.append(np.sqrt(share / value.size) / max(spread, 1e-12))
    return found


def _stacked(shape: Sequence[int]) -> tuple[int, ...]:
    """Return the shape of samples one after the other on the first axis."""
    first, *rest = shape or (1,)
    return _SIGNS * first, *rest


def _shares(power: Array) -> Array:
    total = power.sum()
    shares: Array = power / total if total > 0 else np.full(len(power), 1 / len(power))
    return shares
