"""What each operator costs before and after: alone, as a net of its own, by the meter that chose the form.

Operators that run alone are not what they are inside a net, where caches are warm and neighbours are fused; the
figures tell which are dear, not what a whole takes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_aigc.converters.costs.singles import split
from edge_aigc.converters.report.errors import made_in, paired, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from edge_aigc.converters.costs.singles import Single
    from edge_aigc.converters.report.errors import Made
    from edge_aigc.cost import Cost


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Operators of both forms that end in the same tensor."""

    name: str
    before: tuple[str, ...]
    """Kinds."""
    after: tuple[str, ...]
    cost_before: float
    cost_after: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Stages:
    """Both forms, stage by stage."""

    rows: tuple[Stage, ...]
    unit: str
    where: str
    how: str


def costs_by_operator(before: bytes, after: bytes, measure: Callable[[Mapping[str, bytes]], dict[str, Cost]]) -> Stages:
    """Return what the operators of two forms of a net cost, those together that end in the same tensor.

    Args:
        before: The flatbuffer as it was converted.
        after: The one in the bundle.
        measure: Small nets to their costs, all in turns; operators that are equal are measured once.

    Raises:
        EdgeAigcError: They cannot be measured.
    """
    singles = split(before), split(after)
    costs = measure({single.key: single.flatbuffer for side in singles for single in side})
    ends = [(twin.name, made.name) for twin, made in paired(made_in(before), made_in(after))]
    lefts = _grouped(singles[0], made_in(before), {twin: twin for twin, _ in ends})
    rights = _grouped(singles[1], made_in(after), {made: twin for twin, made in ends})
    rows = [
        Stage(
            name=name,
            before=tuple(single.kind for single in lefts.get(name, ())),
            after=tuple(single.kind for single in rights.get(name, ())),
            cost_before=sum(costs[single.key].rank for single in lefts.get(name, ())),
            cost_after=sum(costs[single.key].rank for single in rights.get(name, ())),
        )
        for name in dict.fromkeys((*lefts, *rights))
    ]
    one = next(iter(costs.values()))
    return Stages(rows=tuple(rows), unit=one.unit, where=one.where, how=one.how)


def _grouped(singles: Sequence[Single], made: Sequence[Made], ends: Mapping[str, str]) -> dict[str, list[Single]]:
    """Return the operators up to each named end, since the end before; what follows the last one belongs to it."""
    groups: dict[str, list[Single]] = {}
    waiting: list[Single] = []
    last = ""
    for single in singles:
        waiting.append(single)
        names = [made[position].name for position in single.positions]
        end = next((ends[name] for name in reversed(names) if name in ends), None)
        if end is not None:
            groups.setdefault(end, []).extend(waiting)
            waiting, last = [], end
    if waiting:
        groups.setdefault(last or plain(names[-1]), []).extend(waiting)
    return groups
