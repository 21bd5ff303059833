"""How alike two forms of a generator are: the same inputs through both, the outputs compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge_aigc.manifest import Fidelity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_aigc.spec import Output

Array: TypeAlias = NDArray[Any]

CAP_DB = 100.0
"""Equal outputs have no finite PSNR: contract 1."""


def psnr(reference: Sequence[Array], found: Sequence[Array], output: Output) -> tuple[float, list[float]]:
    """Return the peak signal-to-noise ratio, decibels: pooled over all samples, and of each.

    Both sides are clipped to the output's range first; the peak is the range's width (without a range,
    the span of the reference). NaN anywhere gives minus infinity. At most 100 dB.

    Args:
        reference: One array a sample.
        found: As many, of the same shapes.
        output: States the range.
    """
    if output.range is None:
        stack = np.concatenate([values.ravel() for values in reference])
        peak = float(np.ptp(stack)) or 1.0
    else:
        peak = output.range[1] - output.range[0]
        reference = [np.clip(values, *output.range) for values in reference]
        found = [np.clip(values, *output.range) for values in found]
    errors = [
        float(np.mean((a.astype(np.float64) - b.astype(np.float64)) ** 2))
        for a, b in zip(reference, found, strict=True)
    ]
    return _decibels(float(np.mean(errors)), peak), [_decibels(error, peak) for error in errors]


def compare(
    references: Sequence[Sequence[Array]],
    founds: Sequence[Sequence[Array]],
    outputs: Sequence[Output],
    *,
    minimum: float,
    first_sample: int,
    on_pictures: bool,
) -> Fidelity:
    """Return the fidelity of the output that fares worst.

    Args:
        references: Each sample's outputs from the source.
        founds: Each sample's outputs from the other form.
        outputs: What they are, in the same order.
        minimum: What was promised, decibels.
        first_sample: The first seed, for naming the worst.
        on_pictures: Whether the samples are held-out pictures.
    """
    pooled, each = min(
        (
            psnr([sample[i] for sample in references], [sample[i] for sample in founds], output)
            for i, output in enumerate(outputs)
        ),
        key=lambda result: result[0],
    )
    worst = int(np.argmin(each))
    return Fidelity(
        metric="psnr_db",
        value=round(pooled, 3),
        samples=len(each),
        minimum=minimum,
        worst_value=round(each[worst], 3),
        worst_sample=worst if on_pictures else first_sample + worst,
        on="pictures" if on_pictures else "prior",
    )


def _decibels(mean_square: float, peak: float) -> float:
    if not np.isfinite(mean_square):
        return -np.inf
    if mean_square == 0:
        return CAP_DB
    return min(CAP_DB, 10 * float(np.log10(peak**2 / mean_square)))
