"""Candidates as the search knows them: tried, and all of them where none was taken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge_aigc.cost import Cost
    from edge_aigc.errors import ConversionError
    from edge_aigc.manifest import Candidate, Fidelity, FormName, Rewrite
    from edge_aigc.profile import RecipeName
    from edge_aigc.prune_record import Pruning


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One form of a generator, tried."""

    recipe: RecipeName
    form: FormName = "as converted"
    flatbuffer: bytes = b""
    float_form: bytes = b""
    """The float flatbuffer that it was made of."""
    pruning: Pruning | None = None
    """What was taken out before."""
    older_kernels: bool = False
    """Whether it was planned again so that an old runtime runs it, too."""
    rewrites: tuple[Rewrite, ...] = ()
    fidelity: Fidelity | None = None
    cost: Cost | None = None
    peak_ram_bytes: int | None = None
    """What it takes at most, where it was planned."""
    refused: str = ""
    """Why it was not measured; empty when it was."""
    error: ConversionError | None = None
    """Why it could not be made, to be raised where it was the only one that was asked for."""
    too_large: bool = False
    """Whether it was refused because it needs more memory than there is."""

    @property
    def label(self) -> str:
        """Return recipe, form and what was pruned in words."""
        words: list[str] = [self.recipe, *([] if self.form == "as converted" else [self.form])]
        if self.pruned:
            words.append(f"pruned by {self.pruned:.0%}")
        if self.healed:
            words.append("healed for int8")
        return " ".join(words)

    @property
    def healed(self) -> bool:
        """Return whether it learnt in fake int8."""
        return self.pruning is not None and self.pruning.healing_int8 is not None

    @property
    def pruned(self) -> float:
        """Return the share of the multiplications that was asked to be removed."""
        return 0.0 if self.pruning is None else self.pruning.asked

    @property
    def removed(self) -> float | None:
        """Return what came of it where that is not what was asked for."""
        return None if self.pruning is None or self.pruning.coarsest is None else self.pruning.removed


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """All candidates where none was taken."""

    candidates: tuple[Candidate, ...]
    unit: str
    """Of their fidelity."""
    cost: Cost
    """Of one of them: how all costs were found."""
