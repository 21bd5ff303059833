"""The subscriber's side: ask a device, wait, look who is there.

>>> with Client("mqtt://127.0.0.1") as client:                      # doctest: +SKIP
...     for received in client.request("digits", seed=7, controls={"digit": "3"}):
...         Path("3.png").write_bytes(received.payload)
"""

from __future__ import annotations

import binascii
import itertools
import secrets
import select
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import msgspec

from edge_aigc.answers import Answers, Received, collect_plain, collect_v5
from edge_aigc.controls import check_seed
from edge_aigc.errors import BrokerError, InputError
from edge_aigc.mqtt.address import BrokerAddress
from edge_aigc.mqtt.connection import Connection, Subscription
from edge_aigc.mqtt.events import Connected, Delivered, Lost, Subscribed
from edge_aigc.mqtt.messages import REQUEST_LIMIT_BYTES, Info, Request, parse_message
from edge_aigc.mqtt.packets import Incoming, Outgoing
from edge_aigc.mqtt.topics import REPLY, ROOT, DeviceTopics

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from edge_aigc.mqtt.events import Event
