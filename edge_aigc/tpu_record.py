"""What a manifest says of a model's way to an Edge TPU."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec

Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class TpuOperators(_Part, frozen=True, kw_only=True):
    """Operators of one kind that share a fate."""

    kind: str
    count: Count
    on: Literal["tpu", "cpu"]
    reason: str = ""
    """Why they run on the CPU."""


class TpuTransfer(_Part, frozen=True, kw_only=True):
    """One invocation of the part for the Edge TPU, estimated from published benchmarks."""

    latency_ms: float
    sent_bytes: Count
    received_bytes: Count
    link: str
    """The computer and the bus that the figure holds for."""


class EdgeTpu(_Part, frozen=True, kw_only=True):
    """What became of the model on its way to an Edge TPU."""

    compiled: bool
    reason: str
    """When it was not compiled: why, and how to do it."""
    file: str | None = None
    """The compiled model, which needs the Edge TPU's library; the other one runs on any CPU."""
    compiler: str | None = None
    attempts: Count = 0
    """Runs of the compiler; it fails at random."""
    refused: dict[str, str] = {}
    """Operator: why the pre-check expects it to stay on the CPU."""
    first_break: str | None = None
    """What ends the part that maps, as the pre-check sees it; None when nothing does."""
    doubts: tuple[str, ...] = ()
    """Operators that are expected to map, of which some like them have been seen to stay on the CPU."""
    operators: tuple[TpuOperators, ...] = ()
    """By the compiler's word where it compiled, else as the pre-check expects."""
    on_tpu: Count | None = None
    on_cpu: Count | None = None
    subgraphs: Count | None = None
    on_chip_bytes: Count | None = None
    """Parameters that stay in the Edge TPU's memory; expected ones where it was not compiled."""
    off_chip_bytes: Count | None = None
    """Parameters that are sent at every invocation, likewise."""
    instruction_bytes: Count | None = None
    """Sent at every invocation; known once it is compiled."""
    min_runtime: Count | None = None
    """The oldest version of the Edge TPU's runtime that runs it."""
    estimate: TpuTransfer | None = None
