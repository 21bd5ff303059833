"""Mixed precision: a type for every operator, so that a promise is kept at the least cost.

Given:   y = f(x)
Result:  the same, some operators in int8, some with int8 or int4 weights only, the others in float

Errors of single operators add up nearly, as they are small and independent: so each group of neighbours is measured
alone in each type, which tells what that saves and what it errs. Groups leave float in the order of what they save
for what they err; how many of them can is found by halving; and of those that would come next, some still can.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from edge_aigc.converters.costs.work import price_with_starts
from edge_aigc.converters.quantizer.kinds import KINDS
from edge_aigc.converters.quantizer.paired import decibels
from edge_aigc.converters.quantizer.plan import decide
from edge_aigc.converters.recipes import Rule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from edge_aigc.converters.graph import Operator
    from edge_aigc.converters.quantizer.calibration import Calibration
    from edge_aigc.converters.quantizer.emit import Emitted
    from edge_aigc.converters.quantizer.paired import Pairs
    from edge_aigc.converters.quantizer.plan import Step
    from edge_aigc.converters.recipes import Recipe, Types

Left: TypeAlias = "frozenset[tuple[int, Types]]"
"""Operators that are not int8: position and types."""
Price: TypeAlias = "Callable[[Sequence[Operator]], float]"

_MOST_GROUPS = 32
"""Operators whose error is told apart; in larger nets neighbours share one."""
_MOST_LATER = 12
"""Moves behind the first that cannot be made that are tried all the same."""
_DRAWS = 2
"""Inputs that a group alone is measured on: errors that only put groups in order need no more."""
_PAYS = 0.97
"""A form of 4-bit weights is looked for where they would take at most this share of int8's price."""
_WIDEST_FIRST: tuple[Types, ...] = ("float32", "dynamic", "int8", "int4")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixed:
    """What was found."""

    recipe: Recipe
    """With a rule for each type of the operators that are not int8."""
    left: Left
    """The operators that are not int8."""
    decibels: float
    """On the calibration inputs."""
    price: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Move:
    """A group that takes other types than before."""

    place: int
    types: Types
    worth: float
    """What it saves, for what it errs more."""


def mix(
    calibration: Calibration, pairs: Pairs, base: Recipe, *, minimum_db: float, price: Price = price_with_starts
) -> Mixed:
    """Return the cheapest recipe found that reaches a fidelity.

    Args:
        calibration: The float model and its ranges.
        pairs: What fidelity is told on.
        base: Int8 without rules.
        minimum_db: Paired PSNR on those pairs.
        price: What operators cost, in any unit; a function of them alone keeps the choice repeatable.
    """
    search = _Search(calibration, pairs, base, price)
    uniform = [search.tried(search.all_in(types)) for types in search.uniform]
    kept = [mixed for mixed in uniform if mixed.decibels >= minimum_db]
    if uniform[0] in kept and not search.short_weights_pay:
        return uniform[0]
    return min([*kept, search.descended(minimum_db)], key=lambda mixed: mixed.price)


