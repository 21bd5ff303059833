"""Gradients of a lifted graph's outputs at some of its inputs, on whichever backend Keras runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edge_aigc.converters.ir import Array
    from edge_aigc.converters.lift import Lifted


def slopes_of(lifted: Lifted) -> Callable[[Sequence[Array], Sequence[Array], Sequence[Array]], list[Array]]:
    """Return a function that tells how projections of a graph's outputs change with its last inputs.

    It takes the first inputs, the last ones, and a factor for each number of the outputs, all with the same batch in
    front, and returns the gradients of each sample's projection at the last inputs.

    Args:
        lifted: The graph.
    """
    import keras

    backend = str(keras.backend.backend())
    return {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}[backend](lifted)


def _tensorflow(lifted: Lifted) -> Callable[..., list[Array]]:
    import tensorflow as tf

    @tf.function  # type: ignore[untyped-decorator,unused-ignore]
    def slopes(inputs: Any, last: Any, signs: Any) -> Any:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(last)
            outputs, _ = lifted([*inputs, *last])
            projection = _projected(outputs, signs, tf.reduce_sum)
        return tape.gradient(projection, last, unconnected_gradients=tf.UnconnectedGradients.ZERO)

    def run(inputs: Sequence[Array], last: Sequence[Array], signs: Sequence[Array]) -> list[Array]:
        found = slopes(*([tf.constant(one) for one in some] for some in (inputs, last, signs)))
        return [np.asarray(one) for one in found]

    return run


def _jax(lifted: Lifted) -> Callable[..., list[Array]]:
    import jax  # type: ignore[import-not-found,unused-ignore]

    def projection(last: Any, inputs: Any, signs: Any) -> Any:
        outputs, _ = lifted([*inputs, *last])
        return _projected(outputs, signs, lambda product: product.sum())

    slopes = jax.jit(jax.grad(projection))

    def run(inputs: Sequence[Array], last: Sequence[Array], signs: Sequence[Array]) -> list[Array]:
        return [np.asarray(one) for one in slopes(list(last), list(inputs), list(signs))]

    return run


def _torch(lifted: Lifted) -> Callable[..., list[Array]]:
    import keras
    import torch

    def run(inputs: Sequence[Array], last: Sequence[Array], signs: Sequence[Array]) -> list[Array]:
        given, opened, factors = (
            [keras.ops.convert_to_tensor(np.ascontiguousarray(one)) for one in some] for some in (inputs, last, signs)
        )
        for one in opened:
            one.requires_grad_()
        outputs, _ = lifted([*given, *opened])
        projection = _projected(outputs, factors, lambda product: product.sum())
        found = torch.autograd.grad(projection, opened, allow_unused=True)
        zeros = [np.zeros(one.shape, np.float32) for one in last]
        return [zero if one is None else one.detach().cpu().numpy() for one, zero in zip(found, zeros, strict=True)]

    return run


def _projected(outputs: Sequence[Any], signs: Sequence[Any], total: Callable[[Any], Any]) -> Any:
    return sum(total(output * sign) for output, sign in zip(outputs, signs, strict=True))
