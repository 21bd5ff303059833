"""How alike a bundle and its source are, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge_aigc.manifest import Fidelity, Spread


def fidelity_words(fidelity: Fidelity) -> str:
    """Return the figure that was promised, and the worst sample's."""
    unit = fidelity.unit
    return (
        f"{fidelity.value:.1f} {unit} {fidelity.title} over {fidelity.samples} samples, worst "
        f"{fidelity.worst_value:.1f} {unit}, promised {fidelity.minimum:g} {unit}"
    )


def fidelity_rows(fidelity: Fidelity) -> list[str]:
    """Return the other figures, a line for each kind; nothing for a bundle that has none."""
    rows = []
    if fidelity.ssim is not None:
        rows.append(f"SSIM {fidelity.ssim:.4f}")
    if fidelity.log_mel_db is not None:
        rows.append(f"log-mel distance {fidelity.log_mel_db:.2f} dB")
    if fidelity.perplexity is not None and fidelity.source_perplexity is not None:
        rows.append(f"perplexity {fidelity.perplexity:.3f}; the source's own {fidelity.source_perplexity:.3f}")
    if fidelity.spread is not None:
        rows += spread_rows(fidelity.spread)
    return rows


def spread_rows(spread: Spread) -> list[str]:
    """Return the distances between the distributions, beside what merely other seeds change, and the diversity."""
    frechet, sliced = (
        _beside(value, seeds)
        for value, seeds in (
            (spread.frechet, spread.frechet_of_seeds),
            (spread.sliced_wasserstein, spread.sliced_wasserstein_of_seeds),
        )
    )
    left = "COLLAPSED: " if spread.collapsed else ""
    return [
        f"distribution: Fréchet {frechet}, sliced Wasserstein {sliced}",
        f"{left}diversity {spread.diversity:.1%} of the source's",
    ]


def _beside(value: float, seeds: float) -> str:
    share = f" ({value / seeds:.1%} of what other seeds change)" if seeds else ""
    return f"{value:.3g}{share}"
