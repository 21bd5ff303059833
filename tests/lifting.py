"""What the tests of `lift` share: parity with the interpreter, for one sample and for several at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edge_aigc.converters.ir import write
from edge_aigc.converters.lift import lift
from edge_aigc.interpreter import Interpreter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_aigc.converters.ir import Array, Graph


def drawn(graph: Graph, count: int = 3, below: int = 3) -> list[list[Array]]:
    """Return samples of a graph's inputs: normal, or whole numbers below a limit."""
    dice = np.random.default_rng(0)

    def one(shape: tuple[int, ...], dtype: str) -> Array:
        if dtype == "FLOAT32":
            return dice.standard_normal(shape).astype(np.float32)
        return dice.integers(0, below, shape).astype(dtype.lower())

    return [[one(value.shape, value.dtype) for value in graph.inputs] for _ in range(count)]


def batch(draws: Sequence[Sequence[Array]]) -> list[Array]:
    """Return samples one after the other on axis 0."""
    return [np.concatenate([np.atleast_1d(x) for x in inputs]) for inputs in zip(*draws, strict=True)]


def assert_parity(graph: Graph, draws: Sequence[Sequence[Array]], tolerance: float = 1e-5) -> None:
    """Hold a lifted graph against the interpreter, one sample and all at once.

    Args:
        graph: Is not touched.
        draws: Samples of its inputs.
        tolerance: The largest error, as a share of the range of an output.
    """
    interpreter, lifted = Interpreter(write(graph)), lift(graph)
    expected = [[np.array(output) for output in interpreter.run(list(draw))] for draw in draws]
    together, alone = lifted(batch(draws))[0], lifted(batch(draws[:1]))[0]
    for place, outputs in enumerate(zip(*expected, strict=True)):
        assert_near(together[place], np.concatenate([np.atleast_1d(output) for output in outputs]), tolerance)
        assert_near(alone[place], np.atleast_1d(outputs[0]), tolerance)


def assert_near(found: Any, wanted: Array, tolerance: float = 1e-5) -> None:
    """Hold a tensor against what TFLite made: shape, type, and values."""
    from keras import ops

    numbers = ops.convert_to_numpy(found)
    assert numbers.shape == wanted.shape
    assert numbers.dtype == wanted.dtype
    exact, ours = wanted.astype(np.float64), numbers.astype(np.float64)
    span = float(np.ptp(exact)) or float(np.abs(exact).max()) or 1.0
    assert not numbers.size or np.abs(ours - exact).max() / span <= tolerance
