"""The Edge TPU as the pipeline sees it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from edge_aigc.converters.graph import operators
from edge_aigc.converters.targets.edgetpu.compiler import HOW_TO_GET, CompilerOptions, compile_model, find_compiler
from edge_aigc.converters.targets.edgetpu.executable import CUSTOM_OPERATOR, packages
from edge_aigc.converters.targets.edgetpu.fit import fit
from edge_aigc.converters.targets.edgetpu.precheck import precheck
from edge_aigc.converters.targets.edgetpu.prepare import prepare
from edge_aigc.converters.targets.edgetpu.transfer import cacheable_of, estimate, expected_parameters, link_of
from edge_aigc.converters.targets.target import Compiled
from edge_aigc.errors import ConversionError
from edge_aigc.tpu_record import EdgeTpu, TpuOperators, TpuTransfer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_aigc.converters.rewrites.rewrite import Alternative
    from edge_aigc.converters.targets.edgetpu.compiler import Outcome
    from edge_aigc.converters.targets.edgetpu.executable import Package
    from edge_aigc.converters.targets.edgetpu.log import Row
    from edge_aigc.converters.targets.edgetpu.precheck import Fate, Precheck
    from edge_aigc.converters.targets.edgetpu.transfer import Link, Transfer
    from edge_aigc.converters.targets.target import CompileOrder
    from edge_aigc.profile import DeviceProfile, RecipeName

COMPILED_FILE = "model_edgetpu.tflite"


class EdgeTpuTarget:
    """One Edge TPU."""

    int8_borders = True

    def alternatives(self, recipe: RecipeName) -> tuple[Alternative, ...]:
        """Return none: its compiler takes TRANSPOSE_CONV and no DEPTH_TO_SPACE, and its costs cannot be found here."""
        del recipe
        return ()

    def prepare(self, flatbuffer: bytes) -> bytes:
        """Return the float flatbuffer with leaky ReLU written as MAXIMUM and MUL."""
        return prepare(flatbuffer)

    def check(self, flatbuffer: bytes) -> None:
        """Refuse nothing: what the TPU does not take runs on the CPU, and the manifest lists it."""
        del flatbuffer

    def fit(self, flatbuffer: bytes) -> bytes:
        """Return the flatbuffer in versions of operators that the compiler reads."""
        return fit(flatbuffer)

    def compile(self, flatbuffer: bytes, profile: DeviceProfile, order: CompileOrder) -> Compiled:
        """Compile where the compiler is on PATH; else say why not, how to, and what to expect.

        Raises:
            ConversionError: No compiler makes int8 models for that runtime, or what was compiled elsewhere is not
                of this model.
        """
        options = CompilerOptions(min_runtime=order.min_tpu_runtime)
        if order.compiled is not None:
            edgetpu = compiled_elsewhere(flatbuffer, order.compiled, link_of(profile))
            return Compiled(files={COMPILED_FILE: order.compiled}, edgetpu=edgetpu)
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
        **_sizes(made),
        estimate=_estimate(estimate(checked, link, compiled=made)),
    )


def compiled_elsewhere(flatbuffer: bytes, compiled: bytes, link: Link) -> EdgeTpu:
    """Return what became of a model that was compiled elsewhere, told from the file alone.

    The compiler keeps the names of tensors: what still stands in its result is on the CPU, the rest is not.

    Raises:
        ConversionError: It holds nothing compiled, is damaged, or was made of another model.
    """
    made = packages(compiled)
    if not made:
        raise ConversionError(
            "The file given as compiled holds no part for an Edge TPU.",
            remedy="Give what edgetpu_compiler wrote, `model_edgetpu.tflite`.",
        )
    left = _left_on_cpu(flatbuffer, compiled)
    checked = precheck(flatbuffer)
    fates = [
        replace(fate, on_tpu=fate.output not in left, reason="" if fate.output not in left else fate.reason)
        for fate in checked.fates
    ]
    on_cpu = sum(not fate.on_tpu for fate in fates)
    return EdgeTpu(
        compiled=True,
        reason="",
        file=COMPILED_FILE,
        refused=checked.refused,
        first_break=break_words(checked),
        doubts=doubt_words(checked),
        operators=expected_operators(fates),
        on_tpu=len(fates) - on_cpu,
        on_cpu=on_cpu,
        **_sizes(made),
        estimate=_estimate(estimate(checked, link, compiled=made)),
    )


def _left_on_cpu(flatbuffer: bytes, compiled: bytes) -> set[str]:
    """Return the names of what operators on the CPU make."""
    shapes = {tensor.name: tensor.shape for operator in operators(flatbuffer) for tensor in operator.outputs}
    for operator in operators(compiled):
        for tensor in operator.outputs:
            if shapes.get(tensor.name) != tensor.shape:
                raise ConversionError(
                    f"The file given as compiled makes {tensor.name!r} {list(tensor.shape)}, this model does not.",
                    remedy="Compile the model.tflite of a bundle made from the same model with the same options.",
                )
    return {operator.outputs[0].name for operator in operators(compiled) if operator.kind != CUSTOM_OPERATOR}


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


def _sizes(made: tuple[Package, ...]) -> dict[str, Any]:
    return {
        "subgraphs": len(made),
        "on_chip_bytes": sum(package.cached_bytes for package in made),
        "off_chip_bytes": sum(package.streamed_bytes for package in made),
        "instruction_bytes": sum(package.instruction_bytes for package in made),
        "min_runtime": max(package.min_runtime for package in made),
    }


def _estimate(found: Transfer) -> TpuTransfer:
    return TpuTransfer(
        latency_ms=round(found.latency_ms, 2),
        sent_bytes=found.sent_bytes,
        received_bytes=found.received_bytes,
        link=found.link.name,
    )
