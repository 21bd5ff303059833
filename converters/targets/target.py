"""What a target is to the pipeline."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_aigc.converters.rewrites.rewrite import Alternative
    from edge_aigc.profile import DeviceProfile, RecipeName
    from edge_aigc.tpu_record import EdgeTpu


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """What a target adds to a bundle."""

    files: Mapping[str, bytes] = field(default_factory=dict)
    edgetpu: EdgeTpu | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CompileOrder:
    """How a model is compiled."""

    min_tpu_runtime: int | None = None
    """The oldest Edge TPU runtime that shall run the result; None leaves it to the compiler."""
    compiled: bytes | None = None
    """What the compiler made of this very model elsewhere; None compiles here."""


class Target(Protocol):
    """Knows what a kind of hardware runs."""

    int8_borders: bool
    """Whether int8 models take and give int8."""

    def alternatives(self, recipe: RecipeName) -> tuple[Alternative, ...]:
        """Return the forms that are tried at each place in a recipe."""
        ...

    def prepare(self, flatbuffer: bytes) -> bytes:
        """Return the float flatbuffer in operators that the target computes once quantized, computing the same."""
        ...

    def check(self, flatbuffer: bytes) -> None:
        """Refuse a model that would fall off the fast path.

        Raises:
            CompatibilityError: Names the operator and the reason.
        """

    def fit(self, flatbuffer: bytes) -> bytes:
        """Return the flatbuffer in operators and versions that the target reads, computing the same."""
        ...

    def compile(self, flatbuffer: bytes, profile: DeviceProfile, order: CompileOrder) -> Compiled:
        """Compile for the target, where its compiler is here.

        Args:
            flatbuffer: As it will stand in the bundle.
            profile: The device.
            order: How.
        """
        ...
