"""Products of matrices: with weights, and of two tensors."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from edge_aigc.converters.sources.translate.elementwise import add, mul, number
from edge_aigc.converters.sources.translate.laid import Array, Laid, Layout, identity, moved
from edge_aigc.converters.sources.translate.shapes import reshaped
from edge_aigc.converters.sources.translate.translation import Held, Operator, Translation, plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edge_aigc.converters.ir import Value
    from edge_aigc.converters.sources.translate.translation import Handler


def _gemm(t: Translation, op: Operator) -> list[Held]:
    """Return alpha A B + beta C, B in the weights where it is constant."""
    a, b = op.tensor(0), op.given(1)
    alpha, beta = float(op.attributes.get("alpha", 1.0)), float(op.attributes.get("beta", 1.0))
    if op.attributes.get("transA", 0):
        a = Laid(a.value, tuple(None if axis is None else 1 - axis for axis in a.layout), a.shape[::-1])
    if isinstance(b, np.ndarray):
        weights = plain(b if op.attributes.get("transB", 0) else b.T) * np.float32(alpha)
        given = op.given(2)
        vector = isinstance(given, np.ndarray) and given.size in {1, len(weights)}
        bias = (
            np.broadcast_to(plain(op.constant(2)).reshape(-1), (len(weights),)) * np.float32(beta) if vector else None
        )
        result = product(t, a, weights, bias)
        return [result if given is None or vector else add(t, result, _times(t, given, beta))]
    assert isinstance(b, Laid)
    if op.attributes.get("transB", 0):
        b = Laid(b.value, tuple(None if axis is None else 1 - axis for axis in b.layout), b.shape[::-1])
    made, given = _times(t, _matrices(t, a, b), alpha), op.given(2)
    return [made if given is None else add(t, made, _times(t, given, beta))]


def _times(t: Translation, x: Held, factor: float) -> Held:
    if factor == 1:
        return x
    return x * np.float32(factor) if isinstance(x, np.ndarray) else mul(t, x, number(factor))


def product(t: Translation, x: Laid, weights: Array, bias: Array | None) -> Laid:
    """Return FULLY_CONNECTED over a tensor's last ONNX axis; the others lie as they lay."""
    x = t.with_last(x, x.rank - 1)
    bias = np.zeros(len(weights), np.float32) if bias is None else np.ascontiguousarray(bias)
    made = t.build.fully_connected(x.value, np.ascontiguousarray(weights), bias, keep_dims=len(x.value.shape) > 2)  # noqa: PLR2004 - a matrix keeps itself
    return Laid(made, x.layout, (*x.shape[:-1], len(weights)))


def _matmul(t: Translation, op: Operator) -> list[Held]:
    a, b = op.given(0), op.given(1)
    if isinstance(a, Laid) and isinstance(b, np.ndarray) and b.ndim == 2:  # noqa: PLR2004 - a matrix of weights
        return [product(t, a, plain(b.T), None)]
    if min(len(held.shape) for held in (a, b) if held is not None) < 2:  # noqa: PLR2004 - a vector
        raise op.refusal("with a vector")
    assert a is not None
    assert b is not None
    return [_matrices(t, a, b)]


def _matrices(t: Translation, a: Held, b: Held) -> Laid:
    """Return BATCH_MATMUL; an operand whose last two axes lie the other way round is read so."""
    rank = max(len(a.shape), len(b.shape))
    (left, left_turned), (right, right_turned) = _operand(t, a, rank), _operand(t, b, rank)
    if left_turned:  # then the product too is made the other way round: (A B)' = B' A'
        made = t.build.batch_matmul(right, left, adj_x=not right_turned)
        return Laid(made, _turned(rank), (*made.shape[:-2], made.shape[-1], made.shape[-2]))
    made = t.build.batch_matmul(left, right, adj_y=right_turned)
    return Laid(made, identity(rank), made.shape)


def _turned(rank: int) -> Layout:
    return (*range(rank - 2), rank - 1, rank - 2)


def _operand(t: Translation, held: Held, rank: int) -> tuple[Value, bool]:
    straight, turned = identity(rank), _turned(rank)
    if isinstance(held, Laid):
        more = rank - held.rank
        order = [axis + more for axis in held.order]
        if order != sorted(order) and order == [axis for axis in turned if axis in order]:
            return t.to(held, turned, rank), True
    return t.to(held, straight, rank), False


def _einsum(t: Translation, op: Operator) -> list[Held]:
    """Return a sum of products of two tensors as one product of matrices: axes turned, merged, split again."""
    taken, _, given = _word(op.attributes["equation"]).replace(" ", "").partition("->")
    terms = taken.split(",")
    if len(terms) != 2 or not given or "." in taken or any(len(set(term)) != len(term) for term in (*terms, given)):  # noqa: PLR2004
        raise op.refusal(f"by the equation {taken}->{given}")
    a, b = (t.plainly(x) if isinstance(x, np.ndarray) else op.tensor(place) for place, x in enumerate(op.inputs))
    length = dict(zip(terms[0], a.shape, strict=True)) | dict(zip(terms[1], b.shape, strict=True))
    if set(given) - set(length) or any(n not in given and (n in terms[0]) != (n in terms[1]) for n in length):
        raise op.refusal(f"by the equation {taken}->{given}")
    both = [n for n in terms[0] if n in terms[1]]
    batch, summed = [n for n in both if n in given], [n for n in both if n not in given]
    rows, columns = ([n for n in term if n not in both] for term in terms)
    left = _merged(t, a, terms[0], [batch, rows, summed])
    right = _merged(t, b, terms[1], [batch, summed, columns])
    made = [*batch, *rows, *columns]
    whole = reshaped(t, _matrices(t, left, right), [length[n] for n in made])
    perm = [made.index(n) for n in given]
    return [Laid(whole.value, moved(whole.layout, perm), tuple(whole.shape[axis] for axis in perm))]


def _merged(t: Translation, x: Laid, term: str, groups: Sequence[Sequence[str]]) -> Laid:
    perm = [term.index(n) for group in groups for n in group]
    turned = Laid(x.value, moved(x.layout, perm), tuple(x.shape[axis] for axis in perm))
    return reshaped(t, turned, [math.prod(x.shape[term.index(n)] for n in group) for group in groups])


def _word(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


OPERATORS: Mapping[str, Handler] = {"Gemm": _gemm, "MatMul": _matmul, "Einsum": _einsum}