class _Search:
    """Forms already made, and the operators in question."""

    def __init__(self, calibration: Calibration, pairs: Pairs, base: Recipe, price: Price) -> None:
        self._calibration, self._pairs, self._base, self._price = calibration, pairs, base, price
        scene = calibration.scene()
        able: dict[Types, set[int]] = {}
        for types in _WIDEST_FIRST[1:]:
            decided = decide(scene, replace(base, types=types))
            able[types] = {step.index for step in scene.steps if decided[step.index] == types}
        if base.older_kernels:
            able["int4"] = set()
        # Only the dense layers' kernels for 4 bits are fast: XNNPACK has none for convolutions.
        able["int4"] -= {step.index for step in scene.steps if step.kind != "FULLY_CONNECTED"}
        self._able = able
        self._steps = [step for step in scene.steps if step.index in able["int8"] | able["dynamic"]]
        self._groups = _groups(self._steps)
        self._made: dict[tuple[Left, int | None], Mixed] = {}

    @property
    def uniform(self) -> tuple[Types, ...]:
        """Types that all operators are tried in, int8 first."""
        return ("int8", "dynamic")

    @property
    def short_weights_pay(self) -> bool:
        """Whether 4-bit weights of dense layers would make a form cheaper than int8."""
        if not self._able["int4"]:
            return False
        narrow = self.all_in("int8")
        dense: Left = frozenset((index, "int4") for index in self._able["int4"])
        others = frozenset(one for one in narrow if one[0] not in self._able["int4"])
        return self.tried(others | dense, draws=1).price < _PAYS * self.tried(narrow).price

    def tried(self, left: Left, draws: int | None = None) -> Mixed:
        """Return the form in which some operators are not int8, compared on some inputs; None: on all."""
        if (left, draws) not in self._made:
            recipe, made = self._form(left)
            found = decibels(self._pairs.error(made.flatbuffer, draws))
            mixed = Mixed(recipe=recipe, left=left, decibels=found, price=self._price(made.operators))
            self._made[left, draws] = mixed
        return self._made[left, draws]

    def _form(self, left: Left) -> tuple[Recipe, Emitted]:
        recipe = replace(self._base, rules=self._rules(dict(left)))
        return recipe, self._calibration.quantized(recipe)

    def all_in(self, types: Types) -> Left:
        """Return the assignment of one type, as far as operators have it."""
        return self._left([types] * len(self._groups))

    def descended(self, minimum_db: float) -> Mixed:
        """Return float made cheaper, move by move, as far as it stays faithful enough."""
        moves = self._moves()
        low, high = 0, len(moves) + 1
        while high - low > 1:
            middle = (low + high) // 2
            if self.tried(self._after(moves[:middle])).decibels >= minimum_db:
                low = middle
            else:
                high = middle
        done = moves[:low]
        best = self.tried(self._after(done))
        for move in moves[low + 1 : low + 1 + _MOST_LATER]:
            more = self.tried(self._after([*done, move]))
            if more.decibels >= minimum_db and more.price < best.price:
                best, done = more, [*done, move]
        return best

    def _moves(self) -> list[_Move]:
        """Return all moves that save anything, the worthiest first; those of one group in the order of its types."""
        spared = self.tried(self.all_in("float32"), _DRAWS).price
        found = [move for place in range(len(self._groups)) for move in self._moves_of(place, spared)]
        return sorted(found, key=lambda move: -move.worth)

    def _moves_of(self, place: int, spared: float) -> list[_Move]:
        """Return the corners of what a group's types cost over what they err, from float on.

        A narrower type errs more: where it does not save more, either, it is not run.
        """
        points: dict[Types, tuple[float, float]] = {}
        most = 0.0
        for types in _WIDEST_FIRST[1:]:
            if self._able[types].isdisjoint(self._groups[place]):
                continue
            _, alone = self._form(self._alone(place, types))
            saved = spared - self._price(alone.operators)
            if saved > most:
                most = saved
                points[types] = (self._pairs.error(alone.flatbuffer, _DRAWS), saved)
        error, saved, moves = 0.0, 0.0, list[_Move]()
        while better := {types: point for types, point in points.items() if point[1] > saved}:
            worths = {types: (point[1] - saved) / max(point[0] - error, 1e-30) for types, point in better.items()}
            types = max(worths, key=worths.__getitem__)
            moves.append(_Move(place=place, types=types, worth=worths[types]))
            error, saved = points[types]
        return moves

    def _alone(self, place: int, types: Types) -> Left:
        assigned: list[Types] = ["float32"] * len(self._groups)
        assigned[place] = types
        return self._left(assigned)

    def _after(self, moves: Iterable[_Move]) -> Left:
        assigned: list[Types] = ["float32"] * len(self._groups)
        for move in moves:
            assigned[move.place] = move.types
        return self._left(assigned)

    def _left(self, assigned: Sequence[Types]) -> Left:
        """Return the operators that are not int8 where each group is of a type."""
        left: set[tuple[int, Types]] = set()
        for group, types in zip(self._groups, assigned, strict=True):
            left |= {(index, self._nearest(index, types)) for index in group}
        return frozenset(one for one in left if one[1] != self._base.types)

    def _nearest(self, index: int, types: Types) -> Types:
        """Return a type that an operator has: this one, int8 weights for int4's, or float."""
        if types == "int4" and index not in self._able["int4"]:
            types = "dynamic"
        return types if types != "float32" and index in self._able[types] else "float32"

    def _rules(self, types: dict[int, Types]) -> tuple[Rule, ...]:
        """Return a rule for each type and kind."""
        names: dict[tuple[Types, str], set[str]] = {}
        for step in self._steps:
            if step.index in types:
                names.setdefault((types[step.index], step.kind), set()).add(step.name)
        return tuple(
            Rule(types=given, kinds=frozenset({kind}), outputs=frozenset(outputs))
            for (given, kind), outputs in sorted(names.items())
        )


def _groups(steps: Sequence[Step]) -> list[list[int]]:
    """Return neighbours in at most `_MOST_GROUPS` groups, so that a large net is not run hundreds of times.

    What weighs heads a group: what follows up to the next would gain nothing in int8 alone.
    """
    parts: list[list[int]] = []
    headless = True
    for step in steps:
        heads = KINDS[step.kind].role == "weighs"
        if not parts or (heads and not headless):
            parts.append([])
            headless = True
        parts[-1].append(step.index)
        headless = headless and not heads
    size = -(-len(parts) // _MOST_GROUPS) or 1
    return [list(itertools.chain(*parts[start : start + size])) for start in range(0, len(parts), size)]
