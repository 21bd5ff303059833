"""The rewrites that are always right, in the order in which they run until nothing changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_aigc.converters.rewrites.activations import fuse_activations
from edge_aigc.converters.rewrites.batch_norm import fold_batch_norm
from edge_aigc.converters.rewrites.constants import fold_constants
from edge_aigc.converters.rewrites.dilation import know_dilation
from edge_aigc.converters.rewrites.identities import remove_identities
from edge_aigc.converters.rewrites.layout import cancel_transposes
from edge_aigc.converters.rewrites.leaky import know_leaky
from edge_aigc.converters.rewrites.modulated import static_weights
from edge_aigc.converters.rewrites.nearest import know_nearest
from edge_aigc.converters.rewrites.norms import unify_norms
from edge_aigc.converters.rewrites.padding import fold_pads
from edge_aigc.converters.rewrites.pixel_shuffle import know_pixel_shuffle
from edge_aigc.converters.rewrites.pointwise_first import elementwise_first
from edge_aigc.converters.rewrites.products import read_turned
from edge_aigc.converters.rewrites.scales import fold_scales
from edge_aigc.converters.rewrites.shortest import shorten_movements
from edge_aigc.converters.rewrites.twins import merge_twins
from edge_aigc.converters.rewrites.unit_axes import drop_unit_axes

if TYPE_CHECKING:
    from edge_aigc.converters.rewrites.rewrite import Normalization

NORMALIZATIONS: tuple[Normalization, ...] = (
    fold_constants,
    remove_identities,
    drop_unit_axes,
    merge_twins,
    # Before what looks at rows and columns: it must see channels last.
    cancel_transposes,
    static_weights,
    know_dilation,
    know_nearest,
    know_pixel_shuffle,
    elementwise_first,
    shorten_movements,
    read_turned,
    unify_norms,
    know_leaky,
    fold_batch_norm,
    fold_scales,
    fold_pads,
    fuse_activations,
)
