"""How the device is: counters, latencies, temperature."""

from __future__ import annotations

import contextlib
import math
from collections import Counter, deque
from pathlib import Path
from typing import TYPE_CHECKING

from edge_aigc.mqtt.messages import Latency

if TYPE_CHECKING:
    from collections.abc import Sequence

_KEPT = 200
"""Latencies that the percentiles are of."""
_FIRST_GUESS_MS = 200.0
"""Of a sample, before one was made."""
_THERMAL = Path("/sys/class/thermal")


class Tally:
    """What has happened since the daemon started.

    Attributes:
        dropped: By reason.
        changed: Whether something happened that is worth telling before the next beat.
    """

    def __init__(self) -> None:
        """Begin at 0."""
        self.served = self.errors = 0
        self.dropped: Counter[str] = Counter()
        self.changed = False
        self._latency_ms: deque[float] = deque(maxlen=_KEPT)
        self._making_ms: deque[float] = deque(maxlen=_KEPT)

    def made(self, *, latency_ms: float, making_ms: float) -> None:
        """Count a sample: since its request, or the sample before it; and in the child alone."""
        self.served += 1
        self._latency_ms.append(latency_ms)
        self._making_ms.append(making_ms)

    def failed(self) -> None:
        """Count an error reply."""
        self.errors += 1
        self.changed = True

    def drop(self, reason: str) -> None:
        """Count a message that is neither answered nor delivered."""
        self.dropped[reason] += 1
        self.changed = True

    def latency(self) -> Latency:
        """Return the percentiles of the last samples, milliseconds."""
        return Latency(
            p50=_percentile(self._latency_ms, 0.50),
            p95=_percentile(self._latency_ms, 0.95),
            samples=len(self._latency_ms),
        )

    def retry_after_ms(self, samples: int) -> int:
        """Return when so many samples will have been made, about."""
        each_ms = _percentile(self._making_ms, 0.5) or _FIRST_GUESS_MS
        return max(100, math.ceil(each_ms * samples))


def temperature_c(folder: Path = _THERMAL) -> float | None:
    """Return the hottest of the kernel's thermal zones, or None where it has none."""
    hottest: float | None = None
    for zone in folder.glob("thermal_zone*/temp"):
        # A zone whose sensor is off cannot be read, or says something else.
        with contextlib.suppress(OSError, ValueError):
            celsius = int(zone.read_text(encoding="ascii")) / 1000
            hottest = celsius if hottest is None else max(hottest, celsius)
    return hottest


def _percentile(values: Sequence[float], share: float) -> float | None:
    if not values:
        return None
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)], 3)
