"""What a target is to the pipeline."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_aigc.manifest import EdgeTpu


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """What a target adds to a bundle."""

    files: Mapping[str, bytes] = field(default_factory=dict)
    edgetpu: EdgeTpu | None = None


class Target(Protocol):
    """Knows what a kind of hardware runs."""

    int8_borders: bool
    """Whether int8 models take and give int8."""

    def check(self, flatbuffer: bytes) -> None:
        """Refuse a model that would fall off the fast path.

        Raises:
            CompatibilityError: Names the operator and the reason.
        """

    def compile(self, flatbuffer: bytes) -> Compiled:
        """Compile for the target, where its compiler is here.

        Args:
            flatbuffer: As it will stand in the bundle.
        """
