"""How far a quantized form is from its float self on the inputs that calibrate."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge_aigc.interpreter import Interpreter

if TYPE_CHECKING:
    from collections.abc import Sequence

Array: TypeAlias = NDArray[Any]
Inputs: TypeAlias = "Sequence[NDArray[Any]]"
Range: TypeAlias = "tuple[float, float] | None"


class Pairs:
    """The float model's own outputs, made once, and what others are compared with."""

    def __init__(self, flatbuffer: bytes, samples: Sequence[Inputs], ranges: Sequence[Range] = ()) -> None:
        """Nothing runs before the first comparison.

        Args:
            flatbuffer: Float.
            samples: Inputs, in the flatbuffer's order.
            ranges: Of each output: what it is clipped to, whose width is the peak; none takes the span.
        """
        self._flatbuffer, self._samples, self._ranges = flatbuffer, [list(inputs) for inputs in samples], ranges

    @functools.cached_property
    def _references(self) -> list[list[Array]]:
        interpreter = Interpreter(self._flatbuffer)
        return [interpreter.run(inputs) for inputs in self._samples]

    @functools.cached_property
    def _limits(self) -> list[tuple[float, float]]:
        """Of each output."""
        stated = [*self._ranges, *[None] * len(self._references[0])]
        spans = [
            (
                min(float(sample[i].min()) for sample in self._references),
                max(float(sample[i].max()) for sample in self._references),
            )
            for i in range(len(self._references[0]))
        ]
        return [given or span for given, span in zip(stated, spans, strict=False)]

    def error(self, flatbuffer: bytes, draws: int | None = None) -> float:
        """Return the mean square error of the output that fares worst, in shares of its range squared.

        Args:
            flatbuffer: Of the same inputs and outputs.
            draws: How many of the samples, evenly spread; None: all.
        """
        stride = max(1, len(self._samples) // (draws or len(self._samples)))
        chosen = range(0, len(self._samples), stride)[:draws]
        interpreter = Interpreter(flatbuffer)
        sums = np.zeros(len(self._limits))
        for number in chosen:
            made = interpreter.run(self._samples[number])
            for i, (one, other) in enumerate(zip(self._references[number], made, strict=True)):
                low, high = self._limits[i]
                apart = np.clip(one, low, high).astype(np.float64) - np.clip(other, low, high)
                sums[i] += float(np.mean((apart / ((high - low) or 1.0)) ** 2))
        return float(np.nan_to_num(sums, nan=np.inf).max()) / len(chosen)


def decibels(error: float) -> float:
    """Return a mean square error, in shares of the range squared, as PSNR."""
    return float("inf") if error <= 0 else -10 * float(np.log10(error))
