"""Instance, layer, group and pixel norms in one form, the one that runs fastest of those that keep precision.

Given:   a norm in the words of Keras, of PyTorch, or by hand: over reshaped maps, in five axes, as sums, …
Result:  m = mean(x); v = mean((x - m)²); a = g rsqrt(v + eps); y = x a + (b - m a)

where a and b are small, and for one factor a row (layer norm), whose g and b the next dense layer can then take in:

Result:  d = x - m; y = d rsqrt(mean(d²) + eps) g + b

Pixel norm (no mean) is y = x a + b with a = g rsqrt(mean(x²) + eps). A group's mean is that of its channels' means,
so that maps stay in four axes. Measured on x86-64, 128x128x64, float32: 0.72 ms, against 0.88 ms as PyTorch spells it;
counted on Cortex-A72, 32x32x256: 1,211 k instructions against 1,426 k. E[x²] - m² takes 0.57 ms and 865 k, and loses
precision where the mean is far from 0. Average pools and sums instead of MEAN take as long or longer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edge_aigc.converters.ir import Builder
from edge_aigc.converters.ir.windows import activation_of
from edge_aigc.converters.rewrites.identities import remove_identities
from edge_aigc.converters.rewrites.match import maker
from edge_aigc.converters.rewrites.norm_terms import MR, ONE, XR, Term, Terms, V, number, smallest
from edge_aigc.converters.rewrites.shortest import shortest
from edge_aigc.converters.rewrites.unit_axes import drop_unit_axes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge_aigc.converters.ir import Array, Graph, Node, Value

_SMALL = 4
"""How many times smaller than x what is computed once a group must be, to be computed apart."""
_LONGEST = 16
"""Operators that a norm is spelled with, at most."""
_A_NODE = 64
"""What an operator costs before it touches an element, in elements."""
_WIDE_RANK = 8
"""How many times slower a reduction in five axes and more is, which XNNPACK does not run: 42 ms a CycleGAN's, not 5."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Norm:
    """What is known of one norm: y = (x - m) r g + b, seen through a movement."""

    x: Value
    groups: Array
    """Of each element of x the number of its group; broadcasts to x."""
    centred: bool
    """Whether m is subtracted, and v rather than the second moment in r."""
    eps: float
    gain: Array
    shift: Array
    """Both broadcast to x."""
    where: Array
    """Of each element of y its place in x."""


def unify_norms(graph: Graph) -> bool:
    """Write every norm in the one form, where that costs less than it does now."""
    changed, at = False, 0
    while at < len(graph.nodes):
        node = graph.nodes[at]
        average = node.kind in {"MEAN", "SUM"} and node.output.dtype == "FLOAT32"
        if average and any(_unify(graph, base) for base in _bases(node)):
            # The graph is another; what follows may have moved up by what a norm is shorter now.
            changed, at = True, max(0, at - _LONGEST)
        at += 1
    return changed


def _bases(node: Node) -> Iterator[Value]:
    """Return what the norm that an average belongs to may be of, the furthest first."""
    value = node.input(0)
    before = maker(value, "SQUARE", "MUL")
    if before is not None and (before.kind == "SQUARE" or before.inputs[0] is before.inputs[1]):
        value = before.input(0)
    chain = [value]
    while (before := maker(chain[-1], "RESHAPE", "TRANSPOSE", "EXPAND_DIMS")) is not None:
        chain.append(before.input(0))
    return (base for base in reversed(chain) if base.data is None)


def _unify(graph: Graph, base: Value) -> bool:
    terms = Terms(x=base)
    terms.follow(graph)
    for at in range(len(graph.nodes) - 1, -1, -1):
        node = graph.nodes[at]
        norm = _norm(terms, terms.at(node.outputs[0])) if node.outputs else None
        if norm is None:
            continue
        trial = graph.copy()
        copied = trial.nodes[at]
        same = _same_value(graph, trial, base)
        made = _build(Builder(trial, before=copied), norm, same, activation_of(node))
        if made is None or made.shape != node.output.shape:
            continue
        trial.replace(copied.output, made)
        # As the rounds after this one leave it: what is cheaper only until then would be undone for ever.
        while drop_unit_axes(trial) | remove_identities(trial):
            pass
        trial.remove_dead()
        if _cost(trial) < _cost(graph):
            graph.nodes, graph.inputs, graph.outputs = trial.nodes, trial.inputs, trial.outputs
            return True
    return False


def _same_value(graph: Graph, trial: Graph, value: Value) -> Value:
    """Return the copy of a value in a graph's copy."""
    if value.producer is None:
        return trial.inputs[graph.inputs.index(value)]
    at = graph.nodes.index(value.producer)
    return trial.nodes[at].outputs[value.producer.outputs.index(value)]


def _norm(terms: Terms, term: Term | None) -> Norm | None:
    """Return the norm that a value is, if it is one."""
    if term is None or not term.whole or terms.factor is None or terms.groups is None or XR not in term.poly:
        return None
    moment, k, eps = terms.factor
    centred = moment == V
    allowed = {XR, MR, ONE} if centred else {XR, ONE}
    if not term.poly.keys() <= allowed or (centred and not _opposite(term)):
        return None

    def over_x(coefficient: Array) -> Array:
        spread = np.empty(terms.x.size, np.float32)
        spread[term.where.reshape(-1)] = np.broadcast_to(coefficient, term.where.shape).reshape(-1)
        return smallest(spread.reshape(terms.x.shape))

    return Norm(
        x=terms.x,
        groups=terms.groups,
        centred=centred,
        eps=eps / k,
        gain=over_x(term.poly[XR] / np.sqrt(np.float32(k))),
        shift=over_x(term.poly.get(ONE, np.zeros((), np.float32))),
        where=term.where,
    )


