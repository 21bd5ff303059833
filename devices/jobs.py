"""Requests that were taken, and the ids of those that have been."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_aigc.media.formats import Format


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyTo:
    """Where an answer goes."""

    topic: str | None = None
    """Allowed already; None means `out/` and `response`."""
    correlation: bytes | None = None


@dataclass(slots=True, kw_only=True, eq=False)
class Job:
    """One request in the works; checked, so nothing in it needs to be checked again."""

    id: str
    model: str
    seed: int
    count: int
    controls: Mapping[str, str | float]
    pictures: Mapping[str, bytes]
    format: Format
    reply: ReplyTo
    received_at_s: float
    expires_at_s: float | None = None
    """Both on the monotonic clock."""
    unasked: bool = False
    """The schedule's: nobody waits for it."""
    next_index: int = field(default=0, init=False)
    """Of the sample to send to the child next."""
    made: int = field(default=0, init=False)
    over: bool = field(default=False, init=False)
    """Answered to the end, by outputs or by an error."""

    @property
    def picture_bytes(self) -> int:
        """What it holds in memory."""
        return sum(len(content) for content in self.pictures.values())

    def expired(self, now_s: float) -> bool:
        """Whether its caller has stopped waiting."""
        return self.expires_at_s is not None and now_s >= self.expires_at_s


class SeenIds:
    """Ids of the last requests: each is run once.

    >>> seen = SeenIds(limit=2, keep_s=600.0)
    >>> seen.add("a", 0.0), seen.add("a", 1.0), seen.add("a", 601.0)
    (True, False, True)
    """

    def __init__(self, *, limit: int, keep_s: float) -> None:
        """Remember at most ``limit`` ids, each for ``keep_s`` seconds."""
        self._limit = limit
        self._keep_s = keep_s
        self._until_s: OrderedDict[str, float] = OrderedDict()

    def add(self, request_id: str, now_s: float) -> bool:
        """Remember an id; return whether it was new."""
        while self._until_s and next(iter(self._until_s.values())) <= now_s:
            self._until_s.popitem(last=False)
        if request_id in self._until_s:
            return False
        self._until_s[request_id] = now_s + self._keep_s
        if len(self._until_s) > self._limit:
            self._until_s.popitem(last=False)
        return True

    def forget(self, request_id: str) -> None:
        """Let an id be used again: its request failed, and may be sent again."""
        self._until_s.pop(request_id, None)
