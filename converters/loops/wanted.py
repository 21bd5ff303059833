"""What is asked of a loop before the model is read."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """State or window, and how large."""

    window: int | None = None
    """Tokens that the model reads at every step; None: it keeps a state."""
    context: int | None = None
    """Places of an attention's cache; None: as many as the model was built for."""
    usual_context: int = 256
    """Where neither tells."""
