"""What a daemon says of itself: `info` and `health`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from edge_aigc.devices import replies
from edge_aigc.devices.health import temperature_c
from edge_aigc.mqtt.messages import REQUEST_LIMIT_BYTES, Health, Info, Limits
from edge_aigc.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edge_aigc.devices.health import Tally
    from edge_aigc.devices.link import Link
    from edge_aigc.devices.serving import Serving
    from edge_aigc.devices.settings import DaemonSettings


def info(settings: DaemonSettings, servings: Sequence[Serving], life: str) -> Info:
    """Return what the device is and serves; every bundle has proven itself."""
    models = [replies.model_info(serving.manifest, serving.runtime) for serving in servings if serving.manifest]
    limits = settings.limits
    return Info(
        device=settings.device,
        profile=", ".join(dict.fromkeys(model.profile for model in models)),
        version=__version__,
        runtime=", ".join(dict.fromkeys(model.runtime for model in models)),
        models=tuple(models),
        limits=Limits(
            request_bytes=REQUEST_LIMIT_BYTES,
            picture_bytes=limits.picture_bytes,
            count=limits.count,
            queue=limits.queue,
        ),
        life=life,
    )


def health(
    servings: Sequence[Serving], unable: Mapping[str, str], tally: Tally, link: Link, *, started_s: float
) -> Health:
    """Return how the device is.

    Args:
        servings: All of them.
        unable: Models that cannot be served, and why.
        tally: What has happened.
        link: To the broker.
        started_s: When the daemon started, on the monotonic clock.
    """
    problems = [f"{model}: {why}" for model, why in unable.items()]
    problems += [
        f"{serving.name}: starting again"
        for serving in servings
        if serving.child.state != "ready" and serving.name not in unable
    ]
    problems += [f"{serving.name} runs on the CPU, {serving.fallback}" for serving in servings if serving.fallback]
    return Health(
        state="degraded" if problems else "ok",
        problems=tuple(problems),
        protocol=link.connection.protocol,
        uptime_s=round(time.monotonic() - started_s, 1),
        queue=sum(len(serving.jobs) for serving in servings),
        outbox=len(link.outbox),
        served=tally.served,
        errors=tally.errors,
        restarts=sum(max(0, serving.child.restarts) for serving in servings),
        dropped=dict(tally.dropped + link.outbox.dropped),
        latency_ms=tally.latency(),
        temperature_c=temperature_c(),
    )
