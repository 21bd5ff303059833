"""Random numbers that a Keras model draws, taken from inputs: the same seed gives the same in Keras and here."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from edge_aigc.converters.sources.source import TensorFact
from edge_aigc.errors import ConversionError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Give: TypeAlias = Callable[[str, tuple[int, ...]], Any]
"""Prior (normal or uniform) and shape to standard normal numbers, or uniform ones in [0, 1)."""


def draws_of(call: Callable[[], Any], names: Sequence[str]) -> tuple[TensorFact, ...]:
    """Return the inputs that a model's draws become, in the order in which it draws.

    Args:
        call: Runs the model once.
        names: That are taken.
    """
    import numpy as np

    drawn: list[TensorFact] = []

    def give(prior: str, shape: tuple[int, ...]) -> Any:
        name = "noise" if not drawn else f"noise_{len(drawn) + 1}"
        while name in names:
            name += "_"
        drawn.append(TensorFact(name=name, shape=shape, dtype="float32", prior=prior))
        return np.full(shape, 0.5, np.float32)

    with given(give):
        call()
    return tuple(drawn)


@contextlib.contextmanager
def given(give: Give) -> Iterator[None]:
    """Have Keras and TensorFlow take their normal and uniform random numbers from a function.

    Raises:
        ConversionError: The size of a draw is not known when the model is traced.
    """
    import tensorflow as tf
    from keras.src.backend import random as keras_random

    def normal(shape: Any, mean: float = 0.0, stddev: float = 1.0, *_: Any, **__: Any) -> Any:
        return tf.convert_to_tensor(give("normal", _sizes(shape))) * stddev + mean

    def uniform(shape: Any, minval: float = 0.0, maxval: float | None = None, *_: Any, **__: Any) -> Any:
        most = 1.0 if maxval is None else maxval
        return tf.convert_to_tensor(give("uniform", _sizes(shape))) * (most - minval) + minval

    with contextlib.ExitStack() as stack:
        for module in (keras_random, tf.random):
            for name, function in (("normal", normal), ("uniform", uniform)):
                stack.callback(setattr, module, name, getattr(module, name))
                setattr(module, name, function)
        yield


def one_by_one(draws: Sequence[TensorFact], values: Sequence[Any]) -> Give:
    """Return a function that gives values in the order in which they are drawn."""
    left = iter(zip(draws, values, strict=True))

    def give(prior: str, shape: tuple[int, ...]) -> Any:
        fact, value = next(left)
        assert (fact.prior, math.prod(fact.shape)) == (prior, math.prod(shape)), f"{fact} is not {prior} {shape}"
        return value

    return give


def _sizes(shape: Any) -> tuple[int, ...]:
    import tensorflow as tf

    sizes = [tf.get_static_value(size) for size in shape] if isinstance(shape, (list, tuple)) else None
    if sizes is None:
        whole = tf.get_static_value(tf.convert_to_tensor(shape))
        sizes = None if whole is None else list(whole)
    if sizes is None or any(size is None for size in sizes):
        raise ConversionError(
            f"The model draws random numbers whose size {shape} is not known before it runs.",
            remedy="Draw them in a fixed size, or give the model an input for its noise.",
        )
    return tuple(int(size) for size in sizes)
