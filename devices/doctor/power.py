"""Heat and the power supply: what makes a board slower than it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_aigc.devices.condition import Condition, look
from edge_aigc.finding import Finding

if TYPE_CHECKING:
    from edge_aigc.devices.doctor.patient import Patient
    from edge_aigc.finding import Severity

_WARM_C, _HOT_C = 80.0, 85.0
"""raspberrypi/documentation, frequency-management.adoc: the cores are slowed from 80, everything from 85."""
_LOW = "under-voltage"
_COOL = "Give it a heat sink or a fan."
_SUPPLY = "Use the board's own power supply and a short, thick cable."


def check(patient: Patient) -> list[Finding]:
    """Look at what holds the clock down, now and since the start, and at the thermal zones."""
    condition = look(patient.root)
    return [_throttled(condition), _temperature(condition, is_host=patient.is_host)]


def _throttled(condition: Condition) -> Finding:
    now, past = condition.throttled, condition.throttled_since_boot
    advice = _SUPPLY if _LOW in (*now, *past) else _COOL
    if now:
        message = f"Held down right now: {', '.join(now)}. {advice}"
        return Finding(id="throttled", severity="problem", message=message)
    if past:
        message = f"Held down since the start: {', '.join(past)}. {advice} A restart clears this record."
        return Finding(id="throttled", severity="note", message=message)
    return Finding(id="throttled", severity="ok", message="Nothing is known to hold the clock down.")


def _temperature(condition: Condition, *, is_host: bool) -> Finding:
    celsius = condition.temperature_c
    if celsius is None:
        return Finding(id="temperature", severity="ok", message="Unknown: the kernel has no thermal zone here.")
    message = f"{celsius:.1f} °C; boards slow down from {_WARM_C:g} °C."
    if celsius < _WARM_C:
        return Finding(id="temperature", severity="ok", message=message)
    # Desks run hotter by design.
    severity: Severity = "problem" if celsius >= _HOT_C and not is_host else "note"
    return Finding(id="temperature", severity=severity, message=f"{message} {_COOL}")
