"""The interpreters: which are there, and whether they run a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from edge_aigc import packages
from edge_aigc.devices.doctor.trial import Trial, attempt
from edge_aigc.finding import Finding
from edge_aigc.profile import Runtime

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_aigc.devices.doctor.patient import Patient

_LIMIT_S = 60.0
"""What the daemon gives a child to start."""
_PACKAGES: Mapping[Runtime, str] = {"litert": "ai-edge-litert", "tflite": "tflite-runtime"}
"""As `edge_aigc.interpreter.PACKAGES`, which needs a NumPy that loads."""


def check(patient: Patient) -> list[Finding]:
    """Run a tiny model on each runtime that is installed, each in a process of its own."""
    installed = [runtime for runtime in get_args(Runtime) if packages.release(_PACKAGES[runtime])]
    if not installed:
        return [_missing(patient)]
    findings = [_tried(runtime) for runtime in installed]
    # The first that is installed is what gets used unless the user names another.
    return [findings[0], *(_milder(finding) for finding in findings[1:])]


def _missing(patient: Patient) -> Finding:
    wanted = patient.manifest.runtimes if patient.manifest else patient.profile.runtimes if patient.profile else ()
    runtime: Runtime = "tflite" if wanted == ("tflite",) else "litert"
    extra = ("convert", runtime) if patient.is_host else (runtime,)
    words = [packages.wanted(_PACKAGES[runtime], *extra)]
    if runtime == "tflite":
        words.append(packages.wanted("numpy", "tflite"))
    return Finding(
        id="runtime-missing",
        severity="problem",
        message=f"No TFLite interpreter is installed: neither {' nor '.join(_PACKAGES.values())}.",
        remedy=packages.pip_install(*words),
    )


def _milder(finding: Finding) -> Finding:
    if finding.severity != "problem":
        return finding
    message = f"{finding.message} It is used only where --runtime names it."
    return Finding(id=finding.id, severity="note", message=message, remedy=finding.remedy)


def _tried(runtime: Runtime) -> Finding:
    package = _PACKAGES[runtime]
    name = f"{package} {packages.release(package)}"
    trial = attempt("runtime", runtime, limit_s=_LIMIT_S)
    report = trial.report
    if trial.too_slow:
        message = f"A process that ran the smallest model on {name} {trial.death}; the daemon waits no longer either."
        return Finding(id="runtime-slow", severity="problem", message=f"{message} Stop what else runs here.")
    if report is not None and report.fault is None:
        return Finding(
            id="runtime",
            severity="ok",
            message=f"{report.release} runs a model: {report.took_ms:.0f} ms, {report.peak_bytes:,} B resident.",
        )
    if report is not None and report.fault == "untried":
        return Finding(id="runtime", severity="note", message=f"Unknown: {name} could not be tried: {report.words}.")
    if report is not None and report.fault == "numpy":
        return Finding(
            id="numpy-broken",
            severity="problem",
            message=f"NumPy {packages.release('numpy') or '(not installed)'} does not load: {_short(report.words)}.",
            remedy=packages.pip_install("--force-reinstall", packages.wanted("numpy", runtime, "")),
        )
    if report is not None and report.fault == "clash":
        return Finding(
            id="numpy-clash",
            severity="problem",
            message=f"{name} was built for NumPy 1 and cannot start with NumPy {packages.release('numpy')}.",
            remedy=packages.pip_install("numpy<2"),
        )
    return _broken(runtime, name, trial)


def _broken(runtime: Runtime, name: str, trial: Trial) -> Finding:
    package = _PACKAGES[runtime]
    why = trial.report.words if trial.report is not None else f"A process that ran a model on it {trial.death}."
    foreign = packages.foreign_tags(package)
    if foreign:
        wanted = packages.wanted(package, runtime)
        again = packages.pip_install("--force-reinstall", "--no-deps", wanted)
        return Finding(
            id="runtime-foreign",
            severity="problem",
            message=f"The wheel of {name} is not for this machine but for {foreign[0]}: {_short(why)}",
            # pip chooses the newest release that has a wheel for this machine; then what that one needs.
            remedy=f"{again} && {packages.pip_install(wanted)}",
        )
    return Finding(
        id="runtime-broken",
        severity="problem",
        message=f"{name} is installed and does not work: {_short(why)}",
        remedy=packages.pip_install("--force-reinstall", "--no-deps", f"{package}=={packages.release(package)}"),
    )


def _short(words: str) -> str:
    return " ".join(words.split())[:400]
