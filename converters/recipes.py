"""Recipes: which types a generator's operators compute in, as data."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_aigc.profile import RecipeName

Types: TypeAlias = Literal["float32", "float16", "dynamic", "int4", "int8", "int16x8"]
"""What one operator computes in. ``float16``: its weights halved. ``dynamic`` and ``int4``: weights of 8 or 4 bits,
activations quantized as they come. ``int8``: all of it. ``int16x8``: activations of 16 bits, weights of 8."""
Ranges: TypeAlias = Literal["min-max", "mse"]
"""Where activations are cut off: at what was observed, or where the mean square error of their rounding is least."""

STATIC: frozenset[Types] = frozenset({"int8", "int16x8"})
"""Types whose ranges come from calibration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Types for some operators."""

    types: Types
    kinds: frozenset[str] = frozenset()
    """The schema's names, for example ``CONV_2D``; none means every kind."""
    pattern: str = ""
    """A regular expression that the name of the operator's first output contains."""
    outputs: frozenset[str] = frozenset()
    """Names of first outputs; none means every one."""

    def matches(self, kind: str, output: str) -> bool:
        """Return whether the rule is about an operator."""
        told = (not self.kinds or kind in self.kinds) and (not self.outputs or output in self.outputs)
        return told and (not self.pattern or re.search(self.pattern, output) is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Types for all operators. What has no kernel in its type stays float."""

    name: str
    types: Types
    """Of what no rule is about."""
    rules: tuple[Rule, ...] = ()
    """The last that matches counts."""
    ranges: Ranges = "min-max"
    borders: Literal["INT8", "INT16"] | None = None
    """What inputs and outputs are; None leaves them float. An Edge TPU wants INT8."""
    older_kernels: bool = False
    """Whether it keeps to what kernels before TensorFlow Lite 2.17 compute right."""

    def types_of(self, kind: str, output: str) -> Types:
        """Return the types of an operator.

        Args:
            kind: The schema's name.
            output: Name of the first tensor that it makes.
        """
        found = self.types
        for rule in self.rules:
            if rule.matches(kind, output):
                found = rule.types
        return found

    @property
    def calibrated(self) -> bool:
        """Whether it needs observed ranges."""
        return not STATIC.isdisjoint({self.types, *(rule.types for rule in self.rules)})


NAMED: Mapping[RecipeName, Recipe] = {
    "float32": Recipe(name="float32", types="float32"),
    "float16": Recipe(name="float16", types="float16"),
    "dynamic": Recipe(name="dynamic", types="dynamic"),
    "int8": Recipe(name="int8", types="int8"),
    "int16x8": Recipe(name="int16x8", types="int16x8"),
    "int4": Recipe(name="int4", types="int4"),
    "mixed": Recipe(name="mixed", types="int8"),
}
"""By the names of `--recipe`. ``mixed`` starts as int8; `quantizer.mixed` adds rules for what costs less
or errs less in other types."""
