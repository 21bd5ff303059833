"""What a manifest says of the channels that were taken out of a model, and of how it was healed."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import msgspec

from edge_aigc.tpu_record import Count

Share: TypeAlias = Annotated[float, msgspec.Meta(ge=0, lt=1)]


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class CutGroup(_Part, frozen=True, kw_only=True):
    """Channels that go together, and which of them stayed."""

    name: str
    """Of the value that makes them."""
    units: Count
    kept: Annotated[str, msgspec.Meta(pattern=r"^([0-9a-f]{2})*$")]
    """A bit for each unit, the first in the highest bit of the first digit pair, as `numpy.packbits` orders them."""


class Healing(_Part, frozen=True, kw_only=True):
    """Training of the cut model by the original, on drawn inputs."""

    steps: Count
    """As many again, with as many looks, make the same weights on the same machine."""
    looks: Count
    """How often at most it was judged meanwhile, of which the best was kept."""
    batch: Count
    metric: str
    """Of both figures, on held-out inputs: for example ``PSNR, dB``."""
    before: float
    after: float


class Coarsest(_Part, frozen=True, kw_only=True):
    """Channels of which a single one, with all that goes with it, is a large part of the model."""

    group: str
    share: Share
    """Of the multiplications that one unit more or less makes."""


class Pruning(_Part, frozen=True, kw_only=True):
    """How much of a model was taken out, and what it learnt after that; a whole model may have learnt, too."""

    asked: Share
    """Of the multiplications."""
    removed: Share
    """What came of it: channels are whole, and kernels like multiples."""
    coarsest: Coarsest | None = None
    """Where that is not what was asked for: why."""
    multiplications: tuple[Count, Count]
    """Of one invocation, before and after."""
    groups: tuple[CutGroup, ...]
    """Those that lost something."""
    repaired: bool
    """Whether what reads the remaining channels was refitted in closed form."""
    healing: Healing | None = None
    """In float32."""
    healing_int8: Healing | None = None
    """After that, in fake int8: rounded as an int8 model would, so that one loses less."""


def missed(pruning: Pruning) -> str:
    """Return in words what was asked for, what came of it and why; nothing where it is what was asked for."""
    if pruning.coarsest is None:
        return ""
    return (
        f"{pruning.asked:.1%} of the multiplications were asked for and {pruning.removed:.1%} are removed: channels "
        f"are that coarse, one of {pruning.coarsest.group!r} makes up {pruning.coarsest.share:.1%}"
    )
