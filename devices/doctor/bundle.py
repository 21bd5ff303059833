"""A bundle, proven here as the daemon proves it, and the memory that this takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_aigc.devices.doctor.trial import attempt
from edge_aigc.finding import Finding, command_in

if TYPE_CHECKING:
    from edge_aigc.devices.doctor.patient import Patient

_LIMIT_S = 60.0
"""What the daemon gives a child to open and prove its bundle."""


def check(patient: Patient) -> list[Finding]:
    """Prove the bundle in a process of its own, if there is one."""
    if patient.bundle is None:
        return []
    trial = attempt("bundle", str(patient.bundle), limit_s=_LIMIT_S)
    if trial.report is None:
        message = f"A process that proved {patient.bundle} {trial.death}."
        return [Finding(id="bundle", severity="problem", message=message)]
    report = trial.report
    if report.fault is not None:
        return [
            Finding(
                id="bundle",
                severity="problem",
                message=f"{report.words} {report.remedy}",
                remedy=command_in(report.remedy),
            )
        ]
    findings = [
        Finding(
            id="bundle",
            severity="ok",
            message=f"{patient.bundle} proves itself on {report.release} in {report.took_ms:.0f} ms, "
            f"{report.peak_bytes:,} B resident.",
        )
    ]
    if patient.profile is not None and report.peak_bytes > patient.profile.ram_for_us_bytes:
        findings.append(
            Finding(
                id="bundle-memory",
                severity="problem",
                message=f"{patient.bundle} takes {report.peak_bytes:,} B; {patient.profile.name} leaves "
                f"{patient.profile.ram_for_us_bytes:,} B.",
                remedy=f"edge-aigc convert MODEL --profile {patient.profile.name} --recipe int8",
            )
        )
    return findings
