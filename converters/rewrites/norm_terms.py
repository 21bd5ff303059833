"""What the operators of a norm compute, as polynomials: the same however they are spelled.

Of a value x, divided into groups over each of which is averaged, every value nearby is a sum of products of x, its
group's mean m, variance v, second moment w and the factor r = 1 / sqrt(k v + eps) or 1 / sqrt(k w + eps), with constant
coefficients. Instance, layer, group and pixel norms are x r g - m r g + b.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from edge_aigc.converters.ir import Array, Graph, Node, Value
from edge_aigc.converters.ir.windows import activation_of
from edge_aigc.converters.rewrites.match import floats, known
from edge_aigc.converters.rewrites.movement import moved, moves

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Powers: TypeAlias = tuple[int, int, int, int, int]
"""Of x, m, v, w, r."""
Poly: TypeAlias = dict[Powers, Array]
"""Products to their coefficients, which broadcast to the value's shape."""

ONE, X, M, V, W, R = (
    (0, 0, 0, 0, 0),
    (1, 0, 0, 0, 0),
    (0, 1, 0, 0, 0),
    (0, 0, 1, 0, 0),
    (0, 0, 0, 1, 0),
    (0, 0, 0, 0, 1),
)
XR, MR = (1, 0, 0, 0, 1), (0, 1, 0, 0, 1)
_MOST_TERMS = 12
_CLOSE = 1e-5


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """What one value is."""

    poly: Poly
    whole: bool
    """Whether it has an element for each of x, rather than one for each group or so."""
    where: Array
    """Of each element: its place in x; or else the number of the group whose m, v, w and r it holds."""


