"""Let the graph end in 8-bit pixels: what turns an output's range into 0 to 255 goes into the weights before it.

Given:   y = tanh(conv(x, w, b)), -1 black, 1 white
Result:  y = QUANTIZE(sigmoid(conv(x, 2 w, 2 b))): tanh(t) = 2 sigmoid(2 t) - 1, and 255 sigmoid(2 t) is the pixel

Given:   y = sigmoid(conv(x, w, b)), 0 black, 1 white
Result:  y = QUANTIZE(y)

Given:   y = f(x) in [low, high]
Result:  y = QUANTIZE((f(x) - low) / (high - low)), which QUANTIZE clips

The output becomes UINT8 with scale 1/255 and zero point 0: its bytes are the pixels, its real values are from 0 to 1.
At most one level from rounding the float output.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edge_aigc.converters.ir import Builder
from edge_aigc.converters.rewrites.batch_norm import fold_batch_norm
from edge_aigc.converters.rewrites.match import maker

if TYPE_CHECKING:
    from edge_aigc.converters.ir import Graph, Value

_LEVELS = 255


def end_in_pixels(graph: Graph, place: int, limits: tuple[float, float]) -> None:
    """Make an output of a graph 8-bit pixels.

    Args:
        graph: Is edited; the output's values are float32.
        place: Which output.
        limits: The values that are black and white; what is below or above is clipped.
    """
    output = graph.outputs[place]
    assert output.dtype == "FLOAT32", f"{output} is no picture of floats"
    build = Builder(graph)
    pixels = build.node("QUANTIZE", [_from_0_to_1(graph, build, output, limits)], output.shape, dtype="UINT8")
    pixels.quantization = schema.QuantizationParametersT()
    pixels.quantization.scale, pixels.quantization.zeroPoint = [1 / _LEVELS], [0]
    graph.outputs[place] = pixels
    graph.remove_dead()
    fold_batch_norm(graph)


def _from_0_to_1(graph: Graph, build: Builder, output: Value, limits: tuple[float, float]) -> Value:
    tanh = maker(output, "TANH")
    if tanh is not None and limits == (-1, 1) and not graph.users(output):
        return build.unary("LOGISTIC", build.mul(tanh.input(0), np.array(2, np.float32)))
    low, high = limits
    if (low, high) == (0, 1):
        return output
    factor = 1 / (high - low)
    scaled = build.mul(output, np.array(factor, np.float32))
    return build.add(scaled, np.array(-low * factor, np.float32)) if low else scaled
