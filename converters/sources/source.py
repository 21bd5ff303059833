"""What every source framework gives: a float flatbuffer, what it reveals, and itself to compare with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
Reference: TypeAlias = Callable[[Sequence[Sequence[Array]]], list[list[Array]]]
"""Inputs of several samples to their outputs, each sample's tensors in the flatbuffer's order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorFact:
    """What a source tells of one input or output."""

    name: str
    shape: tuple[int, ...]
    """Of one sample, the batch of 1 included."""
    dtype: str
    activation: str | None = None
    """The function that an output ends in: ``tanh``, ``sigmoid``, ``softmax``, …"""
    open_size: bool = False
    """Whether the model takes any height and width; the shape holds what the user chose."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A trained generator, brought to the one form that everything after works on."""

    flatbuffer: bytes
    """Float, static batch of 1, inputs and outputs named."""
    inputs: tuple[TensorFact, ...]
    outputs: tuple[TensorFact, ...]
    reference: Reference
    """The source framework itself."""
    framework: str
    """Name and release, for example ``keras 3.15.1``."""
    file_name: str
    sha256: str
    tools: dict[str, str]
    """Package: version, of what made the flatbuffer."""
