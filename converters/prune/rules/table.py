"""Every operator's rule, and what must be written anew when its tensors are cut; adding one is a line here.

A rule relates the labels of what an operator reads and makes. A fit writes constants and options that tell shapes;
what has labels is cut without one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from edge_aigc.converters.prune.rules import elementwise, lookups, moves, parts, products, repeats, sums

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from edge_aigc.converters.ir import Node
    from edge_aigc.converters.prune.cutting import Cutting
    from edge_aigc.converters.prune.labels import Labels

Rule: TypeAlias = "Callable[[Labels, Node], None]"
"""Joins and freezes labels; raises `UnknownError` where it does not hold."""
Fit: TypeAlias = "Callable[[Cutting, Node, Node], None]"
"""Takes the node as it was and the new one, whose tensors are cut already, and edits the new one."""

RULES: Mapping[str, Rule] = {
    **dict.fromkeys(elementwise.ONE_INPUT, elementwise.one_input),
    **dict.fromkeys(elementwise.BROADCASTING, elementwise.broadcasting),
    "SELECT": elementwise.select,
    "CONV_2D": products.conv_2d,
    "DEPTHWISE_CONV_2D": products.depthwise_conv_2d,
    "TRANSPOSE_CONV": products.transpose_conv,
    "CONV_3D": products.conv_3d,
    "CONV_3D_TRANSPOSE": products.conv_3d_transpose,
    "FULLY_CONNECTED": products.fully_connected,
    "BATCH_MATMUL": products.batch_matmul,
    "RESHAPE": moves.reshape,
    "SQUEEZE": moves.reshape,
    "EXPAND_DIMS": moves.reshape,
    "TRANSPOSE": moves.transpose,
    "REVERSE_V2": moves.reverse,
    "DEPTH_TO_SPACE": moves.depth_to_space,
    "SPACE_TO_DEPTH": moves.space_to_depth,
    "AVERAGE_POOL_2D": moves.places,
    "MAX_POOL_2D": moves.places,
    "L2_POOL_2D": moves.places,
    "RESIZE_BILINEAR": moves.places,
    "RESIZE_NEAREST_NEIGHBOR": moves.places,
    "BATCH_TO_SPACE_ND": moves.batches,
    "SPACE_TO_BATCH_ND": moves.batches,
    "CONCATENATION": parts.concatenation,
    "SPLIT": parts.split,
    "SPLIT_V": parts.split_v,
    "SLICE": parts.slice_,
    "STRIDED_SLICE": parts.strided_slice,
    "PACK": parts.pack,
    "UNPACK": parts.unpack,
    "PAD": parts.pad,
    "PADV2": parts.pad,
    "MIRROR_PAD": parts.mirror_pad,
    "TILE": repeats.tile,
    "BROADCAST_TO": repeats.broadcast_to,
    "MEAN": sums.total,
    "SUM": sums.total,
    "REDUCE_MAX": sums.most,
    "REDUCE_MIN": sums.most,
    "REDUCE_PROD": sums.most,
    "REDUCE_ANY": sums.most,
    "REDUCE_ALL": sums.most,
    "SOFTMAX": sums.softmax,
    "LOG_SOFTMAX": sums.softmax,
    "L2_NORMALIZATION": sums.l2_normalization,
    "LOCAL_RESPONSE_NORMALIZATION": sums.neighbours,
    "SHAPE": sums.sized,
    "RANK": sums.sized,
    "FILL": sums.sized,
    "RANGE": sums.sized,
    "CUMSUM": sums.cumulated,
    "ARG_MAX": sums.chosen,
    "ARG_MIN": sums.chosen,
    "TOPK_V2": sums.top,
    "GATHER": lookups.gather,
    "GATHER_ND": lookups.gather_nd,
    "EMBEDDING_LOOKUP": lookups.embedding_lookup,
    "SCATTER_ND": lookups.scatter_nd,
    "ONE_HOT": lookups.one_hot,
    "DYNAMIC_UPDATE_SLICE": lookups.update_slice,
}
FITS: Mapping[str, Fit] = {
    "DEPTHWISE_CONV_2D": products.fit_depthwise,
    "TRANSPOSE_CONV": products.fit_output_shape,
    "CONV_3D_TRANSPOSE": products.fit_output_shape,
    "RESHAPE": moves.fit_reshape,
    "SPLIT": parts.fit_split,
    "SPLIT_V": parts.fit_split_v,
    "SLICE": parts.fit_slice,
    "STRIDED_SLICE": parts.fit_strided_slice,
    "PAD": parts.fit_pad,
    "PADV2": parts.fit_pad,
    "TILE": repeats.fit_tile,
    "BROADCAST_TO": repeats.fit_broadcast_to,
    "MEAN": sums.fit_mean,
    "GATHER": lookups.fit_gather,
    "SCATTER_ND": lookups.fit_scatter_nd,
}
