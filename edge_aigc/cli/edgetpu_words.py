"""What became of a model on its way to an Edge TPU, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge_aigc.tpu_record import EdgeTpu


def edgetpu_rows(edgetpu: EdgeTpu) -> list[str]:
    """Return lines without indentation: compiled or not, what maps, where it stops, parameters, the estimate."""
    rows = [_compiled(edgetpu), _share(edgetpu)]
    if edgetpu.first_break is not None:
        rows.append(f"stops at {edgetpu.first_break}")
    rows += [f"refuses {kind}: {reason}" for kind, reason in edgetpu.refused.items()]
    rows += edgetpu.doubts
    rows.append(_parameters(edgetpu))
    if edgetpu.estimate is not None:
        rows.append(
            f"about {edgetpu.estimate.latency_ms:g} ms an invocation over {edgetpu.estimate.link}: an estimate from "
            "pycoral's published benchmarks, without what runs on the CPU"
        )
    return [row for row in rows if row]


def _compiled(edgetpu: EdgeTpu) -> str:
    if not edgetpu.compiled:
        return edgetpu.reason
    needs = f", needs Edge TPU runtime {edgetpu.min_runtime} or newer" if edgetpu.min_runtime is not None else ""
    tries = f" in {edgetpu.attempts} runs" if edgetpu.attempts > 1 else ""
    by = f"by {edgetpu.compiler}" if edgetpu.compiler is not None else "elsewhere"
    return f"compiled {by}{tries}{needs}"


def _share(edgetpu: EdgeTpu) -> str:
    if not edgetpu.operators:
        return ""
    mapped = sum(entry.count for entry in edgetpu.operators if entry.on == "tpu")
    total = sum(entry.count for entry in edgetpu.operators)
    kinds: dict[str, int] = {}
    for entry in edgetpu.operators:
        if entry.on == "cpu":
            kinds[entry.kind] = kinds.get(entry.kind, 0) + entry.count
    left = ", ".join(f"{kind} {count}" for kind, count in kinds.items())
    verb = "run" if edgetpu.compiled else "are expected to run"
    return f"{mapped} of {total} operators {verb} on the Edge TPU" + (f"; on the CPU: {left}" if left else "")


def _parameters(edgetpu: EdgeTpu) -> str:
    if edgetpu.on_chip_bytes is None:
        return ""
    how = "" if edgetpu.compiled else "expected "
    words = f"{how}parameters {edgetpu.on_chip_bytes:,} B cached on the Edge TPU"
    words += f", {edgetpu.off_chip_bytes or 0:,} B streamed"
    if edgetpu.instruction_bytes is not None:
        words += f"; {edgetpu.instruction_bytes:,} B of instructions at every invocation"
    return words
