"""What we make of a naive flatbuffer; the one place that knows how the compiler is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contest.forms import CALIBRATION_SEEDS
from contest.meter import Shortlisted, meter_here
from edge_aigc.converters.forms import Former
from edge_aigc.converters.ir import read, write
from edge_aigc.converters.quantize import quantize
from edge_aigc.converters.rewrites.catalogue import alternatives_for
from edge_aigc.converters.rewrites.normalizations import NORMALIZATIONS
from edge_aigc.converters.rewrites.rewrite import normalize

if TYPE_CHECKING:
    from collections.abc import Mapping

    from contest.forms import Forms
    from edge_aigc.cost import CostMeter
    from edge_aigc.manifest import Rewrite


def ours(flatbuffer: bytes, meter: CostMeter, *, places: CostMeter | None = None) -> tuple[bytes, tuple[Rewrite, ...]]:
    """Return the fastest exact float32 form by a meter, and what was put in another way.

    Places are chosen one by one; the whole is then held against the naive form, as `convert` does.

    Args:
        flatbuffer: Naive.
        meter: Decides.
        places: Decides about single places; None: the same.
    """
    graph = read(flatbuffer)
    normalize(graph, NORMALIZATIONS)
    chooser = places or meter
    former = Former(alternatives_for("float32"), lambda nets: chooser.measure(nets, threads=1))
    decisions, rewrites = former.decide(graph)
    forms = {"as converted": flatbuffer, "normalized": write(graph), "formed": write(former.apply(graph, decisions))}
    costs = meter.measure(forms, threads=1)
    best = min(forms, key=lambda name: costs[name].rank)
    return forms[best], rewrites if best == "formed" else ()


def counted_forms(forms: Forms, meter: CostMeter) -> Mapping[str, bytes]:
    """Return our float32 form, and it in the types of every recipe; narrow types also without Winograd's forms."""
    naive = forms.flatbuffers["naive_batch1"]
    own, _ = ours(naive, meter, places=Shortlisted(meter_here(), meter))
    graph = read(naive)
    normalize(graph, NORMALIZATIONS)
    plain = write(graph)
    samples = [forms.net.draw(seed) for seed in CALIBRATION_SEEDS]
    found = {"ours float32": own}
    for recipe, source in (("float16", own), ("dynamic", plain), ("int8", plain)):
        found[f"ours {recipe}"] = quantize(source, recipe, calibration=samples, int8_borders=False)
    return found
