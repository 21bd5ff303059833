"""Graphs of one operator each, over its attributes: what `lift` is held against the interpreter on."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_aigc.converters.ir import Builder, Graph, Value, constant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from edge_aigc.converters.ir import Array

DICE = np.random.default_rng(5)
MAPS = (1, 5, 6, 4)


def numbers(*shape: int) -> Array:
    """Return weights."""
    return DICE.standard_normal(shape).astype(np.float32)


def whole(*values: Any) -> Array:
    """Return shapes, axes, places."""
    return np.array(values[0] if len(values) == 1 else values, np.int32)


@dataclass(frozen=True, kw_only=True)
class Case:
    """A net of one operator."""

    graph: Graph
    below: dict[int, int] = field(default_factory=dict)
    """Of an input of whole numbers, by its place: what they are below."""
    low: float | None = None
    """Inputs are uniform from it to it + 3; None: normal."""

    def draw(self, seed: int) -> list[Array]:
        """Return one sample of each input."""
        dice = np.random.default_rng(seed)
        drawn = []
        for place, value in enumerate(self.graph.inputs):
            if value.dtype == "BOOL":
                drawn.append(dice.random(value.shape) < 0.5)
            elif value.dtype != "FLOAT32":
                kind = np.dtype(value.dtype.lower())
                drawn.append(dice.integers(0, self.below.get(place, 4), value.shape).astype(kind))
            elif self.low is not None:
                drawn.append(dice.uniform(self.low, self.low + 3, value.shape).astype(np.float32))
            else:
                drawn.append(dice.standard_normal(value.shape).astype(np.float32))
        return [np.asarray(numbers) for numbers in drawn]


def case(
    inputs: Sequence[tuple[int, ...] | tuple[tuple[int, ...], str]],
    make: Callable[..., Value | list[Value]],
    **options: Any,
) -> Case:
    """Return the case of a graph that `make` builds from a builder and its inputs."""
    values, scalar = [], []
    for place, entry in enumerate(inputs):
        shape, dtype = entry if len(entry) == 2 and isinstance(entry[1], str) else (entry, "FLOAT32")
        values.append(Value(name=f"x{place}", shape=tuple(shape) or (1,), dtype=dtype))
        scalar.append(shape == ())
    graph = Graph(inputs=values, outputs=[], nodes=[], input_names=[value.name for value in values], output_names=["y"])
    builder = Builder(graph)
    made = make(builder, *(builder.reshape(x, ()) if bare else x for x, bare in zip(values, scalar, strict=True)))
    graph.outputs = made if isinstance(made, list) else [made]
    graph.output_names = [f"y{place}" for place in range(len(graph.outputs))]
    return Case(graph=graph, **options)


def outputs(first: Value, others: Sequence[Sequence[int]], dtype: str = "FLOAT32") -> list[Value]:
    """Give the node that made a value more outputs."""
    node = first.producer
    assert node is not None
    for place, shape in enumerate(others):
        node.outputs.append(Value(name=f"more{place}", shape=tuple(shape), dtype=dtype, producer=node))
    return list(node.outputs)


def convolutions() -> Iterator[tuple[str, Case]]:
    for padding, stride, dilation in product(("SAME", "VALID"), ((1, 1), (2, 2), (1, 2)), ((1, 1), (2, 1), (2, 2))):
        if stride != (1, 1) and dilation != (1, 1):
            continue
        geometry = {"stride": stride, "dilation": dilation, "padding": padding}
        for size in ((3, 3), (2, 4), (1, 1)):
            words = f"{padding} {size} stride {stride} dilation {dilation}"
            yield (
                f"CONV_2D {words}",
                case(
                    [(1, 9, 10, 4)], lambda b, x, g=geometry, s=size: b.conv_2d(x, numbers(5, *s, 4), numbers(5), **g)
                ),
            )
            yield (
                f"DEPTHWISE_CONV_2D {words}",
                case(
                    [(1, 9, 10, 4)],
                    lambda b, x, g=geometry, s=size: b.depthwise_conv_2d(x, numbers(1, *s, 8), numbers(8), **g),
                ),
            )
    for activation in ("RELU", "RELU6", "RELU_N1_TO_1"):
        yield (
            f"CONV_2D {activation}",
            case([MAPS], lambda b, x, a=activation: b.conv_2d(x, 3 * numbers(5, 3, 3, 4), numbers(5), activation=a)),
        )
    yield "CONV_2D groups", case([MAPS], lambda b, x: b.conv_2d(x, numbers(6, 3, 3, 2), numbers(6), padding="SAME"))
    yield "CONV_2D three maps", case([(3, 5, 6, 4)], lambda b, x: b.conv_2d(x, numbers(6, 3, 3, 4), numbers(6)))
    yield from transposed()
    yield from by_sample()
    yield from volumes()


def volumes() -> Iterator[tuple[str, Case]]:
    options = {"option_class": "Conv3DOptions", "fusedActivationFunction": 0}
    for padding, step in product((0, 1), (1, 2)):
        strides = {"strideD": 1, "strideH": step, "strideW": step}
        spread = {f"dilation{axis}Factor": 1 for axis in "DHW"}
        made = (1, 4, -(-5 // step), -(-6 // step), 4) if padding == 0 else (1, 3, -(-4 // step), -(-5 // step), 4)
        yield (
            f"CONV_3D padding {padding} stride {step}",
            case(
                [(1, 4, 5, 6, 3)],
                lambda b, x, m=made, o={**options, **strides, **spread, "padding": padding}: b.node(
                    "CONV_3D", [x, numbers(2, 2, 2, 3, 4), numbers(4)], m, **o
                ),
            ),
        )
        high, wide = ((5 * step, 6 * step), (4 * step + 2, 5 * step + 2))[padding]
        upwards = {**options, **strides, **spread, "padding": padding}
        yield (
            f"CONV_3D_TRANSPOSE padding {padding} stride {step}",
            case(
                [(1, 4, 5, 6, 3)],
                lambda b, x, m=(1, 4 + padding, high, wide, 4), o=upwards: b.node(
                    "CONV_3D_TRANSPOSE", [whole(m), numbers(2, 2, 2, 4, 3), x], m, dtype="FLOAT32", **o
                ),
            ),
        )


def transposed() -> Iterator[tuple[str, Case]]:
    for padding, kernel, stride in product(
        ("SAME", "VALID"), ((4, 4), (3, 3), (2, 5), (1, 1)), ((2, 2), (1, 2), (3, 1))
    ):
        full = [(n - 1) * s + k for n, s, k in zip((4, 5), stride, kernel, strict=True)]
        sizes = {"SAME": [(4 * stride[0], 5 * stride[1])], "VALID": [tuple(full)]}[padding]
        if padding == "SAME" and stride == (2, 2):
            sizes += [(7, 9)]
        if padding == "VALID" and stride == (2, 2):
            sizes += [(full[0] + 1, full[1] + 1)]
        for size in sizes:
            yield (
                f"TRANSPOSE_CONV {padding} {kernel} stride {stride} to {size}",
                case(
                    [(1, 4, 5, 3)],
                    lambda b, x, k=kernel, z=size, s=stride, p=padding: b.transpose_conv(
                        x, numbers(6, *k, 3), numbers(6), z, stride=s, padding=p
                    ),
                ),
            )
    yield (
        "TRANSPOSE_CONV without a bias, RELU",
        case(
            [(1, 4, 5, 3)],
            lambda b, x: b.transpose_conv(
                x, numbers(6, 4, 4, 3), None, (8, 10), stride=(2, 2), padding="SAME", activation="RELU"
            ),
        ),
    )


def by_sample() -> Iterator[tuple[str, Case]]:
    """Kernels that depend on the inputs."""
    for padding, stride in product(("SAME", "VALID"), ((1, 1), (2, 2))):
        geometry = {"stride": stride, "padding": padding}
        yield (
            f"CONV_2D weights by sample {padding} {stride}",
            case([(1, 6, 7, 4), (5, 3, 3, 4)], lambda b, x, w, g=geometry: b.conv_2d(x, w, numbers(5), **g)),
        )
        yield (
            f"DEPTHWISE_CONV_2D weights by sample {padding} {stride}",
            case([(1, 6, 7, 4), (1, 3, 3, 8)], lambda b, x, w, g=geometry: b.depthwise_conv_2d(x, w, numbers(8), **g)),
        )
    for padding, size in (("SAME", (8, 10)), ("VALID", (9, 11)), ("SAME", (7, 9))):
        yield (
            f"TRANSPOSE_CONV weights by sample {padding} {size}",
            case(
                [(1, 4, 5, 3), (6, 3, 3, 3)],
                lambda b, x, w, p=padding, z=size: b.transpose_conv(x, w, numbers(6), z, stride=(2, 2), padding=p),
            ),
        )
    yield (
        "CONV_2D maps that are weights, kernels by sample",
        case([(5, 3, 3, 4)], lambda b, w: b.conv_2d(b.unary("NEG", constant(numbers(1, 6, 7, 4), "learned")), w)),
    )


def products() -> Iterator[tuple[str, Case]]:
    for shape, keep in (((1, 6), False), ((1, 3, 6), False), ((1, 3, 6), True), ((3, 6), False), ((6,), False)):
        for bias in (True, False):
            yield (
                f"FULLY_CONNECTED {shape} keep {keep} bias {bias}",
                case(
                    [shape],
                    lambda b, x, k=keep, with_bias=bias: b.fully_connected(
                        x, numbers(4, 6), numbers(4) if with_bias else None, keep_dims=k, activation="RELU"
                    ),
                ),
            )
    yield (
        "FULLY_CONNECTED weights by sample",
        case([(2, 6), (4, 6)], lambda b, x, w: b.fully_connected(x, w, numbers(4))),
    )
    for adj_x, adj_y in product((False, True), repeat=2):
        for left, right in (((1, 2, 3, 4), (1, 2, 4, 5)), ((3, 4), (4, 5)), ((2, 3, 4), (1, 4, 5))):
            a = (*left[:-2], left[-1], left[-2]) if adj_x else left
            c = (*right[:-2], right[-1], right[-2]) if adj_y else right
            words = f"{a} {c} adj {adj_x} {adj_y}"
            make = {"adj_x": adj_x, "adj_y": adj_y}
            yield f"BATCH_MATMUL {words}", case([a, c], lambda b, x, y, m=make: b.batch_matmul(x, y, **m))
            yield (
                f"BATCH_MATMUL weights {words}",
                case([a], lambda b, x, s=c, m=make: b.batch_matmul(x, numbers(*s), **m)),
            )


def _generator(build: Builder, x: Value) -> Value:
    y = build.fully_connected(x, 0.3 * numbers(4 * 4 * 6, 5), numbers(96))
    y = build.unary("LEAKY_RELU", build.reshape(y, (1, 4, 4, 6)), alpha=0.2)
    y = build.transpose_conv(y, 0.3 * numbers(4, 4, 4, 6), None, (8, 8), stride=(2, 2), padding="SAME")
    mean = build.reduce("MEAN", y, (1, 2))
    variance = build.reduce("MEAN", build.unary("SQUARE", build.sub(y, mean)), (1, 2))
    root = build.unary("RSQRT", build.add(variance, np.full((1, 1, 1, 1), 1e-3, np.float32)))
    y = build.add(build.mul(build.sub(y, mean), build.mul(root, 1 + numbers(4))), numbers(4))
    return build.unary("TANH", build.conv_2d(y, 0.3 * numbers(3, 3, 3, 4), numbers(3), padding="SAME"))


GENERATOR = case([(1, 5)], _generator).graph
"""A small generator: 5 numbers to a picture of 8x8, with a norm in between; seven weights."""
