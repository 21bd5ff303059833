"""Products of matrices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keras import ops

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from edge_aigc.converters.lift.held import Call, Held, Tensor


def _fully_connected(call: Call) -> Held:
    """Multiply rows by weights ``[o, i]``."""
    count, depth = call.shape(1)
    if call.at(1).sampled:
        x = ops.reshape(call.samples(0, repeated=True), (-1, call.node.output.size // count, depth))
        made = ops.matmul(x, _turned(call.samples(1)))
        if call.has(2):
            made = made + call.at(2).samples(2)
        return call.from_samples(made)
    x = ops.reshape(call.rows(0), (-1, depth))
    made = ops.matmul(x, ops.transpose(call.rows(1)))
    if call.has(2) and not call.at(2).sampled:
        made = made + call.rows(2)
    elif call.has(2):
        made = ops.reshape(made, (-1, call.node.output.size // count, count)) + call.at(2).samples(2)
    shape = call.node.output.shape
    return call.from_rows(ops.reshape(made, (-1, *shape[1:]) if call.sampled else shape))


def _batch_matmul(call: Call) -> Held:
    rank = len(call.node.output.shape)
    (a, b), give = call.together(0, 1) if rank > 2 else _matrices(call)  # noqa: PLR2004 - two axes are the matrices'
    a = _turned(a) if call.option("adjX", default=False) else a
    b = _turned(b) if call.option("adjY", default=False) else b
    return give(ops.matmul(a, b))


def _matrices(call: Call) -> tuple[list[Tensor], Callable[[Tensor], Held]]:
    return [call.samples(0), call.samples(1)], call.from_samples


def _turned(x: Tensor) -> Tensor:
    return ops.swapaxes(x, -1, -2)


PRODUCTS: Mapping[str, Callable[[Call], Held]] = {
    "FULLY_CONNECTED": _fully_connected,
    "BATCH_MATMUL": _batch_matmul,
}
