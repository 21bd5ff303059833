"""What of a model stays, as a manifest records it and as a cut takes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edge_aigc.prune_record import CutGroup, Pruning

if TYPE_CHECKING:
    from edge_aigc.converters.ir import Array
    from edge_aigc.converters.prune.prune import Pruned


def recorded(pruned: Pruned, *, asked: float) -> Pruning:
    """Return the record of a cut: enough to make it again.

    Args:
        pruned: With the units that it keeps.
        asked: Share of the multiplications that was to be removed.
    """
    record = pruned.record
    return Pruning(
        asked=asked,
        removed=record.ratio,
        multiplications=record.multiplications,
        groups=tuple(
            CutGroup(name=name, units=len(mask), kept=np.packbits(mask).tobytes().hex())
            for name, mask in pruned.keep.items()
            if not mask.all()
        ),
        repaired=bool(record.repaired),
    )


def masks_of(pruning: Pruning) -> dict[str, Array]:
    """Return by group which of its units stay; groups that are whole are not named.

    Args:
        pruning: A record.
    """
    return {
        group.name: np.unpackbits(np.frombuffer(bytes.fromhex(group.kept), np.uint8), count=group.units).astype(bool)
        for group in pruning.groups
    }
