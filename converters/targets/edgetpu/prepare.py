"""Write the float model in operators that the Edge TPU computes, before it is quantized.

Given:   y = LEAKY_RELU(x), slope a
Result:  y = MAXIMUM(x, MUL(x, a))       MINIMUM where a is above 1

Exact. Coral's table has MAXIMUM, MINIMUM and MUL and no LEAKY_RELU; in int8 the three tensors share one scale, so
that nothing is requantized but the product.
"""

from __future__ import annotations

import numpy as np

from edge_aigc.converters.ir import Builder, read, write


def prepare(flatbuffer: bytes) -> bytes:
    """Return the float flatbuffer without leaky ReLU; the very same bytes where there is none."""
    graph = read(flatbuffer)
    leaky = [node for node in graph.nodes if node.kind == "LEAKY_RELU"]
    if not leaky:
        return flatbuffer
    for node in leaky:
        slope = float(node.options["alpha"])
        build = Builder(graph, before=node)
        scaled = build.mul(node.input(0), np.array(slope, np.float32))
        made = build.binary("MAXIMUM" if slope <= 1 else "MINIMUM", node.input(0), scaled)
        made.name = node.output.name
        graph.replace(node.output, made)
    graph.remove_dead()
    return write(graph)
