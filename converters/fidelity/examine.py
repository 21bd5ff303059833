"""Everything else that is told of the form that was chosen, and the samples that show it, the worst among them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge_aigc.converters.fidelity.compare import measured, metric_of
from edge_aigc.converters.fidelity.distribution import frechet, mean_distance, sliced_wasserstein
from edge_aigc.converters.fidelity.features import features_of
from edge_aigc.converters.fidelity.sound import log_mel_distance
from edge_aigc.converters.fidelity.structure import ssim
from edge_aigc.converters.fidelity.text import expected_perplexity
from edge_aigc.manifest import Spread

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_aigc.manifest import Fidelity
    from edge_aigc.spec import Output

Array: TypeAlias = NDArray[Any]

COLLAPSED_BELOW = 0.9
"""Two sets of other seeds from one source had 0.94 to 1.05 of each other's (`features.md`): less is no accident."""
_LEAST_SAMPLES = 8
"""Fewer say nothing of a distribution."""
_SHOWN = 5
_SSIM_LIMIT = 8_000_000
"""Numbers that SSIM is taken over, some seconds; of more, evenly chosen samples."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One sample from both forms."""

    sample: int
    """The seed, or the index of the held-out picture."""
    value: float
    """In the metric of the fidelity."""
    reference: Array
    """What the source made."""
    found: Array
    """What the other form made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """A fidelity with all its figures, and samples that show them."""

    fidelity: Fidelity
    output: Output
    pairs: tuple[Pair, ...]
    """The first few."""
    worst: Pair


def examine(
    fidelity: Fidelity,
    references: Sequence[Sequence[Array]],
    founds: Sequence[Sequence[Array]],
    outputs: Sequence[Output],
) -> Evidence:
    """Return all figures of the output that fared worst, and samples of it.

    Args:
        fidelity: What `compare` told of the same samples.
        references: Each sample's outputs from the source.
        founds: Each sample's outputs from the other form.
        outputs: What they are, in the same order.
    """
    position = next((i for i, output in enumerate(outputs) if output.name == fidelity.output), 0)
    output = outputs[position]
    reference, found = ([sample[position] for sample in side] for side in (references, founds))
    _, each = measured(reference, found, output)
    worst = int(np.argmin(each))
    pairs = [
        Pair(sample=fidelity.worst_sample - worst + i, value=each[i], reference=reference[i], found=found[i])
        for i in dict.fromkeys((*range(min(_SHOWN, len(each))), worst))
    ]
    return Evidence(
        fidelity=msgspec.structs.replace(
            fidelity, spread=spread(reference, found, output), **_by_medium(reference, found, output)
        ),
        output=output,
        pairs=tuple(pairs[:_SHOWN]),
        worst=next(pair for pair in pairs if pair.sample == fidelity.worst_sample),
    )


def spread(reference: Sequence[Array], found: Sequence[Array], output: Output) -> Spread | None:
    """Return what all samples together look like; None where there are too few, or none differs from another.

    Args:
        reference: One array a sample.
        found: As many, from the same seeds.
        output: What they are.
    """
    count = len(reference)
    if count < _LEAST_SAMPLES or not all(np.isfinite(values).all() for values in found):
        return None
    name, both = features_of([*reference, *found], output)
    a, b = both[:count], both[count:]
    own = mean_distance(a)
    if own == 0:
        return None
    diversity = mean_distance(b) / own
    return Spread(
        features=name,
        frechet=_rounded(frechet(a, b)),
        frechet_of_seeds=_rounded(frechet(a[::2], a[1::2])),
        sliced_wasserstein=_rounded(sliced_wasserstein(a, b)),
        sliced_wasserstein_of_seeds=_rounded(sliced_wasserstein(a[::2], a[1::2])),
        diversity=_rounded(diversity),
        collapsed=diversity < COLLAPSED_BELOW,
    )


def _by_medium(reference: Sequence[Array], found: Sequence[Array], output: Output) -> dict[str, float]:
    if output.media == "image":
        numbers = len(reference) * int(np.prod(output.shape))
        step = -(-numbers // _SSIM_LIMIT)
        pairs = list(zip(reference, found, strict=True))[::step]
        return {"ssim": _rounded(float(np.mean([ssim(a, b, output) for a, b in pairs])))}
    if output.media == "audio":
        each = [log_mel_distance(a, b, output) for a, b in zip(reference, found, strict=True)]
        return {"log_mel_db": _rounded(float(np.mean(each)))}
    if metric_of(output) == "agreement_percent":
        return {
            "perplexity": _rounded(expected_perplexity(reference, found)),
            "source_perplexity": _rounded(expected_perplexity(reference, reference)),
        }
    return {}


def _rounded(figure: float) -> float:
    """Return a figure to six significant digits: what is left of it on another machine's linear algebra."""
    return float(f"{figure:.6g}")
