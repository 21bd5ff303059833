"""Cases of operators on maps without weights, and of reductions."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

from lift_cases import MAPS, case, outputs, whole

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lift_cases import Case


def maps() -> Iterator[tuple[str, Case]]:
    for kind in ("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"):
        for size, mode in product(((10, 12), (8, 9), (3, 4), (5, 6), (1, 7)), ({}, {"align_corners": True},
                                                                             {"half_pixel": True})):  # fmt: skip
            yield f"{kind} {size} {mode}", case([MAPS], lambda b, x, k=kind, s=size, m=mode: b.resize(k, x, s, **m))
    yield "DEPTH_TO_SPACE", case([(1, 3, 4, 18)], lambda b, x: b.depth_to_space(x, 3))
    yield "SPACE_TO_DEPTH", case([(1, 6, 9, 2)], lambda b, x: b.space_to_depth(x, 3))
    yield "SPACE_TO_BATCH_ND", case(
        [(1, 5, 6, 2)],
        lambda b, x: b.node(
            "SPACE_TO_BATCH_ND", [x, whole([2, 3]), whole([[1, 0], [1, 2]])], (6, 3, 3, 2),
            option_class="SpaceToBatchNDOptions",
        ),
    )  # fmt: skip
    yield "BATCH_TO_SPACE_ND", case(
        [(6, 3, 3, 2)],
        lambda b, x: b.node(
            "BATCH_TO_SPACE_ND", [x, whole([2, 3]), whole([[1, 0], [1, 2]])], (1, 5, 6, 2),
            option_class="BatchToSpaceNDOptions",
        ),
    )  # fmt: skip
    for kind, padding, step in product(("MAX_POOL_2D", "AVERAGE_POOL_2D"), (0, 1), ((1, 1), (2, 2), (2, 3))):
        room = (5, 6) if padding == 0 else (4, 4)
        made = (1, -(-room[0] // step[0]), -(-room[1] // step[1]), 4)
        options = {"filterHeight": 2, "filterWidth": 3, "strideH": step[0], "strideW": step[1], "padding": padding}
        yield (
            f"{kind} {padding} {step}",
            case([MAPS], lambda b, x, k=kind, m=made, o=options: b.node(k, [x], m, option_class="Pool2DOptions", **o)),
        )


def sums() -> Iterator[tuple[str, Case]]:
    for kind in ("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD"):
        for axes, keep in product(((1, 2), (3,), (0, 1), (0,), (0, 1, 2, 3)), (True, False)):
            yield (
                f"{kind} {axes} {keep}",
                case([MAPS], lambda b, x, k=kind, a=axes, d=keep: b.reduce(k, x, a, keep_dims=d)),
            )
        yield f"{kind} of rows", case([(3, 4)], lambda b, x, k=kind: b.reduce(k, x, (0,)))
    for kind in ("REDUCE_ANY", "REDUCE_ALL"):
        yield kind, case([((1, 3, 4), "BOOL")], lambda b, x, k=kind: b.reduce(k, x, (2,)))
    for exclusive, backward, axis in product((False, True), (False, True), (1, 0)):
        yield (
            f"CUMSUM {exclusive} {backward} {axis}",
            case(
                [(3, 5)],
                lambda b, x, e=exclusive, r=backward, a=axis: b.node(
                    "CUMSUM", [x, whole(a)], x.shape, option_class="CumsumOptions", exclusive=e, reverse=r
                ),
            ),
        )
    for kind, options in (("ARG_MAX", "ArgMaxOptions"), ("ARG_MIN", "ArgMinOptions")):
        for axis, made in ((-1, (1, 4)), (0, (4, 6))):
            yield (
                f"{kind} {axis}",
                case(
                    [(1, 4, 6)],
                    lambda b, x, k=kind, o=options, a=axis, m=made: b.node(
                        k, [x, whole(a)], m, option_class=o, dtype="INT32", outputType=2
                    ),
                ),
            )
    yield (
        "TOPK_V2",
        case(
            [(1, 4, 6)],
            lambda b, x: outputs(
                b.node("TOPK_V2", [x, whole(3)], (1, 4, 3), option_class="TopKV2Options"), [(1, 4, 3)], "INT32"
            ),
        ),
    )
    yield (
        "L2_NORMALIZATION",
        case([MAPS], lambda b, x: b.node("L2_NORMALIZATION", [x], x.shape, option_class="L2NormOptions")),
    )
    yield "LOCAL_RESPONSE_NORMALIZATION", case(
        [MAPS],
        lambda b, x: b.node(
            "LOCAL_RESPONSE_NORMALIZATION", [x], x.shape, option_class="LocalResponseNormalizationOptions",
            radius=1, bias=1.0, alpha=0.5, beta=0.75,
        ),
    )  # fmt: skip
