"""The table of operators, `operators.toml`, read.

>>> supported()["CONV_2D"].version
5
>>> "LEAKY_RELU" in refused()
True
"""

from __future__ import annotations

import functools
import importlib.resources
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

COMPILER_RELEASE = "16"
"""The last of `edgetpu_compiler`, of July 2021; what the versions in the table are of."""


class Supported(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An operator that maps, within limits."""

    version: int
    """The newest that the compiler reads."""
    limits: tuple[str, ...] = ()
    """Functions of `limits`."""
    words: str = ""
    source: str


class Refused(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An operator that never maps."""

    version: int
    """The newest that the compiler reads; 0 where it knows none."""
    mend: str
    source: str


class _Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    sources: dict[str, str]
    supported: dict[str, Supported]
    refused: dict[str, Refused]


def supported() -> Mapping[str, Supported]:
    """Return what maps, by the schema's names."""
    return _table().supported


def refused() -> Mapping[str, Refused]:
    """Return what is known never to map, by the schema's names."""
    return _table().refused


def sources() -> Mapping[str, str]:
    """Return what the rows name as their source, in words."""
    return _table().sources


@functools.cache
def _table() -> _Table:
    content = (importlib.resources.files("edge_aigc.converters.targets.edgetpu") / "operators.toml").read_bytes()
    return msgspec.toml.decode(content, type=_Table)
