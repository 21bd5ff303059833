"""What a generator's tensors hold: every one of them read while it runs on the inputs that calibrate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge_aigc.converters.graph import parse, serialize
from edge_aigc.errors import ConversionError
from edge_aigc.interpreter import Interpreter

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

Array: TypeAlias = NDArray[Any]
Inputs: TypeAlias = "Sequence[NDArray[Any]]"

_AT_ONCE_NUMBERS = 1 << 26
"""Of tensors that one pass keeps: 256 MiB of float32."""
_KEPT = 1 << 8
"""Of each tensor from each sample, evenly spread: enough to see how its values are distributed."""
_GRID = np.linspace(1.0, 0.3, 29)
"""Shares of the range that are tried when it is cut."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """The values of one tensor over all samples."""

    low: float
    high: float
    values: Array
    """Some of them, finite."""
    crest: float = -np.inf
    """The least of the largest values along the last axis."""


def exposed(flatbuffer: bytes, tensors: Sequence[int]) -> bytes:
    """Return the model with tensors of the main subgraph as its only outputs, in that order."""
    model = parse(flatbuffer)
    model.subgraphs[0].outputs = list(tensors)
    model.signatureDefs = None
    return serialize(model)


def read(flatbuffer: bytes, tensors: Sequence[int], samples: Sequence[Inputs]) -> Iterator[tuple[int, int, Array]]:
    """Yield tensor, sample and value: of every tensor for all samples, in parts that fit into memory.

    Args:
        flatbuffer: A model.
        tensors: Computed ones of its main subgraph.
        samples: Inputs, in the flatbuffer's order.
    """
    graph = parse(flatbuffer).subgraphs[0]
    sizes = {index: int(np.prod(graph.tensors[index].shape)) for index in tensors}
    for part in _parts(sizes):
        interpreter = Interpreter(exposed(flatbuffer, part))
        for number, inputs in enumerate(samples):
            for index, value in zip(part, interpreter.run(list(inputs)), strict=True):
                yield index, number, value


def observe(flatbuffer: bytes, tensors: Sequence[int], samples: Sequence[Inputs]) -> dict[int, Observed]:
    """Return what the tensors of a float model hold.

    Raises:
        ConversionError: There are no samples, or a tensor holds what is no number.
    """
    if not samples:
        raise ConversionError("There are no inputs to calibrate on.", remedy="Give at least one sample.")
    lows: dict[int, float] = {}
    highs: dict[int, float] = {}
    crests: dict[int, float] = {}
    kept: dict[int, list[Array]] = {}
    for index, number, value in read(flatbuffer, tensors, samples):
        low, high = (float(value.min()), float(value.max())) if value.size else (0.0, 0.0)
        if not low < np.inf > high:  # NaN; a mask may be minus infinity
            raise not_finite(flatbuffer, index)
        crest = float(value.max(axis=-1).min()) if value.ndim and value.size else low
        crests[index] = min(crest, crests.get(index, crest))
        lows[index], highs[index] = min(low, lows.get(index, low)), max(high, highs.get(index, high))
        kept.setdefault(index, []).append(_spread(value, number))
    return {
        index: Observed(low=lows[index], high=highs[index], values=np.concatenate(kept[index]), crest=crests[index])
        for index in tensors
    }


def cut(seen: Observed, *, steps: int) -> tuple[float, float]:
    """Return the range in which rounding leaves the least mean square error.

    Args:
        seen: A tensor.
        steps: How many numbers the type has, less one.
    """
    low, high = min(seen.low, 0.0), max(seen.high, 0.0)
    values = seen.values.astype(np.float64)
    for _ in range(2):
        high = min((_rounding_error(values, low, share * high, steps), -share, share * high) for share in _GRID)[2]
        low = min((_rounding_error(values, share * low, high, steps), -share, share * low) for share in _GRID)[2]
        if not low or not high:
            break
    return low, high


def _rounding_error(values: Array, low: float, high: float, steps: int) -> float:
    if low == high:
        return float(np.mean(values**2))
    scale = (high - low) / steps
    zero = np.rint(-low / scale)
    nearest = np.clip(np.rint(values / scale) + zero, 0, steps)
    return float(np.mean(((nearest - zero) * scale - values) ** 2))


def _spread(value: Array, number: int) -> Array:
    flat = value.ravel()
    stride = max(1, flat.size // _KEPT)
    some = flat[number % stride :: stride][:_KEPT].astype(np.float32)
    return some[np.isfinite(some)]


def _parts(sizes: Mapping[int, int]) -> Iterator[list[int]]:
    part: list[int] = []
    held = 0
    for index, size in sizes.items():
        if part and held + size > _AT_ONCE_NUMBERS:
            yield part
            part, held = [], 0
        part.append(index)
        held += size
    if part:
        yield part


def not_finite(flatbuffer: bytes, tensor: int) -> ConversionError:
    """Return the refusal of a tensor without a range."""
    name = bytes(parse(flatbuffer).subgraphs[0].tensors[tensor].name or b"").decode(errors="replace")
    return ConversionError(
        f"The tensor {name!r} is not finite on the inputs that calibrate, so it has no range.",
        remedy="Check the model's weights for NaN, or choose `--recipe dynamic` or `float16`.",
    )
