"""What pruning costs in fidelity and gains in work: one point for each ratio and way of going about it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from numpy.typing import NDArray

from edge_aigc.converters.ir import write
from edge_aigc.converters.variants import Form
from edge_aigc.interpreter import Interpreter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_aigc.converters.comparison import Comparison
    from edge_aigc.converters.students import Place, Students
    from edge_aigc.converters.variants import Variant
    from edge_aigc.converters.workbench import Workbench
    from edge_aigc.cost import Cost
    from edge_aigc.manifest import Fidelity

Array: TypeAlias = NDArray[Any]
Method: TypeAlias = Literal["whole", "magnitude", "repaired", "distilled"]
"""``magnitude``: the smallest weights cut, nothing done after; ``repaired``: chosen by what the output loses, the rest
refitted in closed form; ``distilled``: trained by the original after that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CurvePoint:
    """One pruned model in float32."""

    method: Method
    asked: float
    """Share of the multiplications to remove."""
    removed: float
    fidelity: Fidelity
    cost: Cost
    sample: Array
    """The first output of the first input that verifies."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stand:
    """A model to be put on the curve."""

    method: Method
    asked: float
    removed: float
    form: Form


def curve(bench: Workbench, students: Students, variants: Sequence[Variant], place: Place) -> tuple[CurvePoint, ...]:
    """Return how faithful and how fast students are in float32, beside what cruder ways reach.

    Args:
        bench: Of the source.
        students: Who made the variants.
        variants: Of `Students.variants`.
        place: Where costs are told for.
    """
    stands = [_Stand(method="whole", asked=0.0, removed=0.0, form=bench.whole.plain)]
    for variant in variants:
        if variant.pruning is not None and variant.pruning.groups and variant.recipes is None:
            stands += _beside(students, variant)
    if len(stands) == 1:
        return ()
    made = [bench.made("float32", stand.form, int8_borders=False) for stand in stands]
    nets = {str(index): flatbuffer for index, flatbuffer in enumerate(made)}
    costs = place.rules.meter.measure(nets, threads=place.rules.threads)
    return tuple(
        CurvePoint(
            method=stand.method,
            asked=stand.asked,
            removed=stand.removed,
            fidelity=_of_first(bench.comparison(flatbuffer)),
            cost=costs[str(index)],
            sample=_first(bench, Interpreter(flatbuffer)),
        )
        for index, (stand, flatbuffer) in enumerate(zip(stands, made, strict=True))
    )


def _first(bench: Workbench, form: Interpreter) -> Array:
    """Return the first output of the first input that verifies."""
    return form.run(list(next(bench.verify(form))))[0]


def _of_first(comparison: Comparison) -> Fidelity:
    """Return the fidelity of the first output alone: figures of several media do not make one curve."""
    return replace(comparison, outputs=comparison.outputs[:1])()


def _beside(students: Students, variant: Variant) -> list[_Stand]:
    pruning = variant.pruning
    assert pruning is not None
    ways: dict[Method, bytes] = {
        "magnitude": write(students.by_magnitude(pruning.removed)),
        "repaired": variant.flatbuffer if pruning.healing is None else write(students.repaired(pruning)),
    }
    if pruning.healing is not None:
        ways["distilled"] = variant.flatbuffer
    return [
        _Stand(
            method=method,
            asked=pruning.asked,
            removed=pruning.removed,
            form=Form(name="as converted", flatbuffer=flatbuffer),
        )
        for method, flatbuffer in ways.items()
    ]
