"""The rewrites that pay in some places, in one list; those that always do are in `normalizations.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_aigc.converters.rewrites.blocks import BlockConvolution
from edge_aigc.converters.rewrites.dense_maps import DenseMap
from edge_aigc.converters.rewrites.dilated_sound import RowsForDilation
from edge_aigc.converters.rewrites.followed import Followed
from edge_aigc.converters.rewrites.leaky import MaximumLeaky
from edge_aigc.converters.rewrites.mirrored import ConcatenatedMirror
from edge_aigc.converters.rewrites.nearest import ConcatenatedNearest, MultipliedNearest
from edge_aigc.converters.rewrites.neighbours import NeighbourConvolution
from edge_aigc.converters.rewrites.pointwise_first import PointwiseBeforeResize
from edge_aigc.converters.rewrites.rows import RowProduct
from edge_aigc.converters.rewrites.transposed_convolution import (
    NarrowTransposedConvolution,
    PixelTransposedConvolution,
    SplitTransposedConvolution,
)
from edge_aigc.converters.rewrites.upsampled_convolution import (
    NarrowUpsampledConvolution,
    SplitUpsampledConvolution,
)
from edge_aigc.converters.rewrites.winograd import TILES, Winograd

if TYPE_CHECKING:
    from edge_aigc.converters.rewrites.rewrite import Alternative
    from edge_aigc.profile import RecipeName

ALTERNATIVES: tuple[Alternative, ...] = (
    PixelTransposedConvolution(),
    NarrowTransposedConvolution(),
    SplitTransposedConvolution(),
    NarrowUpsampledConvolution(),
    SplitUpsampledConvolution(),
    PointwiseBeforeResize(),
    ConcatenatedNearest(),
    MultipliedNearest(),
    ConcatenatedMirror(),
    MaximumLeaky(),
    DenseMap(),
    RowProduct(),
    # Of an AVX2 or NEON kernel; rows that a picture's few channels share out well.
    NeighbourConvolution(lanes=16, rows=1),
    NeighbourConvolution(lanes=16, rows=2),
    NeighbourConvolution(lanes=16, rows=4),
    NeighbourConvolution(lanes=8, rows=1),
    NeighbourConvolution(lanes=8, rows=2),
)
"""Tried at each place in this order."""
FOLLOWED = tuple(
    Followed(split, [Winograd(tile, tile), Winograd(tile, 1), Winograd(1, tile)])
    for split in (SplitTransposedConvolution(), SplitUpsampledConvolution())
    for tile in (3, 2)
)
"""Phases of two taps are best filtered in threes, longer ones in twos."""
FLOAT_ALTERNATIVES: tuple[Alternative, ...] = (
    BlockConvolution(),
    RowsForDilation(),
    *FOLLOWED,
    *(Winograd(*tile) for tile in TILES),
)
"""Likewise, where the recipe computes in float32: fewer bits do not hold Winograd's factors."""


def alternatives_for(recipe: RecipeName) -> tuple[Alternative, ...]:
    """Return what is worth trying in a recipe's types."""
    return (*ALTERNATIVES, *FLOAT_ALTERNATIVES) if recipe in _COMPUTES_IN_FLOAT32 else ALTERNATIVES


_COMPUTES_IN_FLOAT32: tuple[RecipeName, ...] = ("float32", "float16")
"""float16 computes in it, too, but for processors with fp16, where the fidelity decides."""
