"""A request as one message."""

from __future__ import annotations

import binascii
from typing import TYPE_CHECKING

import msgspec

from edge_aigc.errors import InputError
from edge_aigc.mqtt.messages import REQUEST_LIMIT_BYTES, Request
from edge_aigc.mqtt.packets import Outgoing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_aigc.mqtt.events import Protocol
    from edge_aigc.mqtt.topics import DeviceTopics


def request_message(
    request: Request, topics: DeviceTopics, model: str, inputs: Mapping[str, bytes], *, protocol: Protocol
) -> Outgoing:
    """Return a request as JSON where everything fits into it, else as the picture itself.

    Args:
        request: Without the pictures.
        topics: Of the device that is asked.
        model: Its name.
        inputs: The bytes of a picture's file, by input name.
        protocol: On MQTT 5 the rest of the request travels beside a picture.

    Raises:
        InputError: It does not fit.
    """
    encoded = {name: binascii.b2a_base64(content, newline=False).decode() for name, content in inputs.items()}
    payload = msgspec.json.encode(msgspec.structs.replace(request, controls={**request.controls, **encoded}))
    if len(payload) <= REQUEST_LIMIT_BYTES:
        return Outgoing(topic=topics.request(model), payload=payload)
    if not inputs:
        raise InputError(
            f"The request has {len(payload):,} B; devices read at most {REQUEST_LIMIT_BYTES:,} B.",
            remedy="Give shorter controls.",
        )
    if len(inputs) > 1 or protocol != "5":
        raise InputError(
            f"The pictures make a request of {len(payload):,} B; {REQUEST_LIMIT_BYTES:,} B can be sent that way.",
            remedy="Give smaller pictures; one large picture can be sent over a broker that speaks MQTT 5.",
        )
    ((name, content),) = inputs.items()
    return Outgoing(topic=topics.request(model, name), payload=content, user=_as_properties(request))


def _as_properties(request: Request) -> tuple[tuple[str, str], ...]:
    """Return a request as MQTT 5 user properties, `controls` as JSON text."""
    fields = {name: value for name, value in msgspec.structs.asdict(request).items() if value is not None}
    fields["controls"] = msgspec.json.encode(request.controls).decode()
    return tuple((name, str(value)) for name, value in fields.items())
