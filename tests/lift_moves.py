"""Cases of operators that move, cut, join, look up, resize and reduce."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from lift_cases import MAPS, case, numbers, outputs, whole

from edge_aigc.converters.ir import constant

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lift_cases import Case

    from edge_aigc.converters.ir import Value


def shapes() -> Iterator[tuple[str, Case]]:
    for before, after in (((1, 4, 6), (1, 24)), ((1, 4, 6), (4, 6)), ((4, 6), (1, 24)), ((1, 6), (6,)), ((1,), ())):
        yield f"RESHAPE {before} {after}", case([before], lambda b, x, s=after: b.reshape(x, s))
    yield (
        "SQUEEZE",
        case(
            [(1, 4, 1, 6)],
            lambda b, x: b.node("SQUEEZE", [x], (1, 4, 6), option_class="SqueezeOptions", squeezeDims=[2]),
        ),
    )
    yield (
        "EXPAND_DIMS",
        case([(1, 4)], lambda b, x: b.node("EXPAND_DIMS", [x, whole(1)], (1, 1, 4), option_class="ExpandDimsOptions")),
    )
    for order in ((0, 2, 3, 1), (3, 1, 2, 0), (1, 0, 2, 3)):
        yield f"TRANSPOSE {order}", case([MAPS], lambda b, x, o=order: b.transpose(x, o))
    for shape, axis in (((1, 4, 6), 2), ((1, 4, 6), 0), ((3, 4), 1), ((4,), 0)):
        yield f"CONCATENATION {shape} {axis}", case([shape, shape], lambda b, x, y, a=axis: b.concatenate([x, y, x], a))
        yield (
            f"CONCATENATION learned {shape} {axis}",
            case([shape], lambda b, x, s=shape, a=axis: b.concatenate([x, b.unary("NEG", _learned(s))], a)),
        )
    for shape, axis, made in (((1, 4), 1, (1, 3, 4)), ((4,), 0, (3, 4)), ((), 0, (3,)), ((1, 4), -1, (1, 4, 3))):
        yield (
            f"PACK {shape} {axis}",
            case(
                [shape, shape],
                lambda b, x, y, a=axis, m=made: b.node(
                    "PACK", [x, y, x], m, option_class="PackOptions", axis=a, valuesCount=3
                ),
            ),
        )
    for shape, axis, made in (((1, 3, 4), 1, (1, 4)), ((3, 4), 0, (4,))):
        yield (
            f"UNPACK {shape} {axis}",
            case(
                [shape],
                lambda b, x, a=axis, m=made: outputs(
                    b.node("UNPACK", [x], m, option_class="UnpackOptions", axis=a, num=3), [m, m]
                ),
            ),
        )
    yield from parts()
    yield from repeats()


def _learned(shape: tuple[int, ...]) -> Value:
    return constant(numbers(*shape), "learned")


def parts() -> Iterator[tuple[str, Case]]:
    for shape, axis, made in (((1, 6, 4), 1, (1, 3, 4)), ((6, 4), 0, (3, 4)), ((1, 6), -1, (1, 3))):
        yield (
            f"SPLIT {shape} {axis}",
            case(
                [shape],
                lambda b, x, a=axis, m=made: outputs(
                    b.node("SPLIT", [whole(a), x], m, option_class="SplitOptions", dtype="FLOAT32", numSplits=2),
                    [m],
                ),
            ),
        )
    yield (
        "SPLIT_V",
        case(
            [(1, 6, 4)],
            lambda b, x: outputs(
                b.node("SPLIT_V", [x, whole([1, 5]), whole(1)], (1, 1, 4), option_class="SplitVOptions", numSplits=2),
                [(1, 5, 4)],
            ),
        ),
    )
    for begin, size in (((0, 1, 2), (1, 2, 3)), ((1, 0, 1), (2, 4, 2)), ((0, 2, 0), (3, 2, 5))):
        shape = (1 if size[0] == 1 else 3, 4, 5)
        yield f"SLICE {begin} {size}", case([shape], lambda b, x, p=begin, s=size: b.slice(x, p, s))
    yield (
        "SLICE to the end",
        case(
            [(1, 4, 5)],
            lambda b, x: b.node(
                "SLICE", [x, whole([0, 1, 2]), whole([-1, -1, 2])], (1, 3, 2), option_class="SliceOptions"
            ),
        ),
    )
    for words, shape, places, masks, made in (
        ("steps", (1, 5, 6), ((0, 1, 0), (1, 5, 6), (1, 2, 3)), {}, (1, 2, 2)),
        ("backward", (1, 5, 6), ((0, -1, 4), (1, -6, 0), (1, -1, -2)), {}, (1, 5, 2)),
        ("masks", (1, 5, 6), ((0, 2, 3), (0, 0, 5), (1, 1, 1)), {"beginMask": 5, "endMask": 3}, (1, 3, 5)),
        ("shrunk", (1, 5, 6), ((0, -2, 0), (1, 9, 6), (1, 1, 1)), {"shrinkAxisMask": 2}, (1, 6)),
        ("shrunk batch", (1, 5, 6), ((0, 1, 0), (1, 3, 6), (1, 1, 1)), {"shrinkAxisMask": 1}, (2, 6)),
        ("new axis", (1, 5), ((0, 0, 1), (0, 0, 4), (1, 1, 1)), {"newAxisMask": 2, "beginMask": 1, "endMask": 1},
         (1, 1, 3)),
        ("ellipsis", (1, 5, 6), ((0, 2), (0, 4), (1, 1)), {"ellipsisMask": 1}, (1, 5, 2)),
        ("rows", (4, 5), ((1, 0), (4, 5), (2, 1)), {}, (2, 5)),
        ("ends told from where it begins", (1, 5, 6), ((0, -3, 1), (1, 3, 4), (1, 1, 1)), {"offset": True}, (1, 3, 4)),
    ):  # fmt: skip
        yield (
            f"STRIDED_SLICE {words}",
            case(
                [shape],
                lambda b, x, p=places, o=masks, m=made: b.node(
                    "STRIDED_SLICE", [x, *(whole(part) for part in p)], m, option_class="StridedSliceOptions", **o
                ),
            ),
        )


def repeats() -> Iterator[tuple[str, Case]]:
    for shape, times in (((1, 3, 2), (1, 2, 3)), ((1, 3, 2), (2, 1, 2)), ((3,), (2,))):
        made = [size * count for size, count in zip(shape, times, strict=True)]
        yield (
            f"TILE {shape} {times}",
            case([shape], lambda b, x, t=times, m=made: b.node("TILE", [x, whole(t)], m, option_class="TileOptions")),
        )
    for shape, made in (((1, 3, 1), (1, 3, 4)), ((3, 1), (2, 3, 4)), ((1, 4), (3, 4)), ((), (2, 3))):
        yield (
            f"BROADCAST_TO {shape} {made}",
            case(
                [shape],
                lambda b, x, m=made: b.node("BROADCAST_TO", [x, whole(m)], m, option_class="BroadcastToOptions"),
            ),
        )
    for axis in (1, 0):
        yield (
            f"REVERSE_V2 {axis}",
            case(
                [(3, 4)],
                lambda b, x, a=axis: b.node("REVERSE_V2", [x, whole([a])], x.shape, option_class="ReverseV2Options"),
            ),
        )
    for amounts in (((0, 0), (1, 2), (0, 3)), ((1, 2), (0, 1), (0, 0))):
        yield f"PAD {amounts}", case([(1, 3, 4)], lambda b, x, a=amounts: b.pad(x, a))
        yield f"PADV2 {amounts}", case([(1, 3, 4)], lambda b, x, a=amounts: b.pad(x, a, -1.5))
    for symmetric in (False, True):
        yield (
            f"MIRROR_PAD symmetric {symmetric}",
            case([MAPS], lambda b, x, s=symmetric: b.mirror_pad(x, ((0, 0), (2, 1), (3, 0), (0, 0)), symmetric=s)),
        )
    for shape, part in (((1, 3, 8, 4), (1, 3, 1, 4)), ((1, 3, 8, 4), (1, 2, 3, 4)), ((6,), (2,))):
        yield (
            f"DYNAMIC_UPDATE_SLICE {part}",
            case(
                [shape, part, ((len(shape),), "INT32")],
                lambda b, x, y, i: b.node(
                    "DYNAMIC_UPDATE_SLICE", [x, y, i], x.shape, option_class="DynamicUpdateSliceOptions"
                ),
                below={2: 9},
            ),
        )
    for dtype in ("FLOAT32", "INT32"):
        yield (
            f"FILL {dtype}",
            case(
                [((), dtype)],
                lambda b, x, t=dtype: b.node("FILL", [whole([1, 3]), x], (1, 3), option_class="FillOptions", dtype=t),
            ),
        )
    yield (
        "SHAPE",
        case([(1, 4)], lambda b, x: b.node("SHAPE", [x], (2,), option_class="ShapeOptions", dtype="INT32", outType=2)),
    )
    yield "RANK", case([(1, 4)], lambda b, x: b.node("RANK", [x], (), option_class="RankOptions", dtype="INT32"))
    yield (
        "RANGE",
        case(
            [((1, 4), "INT32")],
            lambda b, x: b.binary(
                "ADD", x, b.node("RANGE", [whole(0), whole(8), whole(2)], (4,), option_class="RangeOptions")
            ),
        ),
    )


def lookups() -> Iterator[tuple[str, Case]]:
    gather = {"option_class": "GatherOptions", "dtype": "FLOAT32"}
    for indices in ((1,), (1, 3), (), (2, 3)):
        yield (
            f"GATHER table {indices}",
            case(
                [(indices, "INT32")],
                lambda b, i, s=indices: b.node("GATHER", [numbers(4, 5), i], (*s, 5), axis=0, batchDims=0, **gather),
            ),
        )
        yield (
            f"GATHER columns {indices}",
            case(
                [(indices, "INT32")],
                lambda b, i, s=indices: b.node("GATHER", [numbers(3, 4), i], (3, *s), axis=1, batchDims=0, **gather),
            ),
        )
    for axis in (0, 1, -1):
        made = [3, 4, 5]
        made[axis] = 2
        yield (
            f"GATHER known places {axis}",
            case(
                [(3, 4, 5)],
                lambda b, x, a=axis, m=made: b.node("GATHER", [x, whole([2, 0])], m, axis=a, batchDims=0, **gather),
            ),
        )
        by_both = [3, 4, 5]
        by_both[axis : axis % 3 + 1] = [2, 2]
        yield (
            f"GATHER both {axis}",
            case(
                [(3, 4, 5), ((2, 2), "INT32")],
                lambda b, x, i, a=axis, m=by_both: b.node("GATHER", [x, i], m, axis=a, batchDims=0, **gather),
                below={1: 3},
            ),
        )
    yield (
        "GATHER in batches",
        case(
            [(2, 3, 4), ((2, 5), "INT32")],
            lambda b, x, i: b.node("GATHER", [x, i], (2, 5, 4), axis=1, batchDims=1, **gather),
            below={1: 3},
        ),
    )
    yield (
        "GATHER in batches of a table",
        case(
            [((2, 5), "INT32")],
            lambda b, i: b.node("GATHER", [numbers(2, 3, 4), i], (2, 5, 4), axis=1, batchDims=1, **gather),
            below={0: 3},
        ),
    )
    yield (
        "EMBEDDING_LOOKUP",
        case(
            [((3,), "INT32")],
            lambda b, i: b.node("EMBEDDING_LOOKUP", [i, numbers(4, 5)], (3, 5), dtype="FLOAT32"),
        ),
    )
    nd = {"option_class": "GatherNdOptions", "dtype": "FLOAT32"}
    places = whole([[0, 1], [2, 3], [1, 1]])
    yield "GATHER_ND known", case([(3, 4, 5)], lambda b, x: b.node("GATHER_ND", [x, places], (3, 5), **nd))
    yield (
        "GATHER_ND table",
        case([((3, 2), "INT32")], lambda b, i: b.node("GATHER_ND", [numbers(4, 4, 5), i], (3, 5), **nd)),
    )
    yield (
        "GATHER_ND both",
        case([(4, 4, 5), ((3, 2), "INT32")], lambda b, x, i: b.node("GATHER_ND", [x, i], (3, 5), **nd)),
    )
    yield (
        "SCATTER_ND",
        case(
            [(3, 5)],
            lambda b, x: b.node(
                "SCATTER_ND", [places, x, whole([4, 4, 5])], (4, 4, 5), option_class="ScatterNdOptions", dtype="FLOAT32"
            ),
        ),
    )
    on, off = np.array(2, np.float32), np.array(-1, np.float32)
    for axis in (-1, 1):
        made = (1, 3, 4) if axis == -1 else (1, 4, 3)
        yield (
            f"ONE_HOT {axis}",
            case(
                [((1, 3), "INT32")],
                lambda b, i, a=axis, m=made: b.node(
                    "ONE_HOT", [i, whole(4), on, off], m, option_class="OneHotOptions", dtype="FLOAT32", axis=a
                ),
            ),
        )
