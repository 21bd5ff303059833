"""What we make of a naive flatbuffer; the one place that knows how the compiler is asked."""

from __future__ import annotations

import contextlib
import functools
import itertools
from typing import TYPE_CHECKING

from contest.forms import CALIBRATION_SEEDS
from edge_aigc.converters.forms import Former
from edge_aigc.converters.ir import read, write
from edge_aigc.converters.quantize import Aim, quantize
from edge_aigc.converters.quantizer.calibration import Calibration
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
_NARROW: Mapping[RecipeName, tuple[RecipeName, ...]] = {
    "dynamic": ("dynamic",),
    "int8": ("int8",),
    "mixed": ("int8", "dynamic"),
}
"""Recipes, and in whose types their operators' forms are chosen."""
_MORE_DB = (0.0, 5.0)
"""What mixed is asked for on top: what reaches 35 dB of the range of four samples may miss it of the range of one."""


def ours(flatbuffer: bytes, meter: CostMeter) -> tuple[bytes, tuple[Rewrite, ...]]:
    """Return the fastest exact float32 form by a meter, and what was put in another way.

    Places are chosen one by one; the whole is then held against the naive form, as `convert` does.

    Args:
        flatbuffer: Naive.
        meter: Decides.
    """
    graph = _normalized(flatbuffer)
    formed, rewrites = _formed(graph, "float32", meter)
    forms = {"as converted": flatbuffer, "normalized": write(graph), "formed": formed}
    costs = meter.measure(forms, threads=1)
    best = min(forms, key=lambda name: costs[name].rank)
    return forms[best], rewrites if best == "formed" else ()


def narrow_forms(
    forms: Forms,
    own: bytes,
    meter: CostMeter,
    near: Callable[[bytes], bool],
    *,
    older_kernels: bool = False,
    formed_for: tuple[RecipeName, ...] = ("int8", "dynamic"),
) -> Mapping[str, bytes]:
    """Return our forms in other types, as normalized and as put together for those, that are near their source.

    Args:
        forms: Of the net.
        own: Our float32 form.
        meter: Decides.
        near: Tells whether a form is near enough.
        older_kernels: Whether those that tflite-runtime 2.14 runs are made, too.
        formed_for: In whose types operators' forms are chosen.
    """
    graph = _normalized(forms.flatbuffers["naive_batch1"])
    samples = [forms.net.draw(seed) for seed in CALIBRATION_SEEDS]
    sources = {"": write(graph)}
    sources |= {f" in {types} forms": _formed(graph, types, meter)[0] for types in formed_for}
    make = functools.partial(quantize, int8_borders=False)
    found = {"float16": make(own, "float16", calibration=())}
    for words, source in sources.items():
        calibration = Calibration(source, samples)
        for recipe, older in itertools.product(_NARROW, (False, True) if older_kernels else (False,)):
            if words and not any(f" in {types} forms" == words for types in _NARROW[recipe]):
                continue
            for more in _MORE_DB if recipe == "mixed" else (0.0,):
                aim = Aim(minimum_db=LEAST_DB + more)
                with contextlib.suppress(ConversionError):  # these types do not exist of this net
                    made = make(source, recipe, calibration=calibration, older_kernels=older, aim=aim)
                    if made in found.values():
                        break
                    if near(made):
                        found[f"{recipe}{words}{' for older kernels' if older else ''}"] = made
                        break
    return found


def _normalized(flatbuffer: bytes) -> Graph:
    graph = read(flatbuffer)
    normalize(graph, NORMALIZATIONS)
    return graph


def _formed(graph: Graph, recipe: RecipeName, meter: CostMeter) -> tuple[bytes, tuple[Rewrite, ...]]:
    former = Former(
        alternatives_for(recipe),
        lambda nets: meter.measure(nets, threads=1),
        lower=functools.partial(lowered, recipe=recipe),
        shortlist=meter.shortlist,
    )
    decisions, rewrites = former.decide(graph)
    return write(former.apply(graph, decisions)), rewrites
