"""Random numbers that a PyTorch module draws, given to it: what became inputs of its ONNX form is what it draws."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from edge_aigc.errors import ConversionError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from edge_aigc.converters.sources.onnx_draws import Draw
    from edge_aigc.converters.sources.source import Array

_PRIORS = {
    "aten::randn": "normal", "aten::randn_like": "normal", "aten::normal_": "normal", "aten::normal": "normal",
    "aten::normal_functional": "normal", "aten::rand": "uniform", "aten::rand_like": "uniform",
    "aten::uniform_": "uniform", "aten::uniform": "uniform",
}  # fmt: skip
_SPREAD = frozenset({"aten::normal_", "aten::normal", "aten::normal_functional", "aten::uniform_", "aten::uniform"})
"""Operators that state what their numbers are stretched to: mean and deviation, or low and high."""


@contextlib.contextmanager
def given(draws: Sequence[Draw], values: Sequence[Array]) -> Iterator[None]:
    """Have PyTorch take its normal and uniform random numbers from arrays, in the order in which it draws.

    Args:
        draws: What the arrays are.
        values: Standard normal numbers, or uniform ones in [0, 1).

    Raises:
        ConversionError: The module draws others.
    """
    from torch.utils._python_dispatch import TorchDispatchMode

    left = iter(zip(draws, values, strict=True))

    class Given(TorchDispatchMode):  # type: ignore[misc]  # torch tells mypy nothing
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            made = func(*args, **(kwargs or {}))
            kind = func.name().partition(".")[0]
            if kind not in _PRIORS:
                return made
            draw, value = next(left, (None, None))
            if draw is None or value is None or (draw.prior, draw.shape) != (_PRIORS[kind], tuple(made.shape)):
                raise _other(kind, tuple(made.shape))
            return made.copy_(_stretched(func, value, args, kwargs or {}))

    with Given():
        yield


def _stretched(func: Any, value: Array, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    import torch

    drawn = torch.from_numpy(value.copy())
    kind = func.name().partition(".")[0]
    if kind not in _SPREAD:
        return drawn
    names = [argument.name for argument in func._schema.arguments]  # noqa: SLF001 - no public way to the names
    stated = {entry.name: entry.default_value for entry in func._schema.arguments}  # noqa: SLF001
    stated |= dict(zip(names, args, strict=False)) | kwargs
    if _PRIORS[kind] == "normal":
        return drawn * stated["std"] + stated["mean"]
    low, high = stated.get("from", 0.0), stated.get("to", 1.0)
    return drawn * (high - low) + low


def _other(kind: str, shape: tuple[int, ...]) -> ConversionError:
    return ConversionError(
        f"The module draws random numbers ({kind} {list(shape)}) that its exported form does not draw in that order.",
        remedy="Give the module an input for its noise.",
    )
