"""Mixed precision: which operators stay out of int8 so that a promise is kept at the least cost.

Given:   y = f(x), in int8 too far from itself
Result:  the same with the operators that err most, for what they cost, in float or with int8 weights only

Errors of single operators add up nearly, as they are small and independent: so each is measured alone, which orders
them; how many of them are needed is found by halving; and what turns out not to be needed goes back to int8.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from edge_aigc.converters.costs.work import price as desk_price
from edge_aigc.converters.graph import parse
from edge_aigc.converters.quantizer.paired import decibels
from edge_aigc.converters.quantizer.plan import Scene, decide
from edge_aigc.converters.recipes import Rule

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edge_aigc.converters.quantizer.calibration import Calibration
    from edge_aigc.converters.quantizer.paired import Pairs
    from edge_aigc.converters.quantizer.plan import Step
    from edge_aigc.converters.recipes import Recipe, Types

Left: TypeAlias = "frozenset[tuple[int, Types]]"
"""Operators that are not int8: position and types."""

_MOST_TRIMMED = 12
"""Operators of an order that are tried to go back to int8, the last that left first."""
_MOST_GROUPS = 32
"""Operators whose error is told apart; in larger nets neighbours share one."""
_LEAST_SHARE = 1e-4
"""Of the float model's price: what an operator is taken to save at least, so that free ones do not divide by zero."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixed:
    """What was found."""

    recipe: Recipe
    """With a rule for each operator that is not int8."""
    left: Left
    """The operators that are not int8."""
    decibels: float
    """On the calibration inputs."""
    price: float


def mix(
    calibration: Calibration,
    pairs: Pairs,
    base: Recipe,
    *,
    minimum_db: float,
    price: Callable[[bytes], float] = desk_price,
) -> Mixed:
    """Return the cheapest recipe found that reaches a fidelity; the most faithful one if none does.

    Args:
        calibration: The float model and its ranges.
        pairs: What fidelity is told on.
        base: Int8 without rules.
        minimum_db: Paired PSNR on those pairs.
        price: What a flatbuffer costs, in any unit; a function of its bytes alone keeps the choice repeatable.
    """
    search = _Search(calibration, pairs, base, price)
    best = search.tried(frozenset())
    if best.decibels >= minimum_db:
        return best
    found = [search.reach(order, minimum_db) for order in search.orders()]
    kept = [mixed for mixed in found if mixed.decibels >= minimum_db]
    if not kept:
        return max(found, key=lambda mixed: mixed.decibels)
    return search.lightened(min(kept, key=lambda mixed: mixed.price), minimum_db)


class _Search:
    """Forms already made, and the operators in question."""

    def __init__(self, calibration: Calibration, pairs: Pairs, base: Recipe, price: Callable[[bytes], float]) -> None:
        self._calibration, self._pairs, self._base, self._price = calibration, pairs, base, price
        scene = Scene(parse(calibration.flatbuffer))
        narrow = decide(scene, base)
        self._steps = [step for step in scene.steps if narrow[step.index] == base.types]
        self._made: dict[Left, Mixed] = {}

    def tried(self, left: Left) -> Mixed:
        """Return the form in which some steps are left out of int8."""
        if left not in self._made:
            types = dict(left)
            rules = tuple(_rule(step, types[step.index]) for step in self._steps if step.index in types)
            recipe = replace(self._base, rules=rules)
            flatbuffer = self._calibration.quantized(recipe).flatbuffer
            found = decibels(self._pairs.error(flatbuffer))
            self._made[left] = Mixed(recipe=recipe, left=left, decibels=found, price=self._price(flatbuffer))
        return self._made[left]

    def orders(self) -> list[list[int]]:
        """Return orders in which steps might leave int8: by error for their price, from the end, from the start."""
        indices = [step.index for step in self._steps]
        everything = _float(indices)
        spared = self.tried(everything).price
        errors = []
        groups = _groups(indices)
        for group in groups:
            alone = self.tried(everything - _float(group))
            errors.append(10 ** (-alone.decibels / 10) / max(spared - alone.price, spared * _LEAST_SHARE))
        worst = sorted(range(len(groups)), key=lambda place: -errors[place])
        return [[index for place in worst for index in groups[place]], indices[::-1], indices]

    def reach(self, order: Sequence[int], minimum_db: float) -> Mixed:
        """Return the form with the fewest steps of an order outside of int8, and those put back that can be."""
        low, high = 0, len(order)
        while high - low > 1:
            middle = (low + high) // 2
            if self.tried(_float(order[:middle])).decibels >= minimum_db:
                high = middle
            else:
                low = middle
        best = self.tried(_float(order[:high]))
        for index in order[: high - 1][::-1][:_MOST_TRIMMED]:
            fewer = self.tried(best.left - _float([index]))
            if fewer.decibels >= minimum_db and fewer.price <= best.price:
                best = fewer
        return best

    def lightened(self, best: Mixed, minimum_db: float) -> Mixed:
        """Return a form with int8 weights in place of float ones wherever that is faithful enough."""
        for group in _groups(sorted(index for index, _ in best.left)):
            lighter = self.tried(best.left - _float(group) | {(index, "dynamic") for index in group})
            if lighter.decibels >= minimum_db and lighter.price < best.price:
                best = lighter
        return best


def _groups(indices: Sequence[int]) -> list[Sequence[int]]:
    """Return neighbours in at most `_MOST_GROUPS` groups, so that a large net is not run hundreds of times."""
    size = -(-len(indices) // _MOST_GROUPS) or 1
    return [indices[start : start + size] for start in range(0, len(indices), size)]


def _float(indices: Sequence[int]) -> Left:
    return frozenset((index, "float32") for index in indices)


def _rule(step: Step, types: Types) -> Rule:
    return Rule(types=types, kinds=frozenset({step.kind}), pattern=f"^{re.escape(step.name)}$")
