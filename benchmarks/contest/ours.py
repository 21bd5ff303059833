"""What we make of a naive flatbuffer; the one place that knows how the compiler is asked."""

from __future__ import annotations

import contextlib
import functools
from typing import TYPE_CHECKING

from contest.forms import CALIBRATION_SEEDS
from contest.meter import Shortlisted
from edge_aigc.converters.forms import Former
from edge_aigc.converters.ir import read, write
from edge_aigc.converters.quantize import Aim, quantize
from edge_aigc.converters.rewrites.catalogue import alternatives_for
from edge_aigc.converters.rewrites.normalizations import NORMALIZATIONS
from edge_aigc.converters.rewrites.rewrite import normalize
from edge_aigc.converters.workbench import lowered
from edge_aigc.errors import ConversionError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from contest.forms import Forms
    from edge_aigc.converters.ir import Graph
    from edge_aigc.cost import CostMeter
    from edge_aigc.manifest import Rewrite
    from edge_aigc.profile import RecipeName

LEAST_DB = 35.0
"""What a form in other types must reach to count: the issue's goal for pictures."""
_NARROW: tuple[RecipeName, ...] = ("dynamic", "int8", "mixed")


def ours(flatbuffer: bytes, meter: CostMeter, *, quick: CostMeter | None = None) -> tuple[bytes, tuple[Rewrite, ...]]:
    """Return the fastest exact float32 form by a meter, and what was put in another way.

    Places are chosen one by one; the whole is then held against the naive form, as `convert` does.

    Args:
        flatbuffer: Naive.
        meter: Decides.
        quick: Where `meter` is slow: finds what it is asked about.
    """
    graph = _normalized(flatbuffer)
    formed, rewrites = _formed(graph, "float32", meter, quick)
    forms = {"as converted": flatbuffer, "normalized": write(graph), "formed": formed}
    costs = meter.measure(forms, threads=1)
    best = min(forms, key=lambda name: costs[name].rank)
    return forms[best], rewrites if best == "formed" else ()


def narrow_forms(
    forms: Forms, own: bytes, meter: CostMeter, near: Callable[[bytes], bool], *, quick: CostMeter | None = None
) -> Mapping[str, bytes]:
    """Return our forms in other types, as normalized and as put together for int8, that are near their source.

    Mixed precision is made only where plain int8 misses: finding out which operators err most takes long.

    Args:
        forms: Of the net.
        own: Our float32 form.
        meter: Decides.
        near: Tells whether a form is near enough.
        quick: As in `ours`.
    """
    graph = _normalized(forms.flatbuffers["naive_batch1"])
    samples = [forms.net.draw(seed) for seed in CALIBRATION_SEEDS]
    sources = {"": write(graph), " in other forms": _formed(graph, "int8", meter, quick)[0]}
    make = functools.partial(quantize, calibration=samples, int8_borders=False, aim=Aim(minimum_db=LEAST_DB))
    found = {"float16": make(own, "float16")}
    for recipe in _NARROW:
        made = {}
        for words, source in sources.items():
            with contextlib.suppress(ConversionError):  # these types do not exist of this net
                made[f"{recipe}{words}"] = make(source, recipe)
        found |= {name: flatbuffer for name, flatbuffer in made.items() if near(flatbuffer)}
        if recipe == "int8" and f"{recipe} in other forms" in found:
            break
    return found


def _normalized(flatbuffer: bytes) -> Graph:
    graph = read(flatbuffer)
    normalize(graph, NORMALIZATIONS)
    return graph


def _formed(
    graph: Graph, recipe: RecipeName, meter: CostMeter, quick: CostMeter | None
) -> tuple[bytes, tuple[Rewrite, ...]]:
    chooser = meter if quick is None else Shortlisted(quick, meter)
    former = Former(
        alternatives_for(recipe),
        lambda nets: chooser.measure(nets, threads=1),
        lower=functools.partial(lowered, recipe=recipe),
    )
    decisions, rewrites = former.decide(graph)
    return write(former.apply(graph, decisions)), rewrites
