"""What a fresh process is asked to measure, and what it answers; both cross pipes as MessagePack."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import msgspec

from edge_aigc.cost import Cost
from edge_aigc.devices.bench.memory import Weight
from edge_aigc.profile import Runtime
from edge_aigc.tpu import TpuSettings

Threads: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=64)]
Rounds: TypeAlias = Annotated[int, msgspec.Meta(ge=5, le=1_000_000)]


class Pass(msgspec.Struct, frozen=True, kw_only=True, tag="pass"):
    """Open a bundle, warm up, time it."""

    bundle: str
    runtime: Runtime | None = None
    threads: Threads
    tpu: TpuSettings = TpuSettings()
    """Where a model that is compiled for an Edge TPU runs."""
    rounds: Rounds | None = None
    """None: as many as fit into the time, at most `most_rounds`."""
    most_rounds: Rounds = 200
    budget_s: float = 10.0
    """For the invocations, and again for the samples, where `rounds` is None."""
    warm_up: Annotated[int, msgspec.Meta(ge=0, le=100_000)] | None = None
    """None: until two batches of invocations agree."""
    format: str | None = None


class Turns(msgspec.Struct, frozen=True, kw_only=True, tag="turns"):
    """Time flatbuffers in turns."""

    flatbuffers: dict[str, str]
    """Name: path."""
    runtime: Runtime | None = None
    threads: Threads


class Weighing(msgspec.Struct, frozen=True, kw_only=True, tag="weighing"):
    """Weigh one flatbuffer."""

    flatbuffer: str
    runtime: Runtime | None = None
    threads: Threads


Order: TypeAlias = Pass | Turns | Weighing


class WarmUp(msgspec.Struct, frozen=True, kw_only=True):
    """What ran before the first figure was taken."""

    invocations: int
    stable: bool
    """Whether the last two batches agreed within 5 %."""


class Passed(msgspec.Struct, frozen=True, kw_only=True, tag="passed"):
    """Raw figures of one pass, milliseconds each."""

    runtime: str
    fallback: str = ""
    """Why the accelerator that the bundle was made for did not run it."""
    open_ms: float
    """Read, verified, loaded, proven on the golden vectors."""
    warm_up: WarmUp
    invoke_ms: list[float]
    """The interpreter alone."""
    make_ms: list[float]
    """Of samples, seed to outputs in hand."""
    tokens: list[int] = []
    """Of samples that are texts: tokens read, those of the prompt too."""
    encode_ms: list[float]
    """Of the same samples, outputs to file."""
    format: str
    clock_hz: int | None
    """Of the fastest core right after the invocations."""
    model: Weight
    """After the invocations."""
    whole: Weight
    """After the samples."""


class Timed(msgspec.Struct, frozen=True, kw_only=True, tag="timed"):
    """Costs by name."""

    costs: dict[str, Cost]


class Weighed(msgspec.Struct, frozen=True, kw_only=True, tag="weighed"):
    """One flatbuffer's memory."""

    weight: Weight


class Failed(msgspec.Struct, frozen=True, kw_only=True, tag="failed"):
    """One of our errors, in words."""

    code: str
    message: str
    remedy: str


Answer: TypeAlias = Passed | Timed | Weighed | Failed
