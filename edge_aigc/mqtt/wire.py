"""One client of paho's for one connection, as we want it."""

from __future__ import annotations

import contextlib
import socket
import ssl
from typing import TYPE_CHECKING, Any

from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.subscribeoptions import SubscribeOptions

from edge_aigc.errors import FileError
from edge_aigc.mqtt.lean import LeanClient
from edge_aigc.mqtt.packets import new_properties

if TYPE_CHECKING:
    from collections.abc import Callable

    from paho.mqtt.client import Client

    from edge_aigc.mqtt.address import BrokerAddress
    from edge_aigc.mqtt.events import Protocol, Subscription
    from edge_aigc.mqtt.packets import Outgoing

IN_FLIGHT = 16
"""Published and not acknowledged at once, where the broker does not ask for fewer."""
_CONNECT_S = 4.0
_SEND_BUFFER_BYTES = 256 << 10
"""paho copies the rest of a message after each partial send: fewer of them, less copying."""


def new_client(
    address: BrokerAddress,
    *,
    client_id: str,
    protocol: Protocol,
    will: Outgoing | None,
    tls: ssl.SSLContext | None,
    put: Callable[[str, Any], None],
) -> LeanClient:
    """Return a client that is not connected.

    Args:
        address: Of the broker; only its user and password are used here.
        client_id: Its name.
        protocol: What it speaks.
        will: What the broker publishes when it vanishes.
        tls: For TLS.
        put: Told of `answered`, `lost`, `subscribed`, `delivered` and `message`; must not raise.
    """
    version = MQTTProtocolVersion.MQTTv5 if protocol == "5" else MQTTProtocolVersion.MQTTv311
    client = LeanClient(CallbackAPIVersion.VERSION2, client_id=client_id, protocol=version, reconnect_on_failure=False)
    client.connect_timeout = _CONNECT_S
    client.max_inflight_messages_set(IN_FLIGHT)
    if address.user is not None:
        client.username_pw_set(address.user, address.password)
    if tls is not None:
        client.tls_set_context(tls)
    if will is not None:
        client.will_set(will.topic, will.payload, will.qos, will.retain)
    client.on_socket_open = _tune
    client.on_connect = lambda _c, _d, _flags, reason, properties: put("answered", (reason, properties))
    client.on_disconnect = lambda _c, _d, _flags, reason, _properties: put("lost", reason)
    client.on_subscribe = lambda _c, _d, _mid, codes, _properties: put("subscribed", codes)
    client.on_publish = lambda _c, _d, mid, reason, _properties: put("delivered", (mid, reason))
    client.on_message = lambda _c, _d, message: put("message", message)
    return client


def connect(client: Client, address: BrokerAddress, *, keep_alive_s: int, session_expiry_s: int | None) -> None:
    """Open the connection and send CONNECT; blocks for some seconds at worst.

    Args:
        client: From `new_client`.
        address: The broker's.
        keep_alive_s: Seconds of silence after which the broker is pinged.
        session_expiry_s: How long the broker keeps what is for us while we are away; None before MQTT 5.

    Raises:
        OSError: Nobody answers there, or TLS failed.
    """
    if session_expiry_s is None:
        client.connect(address.host, address.port, keep_alive_s)
        return
    properties = new_properties(PacketTypes.CONNECT)
    if session_expiry_s:
        properties.SessionExpiryInterval = session_expiry_s
    clean = session_expiry_s == 0
    client.connect(address.host, address.port, keep_alive_s, clean_start=clean, properties=properties)


def filters(subscriptions: tuple[Subscription, ...], protocol: Protocol) -> Any:
    """Return subscriptions as paho takes them."""
    if protocol != "5":
        return [(entry.topics, 1) for entry in subscriptions]
    # Retain As Published: a retained request must be seen to be one, even by a live subscriber.
    return [
        (entry.topics, SubscribeOptions(qos=1, retainAsPublished=True, retainHandling=0 if entry.retained else 2))
        for entry in subscriptions
    ]


def leave(client: Client, protocol: Protocol) -> None:
    """Hang up so that the broker forgets the session and publishes no will."""
    properties = None
    if protocol == "5":
        properties = new_properties(PacketTypes.DISCONNECT)
        properties.SessionExpiryInterval = 0
    with contextlib.suppress(OSError, ValueError):
        client.disconnect(properties=properties)


def tls_context(address: BrokerAddress) -> ssl.SSLContext | None:
    """Return what TLS needs, or None for an address without it.

    Raises:
        FileError: The certificates cannot be read.
    """
    if address.scheme != "mqtts":
        return None
    try:
        context = ssl.create_default_context(cafile=None if address.ca_file is None else str(address.ca_file))
    except (OSError, ssl.SSLError) as exc:
        raise FileError(
            f"Cannot read the certificates in {address.ca_file}: {exc.strerror or exc}.",
            remedy="Give a PEM file that you may read.",
        ) from exc
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _tune(_client: Client, _data: Any, sock: Any) -> None:
    with contextlib.suppress(OSError):
        # Nagle's algorithm costs 44 to 88 ms a round trip at QoS 1.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
