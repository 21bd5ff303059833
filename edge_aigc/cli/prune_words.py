"""What was pruned and how it was healed, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_aigc.prune_record import missed

if TYPE_CHECKING:
    from edge_aigc.prune_record import CutGroup, Pruning


def pruning_rows(pruning: Pruning | None) -> list[str]:
    """Return what a person wants to know of it; nothing where every channel stayed."""
    if pruning is None:
        return []
    before, after = pruning.multiplications
    kept = sum(_kept(group) for group in pruning.groups)
    units = sum(group.units for group in pruning.groups)
    rows = []
    if pruning.groups:
        groups = f"{len(pruning.groups)} group{'s' * (len(pruning.groups) > 1)}"
        rows.append(
            f"pruned by {pruning.removed:.1%}: {before:,} to {after:,} multiplications, {kept:,} of {units:,} channels "
            f"left in {groups}{', the rest refitted' if pruning.repaired else ''}"
        )
    if words := missed(pruning):
        rows.append(words)
    rows += [
        f"distilled{words}, {healing.steps:,} steps of {healing.batch}: {healing.metric} "
        f"{healing.before:.2f} to {healing.after:.2f} on held-out inputs"
        for words, healing in (("", pruning.healing), (" in fake int8", pruning.healing_int8))
        if healing is not None
    ]
    return rows


def _kept(group: CutGroup) -> int:
    return int(group.kept or "0", 16).bit_count()
