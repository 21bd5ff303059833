"""The Edge TPU as the pipeline sees it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from edge_aigc.converters.targets.edgetpu.compiler import HOW_TO_GET, CompilerOptions, compile_model, find_compiler
from edge_aigc.converters.targets.edgetpu.executable import packages
from edge_aigc.converters.targets.edgetpu.fit import fit
from edge_aigc.converters.targets.edgetpu.precheck import precheck
from edge_aigc.converters.targets.edgetpu.transfer import cacheable_of, estimate, expected_parameters, link_of
from edge_aigc.converters.targets.target import Compiled
from edge_aigc.manifest import EdgeTpu, TpuOperators, TpuTransfer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_aigc.converters.targets.edgetpu.compiler import Outcome
    from edge_aigc.converters.targets.edgetpu.executable import Package
    from edge_aigc.converters.targets.edgetpu.log import Row
    from edge_aigc.converters.targets.edgetpu.precheck import Fate, Precheck
    from edge_aigc.converters.targets.edgetpu.transfer import Link, Transfer
    from edge_aigc.profile import DeviceProfile

COMPILED_FILE = "model_edgetpu.tflite"


class EdgeTpuTarget:
    """One Edge TPU."""

    int8_borders = True

    def check(self, flatbuffer: bytes) -> None:
        """Refuse nothing: what the TPU does not take runs on the CPU, and the manifest lists it."""
        del flatbuffer

    def fit(self, flatbuffer: bytes) -> bytes:
        """Return the flatbuffer in versions of operators that the compiler reads."""
        return fit(flatbuffer)

    def compile(self, flatbuffer: bytes, profile: DeviceProfile, *, min_tpu_runtime: int | None = None) -> Compiled:
        """Compile where the compiler is on PATH; else say why not, how to, and what to expect.

        Raises:
            ConversionError: No compiler makes int8 models for that runtime.
        """
        options = CompilerOptions(min_runtime=min_tpu_runtime)
        checked = precheck(flatbuffer)
        program = find_compiler()
        if program is None:
            return _not_compiled(checked, profile, f"Not compiled: edgetpu_compiler is not on PATH. {HOW_TO_GET}")
        outcome = compile_model(program, flatbuffer, options)
        made = packages(outcome.compiled) if outcome.compiled is not None else ()
        if outcome.compiled is None or not made:
            return _not_compiled(checked, profile, _why_not(outcome), outcome)
        return Compiled(
            files={COMPILED_FILE: outcome.compiled}, edgetpu=_compiled(checked, link_of(profile), outcome, made)
        )


def _why_not(outcome: Outcome) -> str:
    log, runs = outcome.log, f"{outcome.attempts} run{'s' * (outcome.attempts > 1)}"
    if outcome.compiled is not None:
        return "Not compiled: edgetpu_compiler mapped no operator."
    if log.verdict == "compiled":
        return f"Not compiled: edgetpu_compiler said that it did, and wrote no file ({runs})."
    return f"Not compiled: edgetpu_compiler said: {log.reason} ({runs})."


def _not_compiled(checked: Precheck, profile: DeviceProfile, reason: str, outcome: Outcome | None = None) -> Compiled:
    link, room = link_of(profile), cacheable_of(profile)
    parameters = expected_parameters(checked, cacheable_bytes=room)
    edgetpu = EdgeTpu(
        compiled=False,
        reason=reason,
        compiler=outcome.log.version if outcome is not None else None,
        attempts=outcome.attempts if outcome is not None else 0,
        refused=checked.refused,
        first_break=break_words(checked),
        doubts=doubt_words(checked),
        operators=expected_operators(checked.fates),
        on_chip_bytes=parameters.cached,
        off_chip_bytes=parameters.streamed,
        estimate=_estimate(estimate(checked, link, cacheable_bytes=room)) if checked.on_tpu else None,
    )
    return Compiled(edgetpu=edgetpu)


def _compiled(checked: Precheck, link: Link, outcome: Outcome, made: tuple[Package, ...]) -> EdgeTpu:
    log = outcome.log
    return EdgeTpu(
        compiled=True,
        reason="",
        file=COMPILED_FILE,
        compiler=log.version,
        attempts=outcome.attempts,
        refused=checked.refused,
        first_break=break_words(checked),
        doubts=doubt_words(checked),
        operators=_told_operators(log.rows) or expected_operators(checked.fates),
        on_tpu=log.on_tpu,
        on_cpu=log.on_cpu,
        subgraphs=len(made),
        on_chip_bytes=sum(package.cached_bytes for package in made),
        off_chip_bytes=sum(package.streamed_bytes for package in made),
        instruction_bytes=sum(package.instruction_bytes for package in made),
        min_runtime=max(package.min_runtime for package in made),
        estimate=_estimate(estimate(checked, link, compiled=made)),
    )


def break_words(checked: Precheck) -> str | None:
    """Return what ends the part that maps, in a sentence; None when nothing does."""
    fate = checked.first_break
    if fate is None:
        return None
    after = sum(1 for other in checked.fates if not other.on_tpu and other.index != fate.index)
    mend = f"; {fate.mend}" if fate.mend else ""
    return (
        f"{fate.kind} {fate.output!r} {list(fate.shape)}, operator {fate.index + 1} of {len(checked.fates)}: "
        f"{fate.reason}{mend}. It and {after} more run on the CPU."
    )


def doubt_words(checked: Precheck) -> tuple[str, ...]:
    """Return a sentence for each operator that may stay on the CPU although it is expected to map."""
    return tuple(
        f"{fate.kind} {fate.output!r} {list(fate.shape)}, operator {fate.index + 1}: {fate.doubt}"
        for fate in checked.fates
        if fate.doubt
    )


def expected_operators(fates: Sequence[Fate]) -> tuple[TpuOperators, ...]:
    """Return operators by kind and fate, in the order in which they first occur."""
    counted = Counter((fate.kind, fate.on_tpu, fate.reason) for fate in fates)
    return tuple(
        TpuOperators(kind=kind, count=count, on="tpu" if on_tpu else "cpu", reason=reason)
        for (kind, on_tpu, reason), count in counted.items()
    )


def _told_operators(rows: Sequence[Row]) -> tuple[TpuOperators, ...]:
    return tuple(
        TpuOperators(
            kind=row.kind,
            count=row.count,
            on="tpu" if row.on_tpu else "cpu",
            reason="" if row.on_tpu else row.status,
        )
        for row in rows
    )


def _estimate(found: Transfer) -> TpuTransfer:
    return TpuTransfer(
        latency_ms=round(found.latency_ms, 2),
        sent_bytes=found.sent_bytes,
        received_bytes=found.received_bytes,
        link=found.link.name,
    )
