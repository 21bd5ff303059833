"""What the verbs that need a broker have in common."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_aigc.mqtt.address import BROKER_VARIABLE, DEFAULT_BROKER, PASSWORD_VARIABLE

if TYPE_CHECKING:
    from edge_aigc.mqtt.address import BrokerAddress

broker_option = click.option(
    "--broker",
    metavar="URL",
    envvar=BROKER_VARIABLE,
    default=DEFAULT_BROKER,
    show_default=True,
    help="mqtt://[user[:password]@]host[:port], or mqtts:// for TLS; also taken from the variable "
    f"{BROKER_VARIABLE}. {PASSWORD_VARIABLE} keeps the password out of the list of processes.",
)
ca_option = click.option(
    "--ca",
    "ca_file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Certificates that an mqtts:// broker may be signed by; default: the system's.",
)


def address_of(options: dict[str, object]) -> BrokerAddress:
    """Return the address that the two options above give.

    Raises:
        UsageError: It cannot be read.
    """
    from edge_aigc.mqtt.address import BrokerAddress

    ca_file = options["ca_file"]
    return BrokerAddress.parse(str(options["broker"]), ca_file=ca_file if isinstance(ca_file, Path) else None)
