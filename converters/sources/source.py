"""What every source framework gives: a float flatbuffer, what it reveals, and itself to compare with."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from numpy.typing import NDArray

from edge_aigc.errors import ConversionError, SourceError

Array: TypeAlias = NDArray[Any]
Reference: TypeAlias = Callable[[Sequence[Sequence[Array]]], list[list[Array]]]
"""Inputs of several samples to their outputs, each sample's tensors in the flatbuffer's order."""

LIMIT_BYTES = 2 << 30
"""What a flatbuffer can hold: its offsets have 31 bits."""
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_.-]")
_ROW_RANK = 2
"""Of tokens: the batch and their number."""
_PICTURE_AXES = 2
"""Height and width."""


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
    prior: str | None = None
    """Of an input that the model draws at random itself: ``normal`` or ``uniform``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A trained generator, brought to the one form that everything after works on."""

    flatbuffer: bytes
    """Float, static batch of 1, inputs and outputs named, channels last."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the user says of a model that does not say it itself."""

    input_size: tuple[int, int] | None = None
    """Height and width for inputs that leave them open."""
    input_shapes: tuple[tuple[int, ...], ...] = ()
    """Whole shapes, in the model's order and layout, for models that tell none."""
    signature: str | None = None
    """Which of a SavedModel's."""


def clean_name(name: str) -> str:
    """Return a tensor's name as topics, files and flags can carry it."""
    return _NOT_IN_NAMES.sub("_", name)[:64].lstrip(".-") or "tensor"


def first_line(exc: BaseException) -> str:
    """Return what an exception says, in one line."""
    text = str(exc).strip()
    return text.splitlines()[0].rstrip(".") if text else type(exc).__name__


def closed(name: str, shape: Sequence[int | None], wish: Wish, *, place: int) -> tuple[tuple[int, ...], bool]:
    """Return a shape with its open axes filled from what the user states, and whether there were any but the batch.

    Args:
        name: Of the input.
        shape: None or less than 0 where the model takes any size; the first axis is the batch.
        wish: What the user states.
        place: The input's, among the model's.

    Raises:
        SourceError: A size is open and not stated, or the batch is fixed and not 1.
    """
    if place < len(wish.input_shapes):
        return _stated(name, shape, wish.input_shapes[place]), False
    sizes = [None if size is None or size < 0 else int(size) for size in shape]
    if sizes and sizes[0] is None:
        sizes[0] = 1
    if sizes and sizes[0] != 1 and len(sizes) > 1:
        raise SourceError(
            f"The input {name!r} has a fixed batch of {sizes[0]}; a device makes one sample at a time.",
            remedy="Save the model with a batch of 1 or an open one.",
        )
    axes = [axis for axis, size in enumerate(sizes) if size is None]
    if axes:
        if len(axes) != _PICTURE_AXES or wish.input_size is None:
            shown = ["any" if size is None else size for size in sizes]
            raise SourceError(
                f"The input {name!r} has the open shape {shown}; a device needs one size.",
                remedy=_size_remedy(sizes),
            )
        for axis, size in zip(axes, wish.input_size, strict=True):
            sizes[axis] = size
    return tuple(int(size or 0) for size in sizes), bool(axes)


def _size_remedy(sizes: Sequence[int | None]) -> str:
    if sizes.count(None) == _PICTURE_AXES:
        return "State height and width with `--input-size HEIGHTxWIDTH`."
    if len(sizes) == _ROW_RANK:
        return (
            "If these are tokens, and the model writes more of them, say `--family autoregressive`; else state the "
            "shape whole with `--input-shape`."
        )
    return "State it whole with `--input-shape`, or save the model with that size fixed."


def _stated(name: str, shape: Sequence[int | None], stated: tuple[int, ...]) -> tuple[int, ...]:
    fits = len(stated) == len(shape) and all(
        size is None or size < 0 or size == wanted for size, wanted in zip(shape, stated, strict=True)
    )
    if shape and not fits:
        shown = ["any" if size is None or size < 0 else size for size in shape]
        raise SourceError(
            f"`--input-shape` gives {name!r} the shape {list(stated)}; the model takes {shown}.",
            remedy="Give the shapes in the model's order and layout, the batch of 1 included.",
        )
    return stated


def require_small(weight_bytes: int, what: str) -> None:
    """Refuse weights that no flatbuffer can hold.

    Raises:
        ConversionError: They take 2 GB or more.
    """
    if weight_bytes >= LIMIT_BYTES:
        raise ConversionError(
            f"{what} has {weight_bytes:,} B of weights; a flatbuffer holds less than {LIMIT_BYTES:,} B.",
            remedy="Train or distil a smaller generator: these devices could not hold this one either.",
        )


def not_finite(names: Sequence[str], what: str) -> ConversionError:
    """Return the error for weights that are NaN or infinite."""
    listed = ", ".join(repr(name) for name in names[:4])
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""  # noqa: PLR2004 - as many as are listed
    return ConversionError(
        f"{what} has weights that are NaN or infinite: {listed}{more}.",
        remedy="Its training diverged: save it again from a checkpoint before that.",
    )
