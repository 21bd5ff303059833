"""Where the broker is."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal
from urllib.parse import unquote, urlsplit

from edge_aigc.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PASSWORD_VARIABLE = "EDGE_AIGC_MQTT_PASSWORD"  # noqa: S105 - the variable's name, no password
BROKER_VARIABLE = "EDGE_AIGC_BROKER"
DEFAULT_BROKER = "mqtt://127.0.0.1:1883"

_PORTS: Mapping[str, int] = {"mqtt": 1883, "mqtts": 8883}  # as IANA registered them
_SHAPE = "Write it as mqtt://[user[:password]@]host[:port], or mqtts:// for TLS."


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerAddress:
    """A broker and how to be let in.

    >>> BrokerAddress.parse("mqtt://ada:secret@pi.local", environment={})
    BrokerAddress(scheme='mqtt', host='pi.local', port=1883, user='ada', ca_file=None)
    """

    scheme: Literal["mqtt", "mqtts"]
    host: str
    port: int
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: Path | None = None
    """Certificates that a broker with TLS may be signed by; None takes the system's."""

    def __str__(self) -> str:
        """Return host and port: what messages show, never the password."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @classmethod
    def parse(
        cls, url: str, *, ca_file: Path | None = None, environment: Mapping[str, str] = os.environ
    ) -> BrokerAddress:
        """Read ``mqtt://[user[:password]@]host[:port]`` or ``mqtts://…``.

        Args:
            url: The address. A password in it is seen by everybody who can list processes.
            ca_file: For ``mqtts`` only.
            environment: Holds the password in ``EDGE_AIGC_MQTT_PASSWORD`` where the address has none.

        Raises:
            UsageError: It is not such an address; the message does not repeat a password.
        """
        try:
            parts = urlsplit(url)
            scheme, host, port = parts.scheme, parts.hostname or "", parts.port
            # What the resolver would do; it raises UnicodeError for labels that are empty or too long.
            host.encode("idna")
        except ValueError as exc:
            raise UsageError(f"The broker's address cannot be read: {exc}.", remedy=_SHAPE) from exc
        if scheme not in _PORTS:
            raise UsageError(f"The broker's address begins with {scheme or 'nothing'!r}.", remedy=_SHAPE)
        if not host or port == 0 or parts.path.strip("/") or parts.query or parts.fragment:
            raise UsageError("The broker's address needs a host, and nothing after the port.", remedy=_SHAPE)
        if ca_file is not None and scheme != "mqtts":
            raise UsageError("A CA file was given, but the address is not mqtts://.", remedy=_SHAPE)
        return cls(
            scheme="mqtts" if scheme == "mqtts" else "mqtt",
            host=host,
            port=port or _PORTS[scheme],
            user=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else environment.get(PASSWORD_VARIABLE),
            ca_file=ca_file,
        )
