"""What the user asked of a conversion."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

from edge_aigc.converters.search import Promises
from edge_aigc.converters.targets.target import CompileOrder

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from edge_aigc.converters.prune.sparsity import Pattern
    from edge_aigc.manifest import RecipeRecord
    from edge_aigc.profile import RecipeName, Runtime

Asked: TypeAlias = "RecipeName | Literal['auto']"


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneOrder:
    """How much to take out of the model, and how long to heal it."""

    ratios: tuple[float, ...] = ()
    """Shares of the multiplications to remove, each a model of its own; 0 is the whole one. Empty: none is pruned."""
    any_of_them: bool = False
    """Whether those that cannot be had may be left out."""
    to_latency_ms: float | None = None
    """In their place: as much as it takes to be that fast."""
    distill_minutes: float | None = None
    """Of training for each model; None: not said."""
    zeros: float | None = None
    """Share of the weights to make zero, in kernels that keep their shape; None: none."""
    zeros_pattern: Pattern = "unstructured"
    curve: bool = False
    """Whether cruder ways of pruning are tried as well, to be shown beside."""

    @property
    def asked(self) -> bool:
        """Return whether anything is to be removed."""
        return self.to_latency_ms is not None or any(ratio > 0 for ratio in self.ratios)

    @property
    def teaches(self) -> bool:
        """Return whether a model may be taught, which is kept in the cache folder meanwhile."""
        return bool(self.distill_minutes) or (self.asked and self.distill_minutes is None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What the user asked for."""

    recipe: Asked = "auto"
    runtime: Runtime | None = None
    """None: every runtime of the profile."""
    min_fidelity: float | None = None
    """In the unit of the first output's medium; None: `converters.fidelity.MINIMA`."""
    promises: Promises = field(default_factory=Promises)
    prune: PruneOrder = field(default_factory=PruneOrder)
    max_ram_bytes: int | None = None
    """What the model may take; None: what the profile leaves us."""
    input_size: tuple[int, int] | None = None
    pictures: Path | None = None
    version: int | None = None
    licence: str | None = None
    assets: Mapping[str, bytes] = field(default_factory=dict)
    """Files that the bundle carries beside the model, by name: a vocabulary."""
    onnx: bool = False
    """Whether the bundle carries the ONNX form too."""
    compile: CompileOrder = field(default_factory=CompileOrder)
    like: RecipeRecord | None = None
    """What another bundle records, to be made again in place of a search."""