@dataclass(slots=True, kw_only=True)
class Terms:
    """The values around x that are such polynomials."""

    x: Value
    groups: Array | None = None
    """Of each element of x the number of its group; broadcasts to x."""
    factor: tuple[Powers, float, float] | None = None
    """Whether r is of V or W, k and eps."""
    found: dict[int, Term] = field(default_factory=dict)
    ends: dict[int, Term] = field(default_factory=dict)
    """Those that an activation is fused to: what stands before it."""

    def follow(self, graph: Graph) -> None:
        """Find all such values that the graph computes from x."""
        start = np.arange(self.x.size, dtype=np.int32).reshape(self.x.shape)
        self.found[id(self.x)] = Term(poly={X: number(1)}, whole=True, where=start)
        for node in graph.nodes:
            if not any(id(value) in self.found for value in node.inputs) or len(node.outputs) != 1:
                continue
            term = self._term(node)
            if term is not None and len(term.poly) <= _MOST_TERMS:
                (self.found if activation_of(node) == "NONE" else self.ends)[id(node.output)] = term

    def at(self, value: Value) -> Term | None:
        """Return what a value is, but for an activation that is fused to it."""
        return self.found.get(id(value)) or self.ends.get(id(value))

    def _term(self, node: Node) -> Term | None:
        if moves(node):
            term = self.found[id(node.input(0))]
            shape = node.input(0).shape
            poly = {
                key: c if np.ndim(c) == 0 else moved(node, np.broadcast_to(c, shape)) for key, c in term.poly.items()
            }
            where = moved(node, term.where)
            if term.whole and not self._each_once(where):
                return None
            return Term(poly=poly, whole=term.whole, where=where)
        if node.kind in {"MEAN", "SUM"}:
            return self._average(node)
        if node.kind in _BINARY:
            return self._binary(node)
        if node.kind in {"NEG", "SQUARE", "RSQRT", "SQRT", "RELU"}:
            term = self.found[id(node.input(0))]
            changed = self._unary(node.kind, term)
            return None if changed is None else Term(poly=changed, whole=term.whole, where=term.where)
        return None

    def _each_once(self, where: Array) -> bool:
        """Return whether it holds each place in x once: nothing of it was dropped or repeated."""
        return where.size == self.x.size and bool(np.all(np.bincount(where.reshape(-1), minlength=self.x.size) == 1))

    def _unary(self, kind: str, term: Term) -> Poly | None:
        if kind == "NEG":
            return scaled(term.poly, number(-1))
        if kind == "SQUARE":
            return product(term.poly, term.poly)
        if kind == "RELU":  # a variance is not negative: rounding may be
            return term.poly if _is_moment(term.poly) is not None else None
        factor = _factor(term.poly)
        if factor is None or self.factor not in {None, factor}:
            return None
        self.factor = factor
        return {R if kind == "RSQRT" else (0, 0, 0, 0, -1): number(1)}

    def _binary(self, node: Node) -> Term | None:
        left, right = (self._operand(node.input(place)) for place in (0, 1))
        if left is None or right is None:
            return None
        joined = self._joined(left[1], right[1], node.output.shape)
        poly = _BINARY[node.kind](left[0], right[0])
        return None if joined is None or poly is None else Term(poly=poly, whole=joined[0], where=joined[1])

    def _operand(self, value: Value) -> tuple[Poly, Term | None] | None:
        data = floats(value)
        if data is not None:
            return {ONE: data}, None
        term = self.found.get(id(value))
        return None if term is None else (term.poly, term)

    def _joined(self, left: Term | None, right: Term | None, shape: tuple[int, ...]) -> tuple[bool, Array] | None:
        """Return what an element of a result belongs to, or None if its operands do not agree on that."""
        terms = [term for term in (left, right) if term is not None]
        whole = [term for term in terms if term.whole]
        if any(term.where.shape != shape for term in whole):
            return None
        first = (whole or terms)[0]
        where = np.broadcast_to(first.where, shape)
        for other in terms:
            if other is first:
                continue
            theirs = np.broadcast_to(other.where, shape)
            mine = self._group_at(where) if first.whole and not other.whole else where
            if mine is None or not np.array_equal(theirs, mine):
                return None
        return bool(whole), where

    def _group_at(self, where: Array) -> Array | None:
        if self.groups is None:
            return None
        return np.broadcast_to(self.groups, self.x.shape).reshape(-1)[where]

    def _average(self, node: Node) -> Term | None:
        term = self.found[id(node.input(0))]
        axes = tuple(int(axis) for axis in known(node.input(1)).reshape(-1)) if node.input(1).data is not None else ()
        if not term.whole or not axes:
            return None
        shape = list(node.input(0).shape)
        for axis in axes:
            shape[axis] = 1
        numbers = np.arange(node.output.size, dtype=np.int32)
        labels = self._labels(term.where, numbers.reshape(shape))
        averaged = _averaged(term.poly, node.input(0).size // node.output.size if node.kind == "SUM" else 1)
        if labels is None or averaged is None:
            return None
        return Term(poly=averaged, whole=False, where=labels.reshape(node.output.shape))

    def _labels(self, where: Array, numbers: Array) -> Array | None:
        """Return the number of the group that each average is over; the first average numbers them."""
        over = np.empty(self.x.size, np.int32)
        over[where.reshape(-1)] = np.broadcast_to(numbers, where.shape).reshape(-1)
        if self.groups is None:
            self.groups = smallest(over.reshape(self.x.shape))
            return numbers
        groups = np.broadcast_to(self.groups, self.x.shape).reshape(-1)
        labels = np.zeros(numbers.size, np.int32)
        labels[over] = groups
        alike = np.array_equal(labels[over], groups) and numbers.size == int(self.groups.max()) + 1
        return labels if alike else None


def number(value: float) -> Array:
    """Return a number in float32, of no axes."""
    return np.array(value, np.float32)


def smallest(data: Array) -> Array:
    """Return the smallest array that broadcasts to this one."""
    for axis in range(data.ndim):
        first = data.take([0], axis)
        if data.shape[axis] > 1 and bool(np.all(data == first)):
            data = first
    return data


def scaled(poly: Poly, by: Array) -> Poly:
    """Return a polynomial times a constant."""
    return {key: c * by for key, c in poly.items()}


def total(a: Poly, b: Poly) -> Poly:
    """Return the sum; products that cancel are gone."""
    result = dict(a)
    for key, c in b.items():
        result[key] = result[key] + c if key in result else c
    return {key: c for key, c in result.items() if np.any(c)}


def product(a: Poly, b: Poly) -> Poly:
    """Return the product."""
    result: Poly = {}
    for one, c in a.items():
        for other, d in b.items():
            powers = tuple(p + q for p, q in zip(one, other, strict=True))
            result = total(result, {powers: c * d})  # type: ignore[dict-item]
    return result


def _difference(a: Poly, b: Poly) -> Poly:
    return total(a, scaled(b, number(-1)))


def _squared_difference(a: Poly, b: Poly) -> Poly:
    between = _difference(a, b)
    return product(between, between)


def _quotient(a: Poly, b: Poly) -> Poly | None:
    if len(b) != 1:
        return None
    ((powers, c),) = b.items()
    if any(powers[:4]) or not np.all(c):
        return None
    return product(a, {(0, 0, 0, 0, -powers[4]): number(1) / c})


_BINARY: Mapping[str, Callable[[Poly, Poly], Poly | None]] = {
    "ADD": total,
    "SUB": _difference,
    "MUL": product,
    "DIV": _quotient,
    "SQUARED_DIFFERENCE": _squared_difference,
}


def _averaged(poly: Poly, times: int) -> Poly | None:
    """Return the mean over groups, times a number, of x, x² or (x - m)²."""
    if any(np.size(c) != 1 for c in poly.values()):
        return None
    numbers = {key: float(np.reshape(c, ())) * times for key, c in poly.items()}
    square = {(2, 0, 0, 0, 0): 1.0, (1, 1, 0, 0, 0): -2.0, (0, 2, 0, 0, 0): 1.0}
    for wanted, average in (({X: 1.0}, M), ({(2, 0, 0, 0, 0): 1.0}, W), (square, V)):
        if numbers.keys() == wanted.keys():
            first = next(iter(wanted))
            k = numbers[first] / wanted[first]
            if all(abs(numbers[key] - k * wanted[key]) <= _CLOSE * abs(k) for key in wanted):
                return {average: number(k)}
    return None


def _is_moment(poly: Poly) -> tuple[Powers, float] | None:
    """Return what k v, k w or k w - k m² is of, with k; None if it is none of them."""
    if any(np.size(c) != 1 for c in poly.values()):
        return None
    numbers = {key: float(np.reshape(c, ())) for key, c in poly.items()}
    if numbers.keys() == {V}:
        return V, numbers[V]
    if numbers.keys() == {W}:
        return W, numbers[W]
    squared = (0, 2, 0, 0, 0)
    if numbers.keys() == {W, squared} and abs(numbers[W] + numbers[squared]) <= _CLOSE * abs(numbers[W]):
        return V, numbers[W]
    return None


def _factor(poly: Poly) -> tuple[Powers, float, float] | None:
    eps = poly.get(ONE, number(0))
    moment = _is_moment({key: c for key, c in poly.items() if key != ONE})
    if moment is None or np.size(eps) != 1 or moment[1] <= 0:
        return None
    return (*moment, float(np.reshape(eps, ())))
