"""All rewrites, in one place."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
)
"""Tried at each place in this order."""
