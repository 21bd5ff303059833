"""What stands in for the source: itself, or what is left of it without some channels; and forms of either."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_aigc.converters.ir import read
from edge_aigc.converters.rewrites.normalizations import NORMALIZATIONS
from edge_aigc.converters.rewrites.rewrite import normalize

if TYPE_CHECKING:
    from edge_aigc.converters.ir import Graph
    from edge_aigc.manifest import FormName, Rewrite
    from edge_aigc.profile import RecipeName
    from edge_aigc.prune_record import Pruning


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """A float form of the generator."""

    name: FormName
    flatbuffer: bytes
    rewrites: tuple[Rewrite, ...] = ()
    pruning: Pruning | None = None
    """What was taken out of what it is a form of."""


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A float model to be put into forms and recipes."""

    flatbuffer: bytes
    pruning: Pruning | None = None
    """None: it is the source, with every channel."""
    recipes: tuple[RecipeName, ...] | None = None
    """Those that it is for; None: every one."""
    rigid: bool = False
    """Whether it is to be left as it is: no other forms of it are tried."""

    @property
    def plain(self) -> Form:
        """Return it as it is."""
        return Form(name="as converted", flatbuffer=self.flatbuffer, pruning=self.pruning)

    @functools.cached_property
    def normalized(self) -> tuple[Graph, bool]:
        """The float graph, normalized, and whether that changed it; it is not edited."""
        graph = read(self.flatbuffer)
        return graph, normalize(graph, NORMALIZATIONS)
