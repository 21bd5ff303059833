"""Why there is no connection, in words that help."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from edge_aigc.mqtt.address import PASSWORD_VARIABLE
from edge_aigc.mqtt.reasons import BAD_PASSWORD, NOT_AUTHORIZED, PACKET_TOO_LARGE, TAKEN_OVER

if TYPE_CHECKING:
    from edge_aigc.mqtt.address import BrokerAddress

Kind: TypeAlias = Literal["absent", "tls", "silent", "credentials", "denied", "refused", "lost"]
"""Nobody answers; TLS failed; no MQTT is spoken; who are you; access rules; another reason; the connection ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """What is wrong and what to do."""

    kind: Kind

    message: str
    remedy: str
    lasting: bool = False
    """Trying again soon will not help."""


def absence(address: BrokerAddress, error: BaseException | None) -> Refusal:
    """Say why no connection could be made."""
    if isinstance(error, ssl.SSLError):
        return Refusal(
            kind="tls",
            message=f"TLS with the broker {address} failed: {error.reason or error}.",
            remedy="Check that the port speaks TLS, the host's name, and the certificates given with --ca.",
            lasting=True,
        )
    reason = getattr(error, "strerror", None) or str(error or "no answer")
    return Refusal(
        kind="absent",
        message=f"No MQTT broker answers at {address}: {reason}.",
        remedy="Check the address, or start a broker there (`sudo apt install mosquitto`).",
    )


def silence(address: BrokerAddress) -> Refusal:
    """Say that somebody is there who does not speak MQTT."""
    return Refusal(
        kind="silent",
        message=f"Whatever listens at {address} does not answer as an MQTT broker.",
        remedy="Check the port: brokers use 1883, and 8883 for TLS (mqtts://).",
    )


def refusal(address: BrokerAddress, reason: Any) -> Refusal:
    """Say why a broker did not let us in, from paho's reason code."""
    if reason.value in {BAD_PASSWORD, NOT_AUTHORIZED}:
        who = f"the user {address.user!r}" if address.user else "a client without a user name"
        return Refusal(
            kind="credentials",
            message=f"The broker {address} refuses {who}: {str(reason).lower()}.",
            remedy=f"Check the user in the broker's address, and the password in {PASSWORD_VARIABLE}.",
            lasting=True,
        )
    return Refusal(
        kind="refused",
        message=f"The broker {address} refuses the connection: {str(reason).lower()}.",
        remedy="Look into the broker's log.",
        lasting=True,
    )


def loss(address: BrokerAddress, reason: Any) -> Refusal:
    """Say why a connection ended, from paho's reason code."""
    if reason.value == TAKEN_OVER:
        return Refusal(
            kind="lost",
            message=f"Another client took our name at the broker {address}.",
            remedy="Run one daemon for each device name; choose another with --device.",
            lasting=True,
        )
    if reason.value == PACKET_TOO_LARGE:
        return Refusal(
            kind="lost",
            message=f"The broker {address} hung up on a message that is too large for it.",
            remedy="Raise `max_packet_size` in the broker's configuration.",
        )
    return Refusal(
        kind="lost",
        message=f"The connection to the broker {address} is lost: {str(reason).lower()}.",
        remedy="Look into the broker's log if it does not come back.",
    )


def unsubscribable(address: BrokerAddress, reason: str) -> Refusal:
    """Say that the broker's access rules are against us."""
    return Refusal(
        kind="denied",
        message=f"The broker {address} does not let us subscribe: {reason.lower()}.",
        remedy="Allow this user to read edge-aigc/# in the broker's access rules.",
        lasting=True,
    )
