"""Bring an output to a range that 8-bit pixels can stand for: it goes into the weights before it.

Given:   y = tanh(conv(x, w, b)), -1 black, 1 white
Result:  y = sigmoid(conv(x, 2 w, 2 b)), 0 black, 1 white: tanh(t) = 2 sigmoid(2 t) - 1

Given:   y = f(x), low black, high white, where no whole number of 0 to 255 stands for 0
Result:  y = (f(x) - low) / (high - low)

Given:   y = f(x), 0 black, 1 or 255 white
Result:  the same

What is below or above is clipped by the QUANTIZE that comes after it, once the types are chosen
(`converters/pixels.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edge_aigc.converters.ir import Builder
from edge_aigc.converters.rewrites.batch_norm import fold_batch_norm
from edge_aigc.converters.rewrites.match import maker

if TYPE_CHECKING:
    from edge_aigc.converters.ir import Graph, Value

LEVELS = 255
"""Steps from black to white."""
_EXACT = 1e-6


def zero_of(limits: tuple[float, float]) -> int | None:
    """Return the pixel that stands for 0, or None where no pixel does.

    >>> zero_of((0.0, 1.0)), zero_of((-128.0, 127.0)), zero_of((-1.0, 1.0))
    (0, 128, None)
    """
    low, high = limits
    zero = -low * LEVELS / (high - low)
    return round(zero) if 0 <= zero <= LEVELS and abs(zero - round(zero)) < _EXACT else None


def fit_to_pixels(graph: Graph, place: int, limits: tuple[float, float]) -> tuple[float, float]:
    """Bring an output of a graph to a range that pixels can stand for, and return the values of black and white.

    Args:
        graph: Is edited; the output's values are float32.
        place: Which output.
        limits: The values that are black and white; what is below or above means the same as they.
    """
    output = graph.outputs[place]
    assert output.dtype == "FLOAT32", f"{output} is no picture of floats"
    if zero_of(limits) is not None:
        return limits
    fitted = _from_0_to_1(graph, Builder(graph), output, limits)
    fitted.name, output.name = output.name, f"{output.name}/before_pixels"
    graph.outputs[place] = fitted
    graph.remove_dead()
    fold_batch_norm(graph)
    return 0.0, 1.0


def _from_0_to_1(graph: Graph, build: Builder, output: Value, limits: tuple[float, float]) -> Value:
    tanh = maker(output, "TANH")
    if tanh is not None and limits == (-1, 1) and not graph.users(output):
        return build.unary("LOGISTIC", build.mul(tanh.input(0), np.array(2, np.float32)))
    low, high = limits
    factor = 1 / (high - low)
    return build.add(build.mul(output, np.array(factor, np.float32)), np.array(-low * factor, np.float32))
