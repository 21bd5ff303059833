"""Zeros in kernels that keep their shape, where they were asked for: a candidate, or the figures why they are none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_aigc.converters.prune.sparsity import sparse_if_cheaper
from edge_aigc.converters.trials import Trial
from edge_aigc.converters.variants import Variant
from edge_aigc.errors import ConversionError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_aigc.converters.students import Place
    from edge_aigc.converters.workbench import Workbench


def with_zeros(bench: Workbench, place: Place) -> tuple[list[Variant], list[Trial]]:
    """Return the whole model with zeros in its kernels; nothing where that was not asked for.

    Args:
        bench: Of the source.
        place: Where it shall run.

    Returns:
        The variant; or, where the place gains nothing by it, what is left out.

    Raises:
        ConversionError: The place gains nothing by it, and nothing else was asked for.
    """
    order, rules = bench.order.prune, place.rules
    if order.zeros is None:
        return [], []

    def ranked(nets: Mapping[str, bytes]) -> dict[str, float]:
        costs = rules.meter.measure(nets, threads=rules.threads)
        if any(cost.instructions is not None for cost in costs.values()):
            raise ConversionError(
                f"What zeros in kernels save on {place.profile.title} cannot be counted: that is done operator by "
                "operator, and XNNPACK multiplies by sparse weights in stretches of them only.",
                remedy="Time it on the device: `--on user@host`; or remove whole channels: `--prune 0.75`.",
            )
        return {name: cost.rank for name, cost in costs.items()}

    try:
        flatbuffer = sparse_if_cheaper(
            bench.whole.flatbuffer,
            ranked,
            zeros=order.zeros,
            pattern=order.zeros_pattern,
            where=place.profile.title,
            unit="ms or cycles",
        )
    except ConversionError as exc:
        if not order.asked and not order.distill_minutes:
            raise
        return [], [Trial(recipe="float32", refused=exc.message)]
    return [Variant(flatbuffer=flatbuffer, recipes=("float32",), rigid=True)], []