def _opposite(term: Term) -> bool:
    return MR in term.poly and bool(np.allclose(term.poly[XR], -term.poly[MR], rtol=1e-5))


def _build(build: Builder, norm: Norm, x: Value, activation: str) -> Value | None:
    """Add the one form of a norm; None where its groups are no axes and no neighbouring channels."""
    over = _Averages.of(build, norm, x)
    steps = shortest(norm.where, x.shape) if not _in_order(norm.where) else [("RESHAPE", list(norm.where.shape))]
    if over is None or steps is None:
        return None
    small = np.broadcast_shapes(over.shape, norm.gain.shape)
    if int(np.prod(small)) * _SMALL <= x.size and over.takes(norm.gain):
        y = _with_small_factors(build, norm, x, over)
    else:
        y = _with_factors_after(build, norm, x, over)
    y = build.activate(y, activation)
    if steps == [("RESHAPE", list(x.shape))]:
        return y
    for kind, numbers in steps:
        y = build.reshape(y, numbers) if kind == "RESHAPE" else build.transpose(y, numbers)
    return y


def _in_order(where: Array) -> bool:
    return bool(np.array_equal(where.reshape(-1), np.arange(where.size)))


def _with_small_factors(build: Builder, norm: Norm, x: Value, over: _Averages) -> Value:
    if norm.centred:
        mean = over.spread(over.mean(x))
        moment = over.mean(build.binary("SQUARED_DIFFERENCE", x, mean))
    else:
        moment = over.mean(build.unary("SQUARE", x))
    factor = over.spread(build.unary("RSQRT", build.add(moment, number(norm.eps))), norm.gain)
    y = build.mul(x, factor)
    shifts = bool(np.any(norm.shift))
    if not norm.centred:
        return build.add(y, norm.shift) if shifts else y
    below = build.mul(mean, factor)
    together = np.broadcast_shapes(below.shape, norm.shift.shape) == below.shape
    if not shifts or not together:
        y = build.sub(y, below)
        return build.add(y, norm.shift) if shifts else y
    return build.add(y, build.sub(norm.shift, below))


def _with_factors_after(build: Builder, norm: Norm, x: Value, over: _Averages) -> Value:
    centred = build.sub(x, over.spread(over.mean(x))) if norm.centred else x
    moment = over.mean(build.unary("SQUARE", centred))
    y = build.mul(centred, over.spread(build.unary("RSQRT", build.add(moment, number(norm.eps)))))
    if np.any(norm.gain != 1):
        y = build.mul(y, norm.gain)
    return build.add(y, norm.shift) if np.any(norm.shift) else y


@dataclass(frozen=True, slots=True, kw_only=True)
class _Averages:
    """How to average over the groups of x, and to bring a number a group back to where it broadcasts to x."""

    build: Builder
    axes: tuple[int, ...]
    shape: tuple[int, ...]
    """Of what broadcasts to x."""
    blocks: int
    """Groups of neighbouring channels; 0 where each channel, or each row, is its own."""

    @classmethod
    def of(cls, build: Builder, norm: Norm, x: Value) -> _Averages | None:
        shape, count = norm.groups.shape, int(norm.groups.max()) + 1
        axes = tuple(axis for axis, size in enumerate(x.shape) if size > 1 and shape[axis] == 1)
        if norm.groups.size == count:
            return cls(build=build, axes=axes, shape=shape, blocks=0) if axes else None
        rows = norm.groups.reshape(count, -1) if norm.groups.size % count == 0 else None
        channels = shape[-1] == norm.groups.size == x.shape[-1]
        if rows is None or not channels or not np.array_equal(rows, np.broadcast_to(rows[:, :1], rows.shape)):
            return None
        return cls(build=build, axes=axes, shape=shape, blocks=count)

    def mean(self, x: Value) -> Value:
        """Return one number a group: as it broadcasts, or [1, 1, groups, 1]."""
        averaged = self.build.reduce("MEAN", x, self.axes) if self.axes else x
        if not self.blocks:
            return averaged
        apart = self.build.reshape(averaged, (1, 1, self.blocks, self.shape[-1] // self.blocks))
        return self.build.reduce("MEAN", apart, [3])

    def takes(self, gain: Array) -> bool:
        """Return whether a number a channel can be multiplied in while spreading."""
        return not self.blocks or gain.size == 1 or gain.shape == self.shape

    def spread(self, value: Value, gain: Array | None = None) -> Value:
        """Return a number a group, times a gain, where it broadcasts to x."""
        if not self.blocks:
            return value if gain is None or not np.any(gain != 1) else self.build.mul(value, gain)
        times = (
            np.ones(self.shape[-1], np.float32) if gain is None else np.broadcast_to(gain.reshape(-1), self.shape[-1:])
        )
        apart = self.build.mul(value, np.ascontiguousarray(times).reshape(1, 1, self.blocks, -1))
        return self.build.reshape(apart, self.shape)


def _cost(graph: Graph) -> int:
    """Return about how many elements are touched."""
    cost = 0
    for node in graph.nodes:
        cost += _A_NODE + sum(value.size for value in node.outputs)
        if node.kind in {"MEAN", "SUM"}:
            x = node.input(0)
            cost += x.size * (_WIDE_RANK if len(x.shape) > 4 else 1)  # noqa: PLR2004 - XNNPACK's maps
    return cost
