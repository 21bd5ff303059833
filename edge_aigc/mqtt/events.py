"""What a connection tells of itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from edge_aigc.mqtt.packets import Incoming
from edge_aigc.mqtt.reasons import FAILURE, NO_MATCHING_SUBSCRIBERS

if TYPE_CHECKING:
    from edge_aigc.mqtt.refusals import Refusal

Protocol: TypeAlias = Literal["5", "3.1.1"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Connected:
    """We are in, and subscribed."""

    protocol: Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """There is no connection, and why; another attempt follows."""

    refusal: Refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscribed:
    """A later subscription stands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """The broker answered for a message of ours."""

    ticket: int
    refused: str | None
    """Why it would not have it (MQTT 5 only)."""
    unheard: bool = False
    """Nobody has subscribed to it, as far as the broker says (MQTT 5 only)."""


def delivered(ticket: int, reason: Any) -> Delivered:
    """Return the event for paho's reason code."""
    refused = str(reason) if reason.value >= FAILURE else None
    return Delivered(ticket=ticket, refused=refused, unheard=reason.value == NO_MATCHING_SUBSCRIBERS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """A topic filter, at QoS 1."""

    topics: str
    retained: bool = False
    """Whether to be told what is retained there."""
    optional: bool = False
    """Whether to go on where the broker's access rules are against it."""


Event: TypeAlias = Connected | Lost | Subscribed | Delivered | Incoming
