"""One figure of how alike two forms are, by the medium of what they make: what `--min-fidelity` is about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge_aigc.converters.fidelity.decibels import psnr, snr
from edge_aigc.converters.fidelity.points import chamfer_decibels
from edge_aigc.converters.fidelity.text import token_agreement
from edge_aigc.manifest import Fidelity

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edge_aigc.manifest import Metric
    from edge_aigc.spec import Output

Array: TypeAlias = NDArray[Any]

METRICS: Mapping[str, Metric] = {"audio": "snr_db", "text": "agreement_percent", "points": "chamfer_db"}
"""By medium; every other is held to its PSNR."""
MINIMA: Mapping[Metric, float] = {
    # Where nobody says what is enough. 30 dB: an error of 3 % of the range. 20 dB: of 10 % of the sound itself,
    # masked by it to most ears. 95 %: one token in twenty falls out differently. 40 dB: 1 % of the diagonal.
    "psnr_db": 30.0,
    "snr_db": 20.0,
    "agreement_percent": 95.0,
    "chamfer_db": 40.0,
}


def compare(
    references: Sequence[Sequence[Array]],
    founds: Sequence[Sequence[Array]],
    outputs: Sequence[Output],
    *,
    minimum: float | None,
    first_sample: int,
    on_pictures: bool,
) -> Fidelity:
    """Return the fidelity of the output that fares worst, measured from what it is held to.

    Args:
        references: Each sample's outputs from the source.
        founds: Each sample's outputs from the other form.
        outputs: What they are, in the same order; of text the samples hold the logits of every step.
        minimum: What was promised of outputs of the first one's medium, in its unit; None: `MINIMA`.
        first_sample: The first seed, for naming the worst.
        on_pictures: Whether the samples are held-out pictures.
    """
    promised = metric_of(outputs[0])
    # What else a model in a loop makes is its state, which nobody reads: what matters of it shows in later logits.
    outputs = outputs[:1] if promised == "agreement_percent" else outputs
    found = [
        _compared(
            output, [sample[i] for sample in references], [sample[i] for sample in founds],
            minimum=minimum if minimum is not None and metric_of(output) == promised else None,
        )
        for i, output in enumerate(outputs)
    ]  # fmt: skip
    output, least, pooled, each = min(found, key=lambda result: result[2] - result[1])
    worst = int(np.argmin(each))
    return Fidelity(
        metric=metric_of(output),
        value=round(pooled, 3),
        samples=len(each),
        minimum=least,
        worst_value=round(each[worst], 3),
        worst_sample=worst if on_pictures else first_sample + worst,
        on="pictures" if on_pictures else "prior",
        output=output.name,
    )


def metric_of(output: Output) -> Metric:
    """Return what an output is held to."""
    return METRICS.get(output.media, "psnr_db")


def as_psnr(output: Output, minimum: float | None) -> float:
    """Return the PSNR of an output that about keeps its minimum, for what knows no other figure.

    Args:
        output: What it is.
        minimum: In its metric; None: `MINIMA`.
    """
    metric = metric_of(output)
    least = MINIMA[metric] if minimum is None else minimum
    if metric == "agreement_percent":
        return MINIMA["psnr_db"]
    return least + _QUIET_DB if metric == "snr_db" else least


_QUIET_DB = 29.0
"""What an error is under the range's width more than under a sound of usual loudness: EBU R 128's -23 dB under full
scale, and 6 dB from there to the width."""


def measured(reference: Sequence[Array], found: Sequence[Array], output: Output) -> tuple[float, list[float]]:
    """Return an output's figure in its metric: pooled over all samples, and of each; more is better."""
    metric = metric_of(output)
    if metric == "snr_db":
        return snr(reference, found, output)
    if metric == "agreement_percent":
        return token_agreement(reference, found)
    if metric == "chamfer_db":
        return chamfer_decibels(reference, found, output)
    return psnr(reference, found, output)


def _compared(
    output: Output, reference: Sequence[Array], found: Sequence[Array], *, minimum: float | None
) -> tuple[Output, float, float, list[float]]:
    pooled, each = measured(reference, found, output)
    return output, MINIMA[metric_of(output)] if minimum is None else minimum, pooled, each
