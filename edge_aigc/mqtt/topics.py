"""The topics of contract 4, and which of them a stranger may have us write to."""

from __future__ import annotations

import re

from edge_aigc.errors import UsageError

ROOT = "edge-aigc"
REPLY = f"{ROOT}/reply"
"""Under it every client of ours has topics of its own for answers."""

_OWNED = frozenset({"request", "set", "status", "info", "health", "out", "state", "response"})
"""Third levels that a device writes or acts upon; no answer may be sent there."""
_TOPIC_LIMIT_BYTES = 512
"""MQTT allows 65,535; nobody needs them to be answered."""
_DEVICE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}")
_MODEL = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")  # as `spec.Name`
_RESERVED = frozenset({"reply"})


class DeviceTopics:
    """The topics of one device.

    >>> DeviceTopics("attic").out("digits", "image")
    'edge-aigc/attic/out/digits/image'
    """

    def __init__(self, device: str) -> None:
        """Take a device's name, or ``+`` for all devices."""
        self.base = f"{ROOT}/{device}"
        self.status = f"{self.base}/status"
        self.info = f"{self.base}/info"
        self.health = f"{self.base}/health"
        self.response = f"{self.base}/response"
        self.requests = f"{self.base}/request/#"

    def request(self, model: str, picture: str | None = None) -> str:
        """Return where a model is asked, or where a picture for one of its inputs goes."""
        return f"{self.base}/request/{model}" + (f"/{picture}" if picture else "")

    def out(self, model: str, media: str) -> str:
        """Return where outputs go that nobody gave a response topic for."""
        return f"{self.base}/out/{model}/{media}"

    def request_levels(self, topic: str) -> list[str]:
        """Return the levels after ``request/`` of a topic that matched `requests`."""
        return topic.removeprefix(f"{self.base}/request").removeprefix("/").split("/")


def check_device(name: str) -> str:
    """Return a device name that is one level of a topic.

    Raises:
        UsageError: It is not.
    """
    if _DEVICE.fullmatch(name) is None or name in _RESERVED:
        raise UsageError(
            f"{name[:80]!r} cannot be a device's name.",
            remedy="Use up to 63 letters, digits, '_', '-' and '.', not beginning with '-' or '.'; 'reply' is taken.",
        )
    return name


def check_model(name: str) -> str:
    """Return a model's name that is one level of a topic.

    Raises:
        UsageError: It is not.
    """
    if _MODEL.fullmatch(name) is None:
        raise UsageError(
            f"{name[:80]!r} cannot be a model's name.",
            remedy="Give the name that `edge-aigc inspect BUNDLE` shows: letters, digits, '_', '-' and '.'.",
        )
    return name


def device_from(hostname: str) -> str:
    """Return a host's name made safe for a topic.

    >>> device_from("living room+#.local")
    'living-room--.local'
    """
    safe = re.sub(r"[^A-Za-z0-9_.-]", "-", hostname).lstrip("-.")[:63]
    return safe if safe and safe not in _RESERVED else "device"


def response_topic_problem(topic: str, prefixes: tuple[str, ...]) -> str | None:
    """Return why a device must not answer on a topic, or None if it may.

    Whoever may send a request could otherwise have the device write what only the device may.

    >>> response_topic_problem("edge-aigc/reply/me", ("edge-aigc/",)) is None
    True
    >>> response_topic_problem("edge-aigc/attic/set/schedule", ("edge-aigc/",))
    'is one that devices own or act upon'
    """
    if len(topic.encode(errors="replace")) > _TOPIC_LIMIT_BYTES:
        return f"is longer than {_TOPIC_LIMIT_BYTES} bytes"
    if any(mark in topic for mark in "+#\0") or topic.startswith("$"):
        return "has a wildcard or another character that topics must not have"
    if not topic.startswith(prefixes):
        return f"does not begin with {' or '.join(repr(prefix) for prefix in prefixes)}"
    levels = topic.split("/")
    if levels[0] == ROOT and len(levels) > 2 and levels[2] in _OWNED:  # noqa: PLR2004 - root, device, what
        return "is one that devices own or act upon"
    return None
