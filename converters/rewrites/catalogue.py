"""All rewrites, in one place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_aigc.converters.rewrites.nearest import ConcatenatedNearest, MultipliedNearest
from edge_aigc.converters.rewrites.neighbours import NeighbourConvolution
from edge_aigc.converters.rewrites.transposed_convolution import (
    NarrowTransposedConvolution,
    SplitTransposedConvolution,
    UncroppedTransposedConvolution,
)
from edge_aigc.converters.rewrites.upsampled_convolution import (
    NarrowUpsampledConvolution,
    SplitUpsampledConvolution,
    UncroppedUpsampledConvolution,
)

if TYPE_CHECKING:
    from edge_aigc.converters.rewrites.rewrite import Alternative, Normalization

NORMALIZATIONS: tuple[Normalization, ...] = ()
"""In the order in which they run; again until none changes anything."""
ALTERNATIVES: tuple[Alternative, ...] = (
    NarrowTransposedConvolution(),
    UncroppedTransposedConvolution(),
    SplitTransposedConvolution(),
    NarrowUpsampledConvolution(),
    UncroppedUpsampledConvolution(),
    SplitUpsampledConvolution(),
    ConcatenatedNearest(),
    MultipliedNearest(),
    # Of an AVX2 or NEON kernel; rows that a picture's few channels share out well.
    NeighbourConvolution(lanes=16, rows=1),
    NeighbourConvolution(lanes=16, rows=2),
    NeighbourConvolution(lanes=16, rows=4),
    NeighbourConvolution(lanes=8, rows=1),
    NeighbourConvolution(lanes=8, rows=2),
)
"""Tried at each place in this order."""
