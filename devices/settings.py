"""What a daemon is told when it starts, with units."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edge_aigc.tpu import TpuSettings

if TYPE_CHECKING:
    from pathlib import Path

    from edge_aigc.mqtt.address import BrokerAddress
    from edge_aigc.profile import AnyRuntime


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildSettings:
    """How the processes that generate are run."""

    runtime: AnyRuntime | None = None
    """None takes the engine beside the bundle where it proves itself, else the first that is installed."""
    threads: int | None = None
    """Of the interpreter; None takes the bundle's."""
    tpu: TpuSettings = field(default_factory=TpuSettings)
    """Which Edge TPU runs models that are compiled for one."""
    sample_s: float = 30.0
    """A child that takes longer for one sample is killed."""
    start_s: float = 60.0
    """A child that takes longer to open and prove its bundle is killed."""
    outstanding: int = 2
    """Samples sent to a child and not yet made: the next one waits in its socket, so it never idles."""
    backoff_first_s: float = 0.1
    backoff_longest_s: float = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitSettings:
    """What strangers may ask for, and how much may pile up."""

    count: int = 64
    """Samples of one request."""
    picture_bytes: int = 8 << 20
    """Of a picture on request/MODEL/INPUT."""
    queue: int = 64
    """Requests waiting or being made."""
    queue_bytes: int = 32 << 20
    """Of the pictures that they hold."""
    seen_ids: int = 1000
    seen_s: float = 600.0
    """How long the id of a request is remembered."""
    outbox: int = 256
    outbox_bytes: int = 16 << 20
    """Messages that wait for the broker; the oldest go first when there are more."""
    response_prefixes: tuple[str, ...] = ("edge-aigc/",)
    """Where answers may be sent; each ends where a level ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonSettings:
    """One daemon."""

    broker: BrokerAddress
    device: str
    bundles: tuple[Path, ...]
    every_s: float | None = None
    """Publish unasked this often; None: only when asked."""
    format: str | None = None
    """Of outputs, where the request does not say; None takes the medium's default."""
    child: ChildSettings = field(default_factory=ChildSettings)
    limits: LimitSettings = field(default_factory=LimitSettings)
    health_s: float = 30.0
    """How often health is published at least."""
    health_shortest_s: float = 1.0
    """How often health is published at most."""
    session_s: int = 300
    """How long the broker keeps requests while we are away (MQTT 5)."""
    stop_s: float = 3.0
    """How long a sample in the making is waited for when the daemon is told to stop."""
