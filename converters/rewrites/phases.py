"""Upsampling and a window in one: an ordinary convolution that gives every phase of the output at once.

Along one axis, output position ``phases q + r - skip`` is phase ``r`` of place ``q``. What it reads lies at input
positions ``stride q + offset``; the window spans the offsets of all phases. ``skip`` shifts the phases against the
places: some shifts need a smaller window, at the price of a crop. With a stride above 1 a place gives several
neighbours at once, which fills the lanes of a kernel that has few output channels.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from edge_aigc.converters.ir.windows import Pair, same_padding

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edge_aigc.converters.ir import Array

__all__ = ["Axis", "Pair", "Sizes", "narrowest", "neighbours", "repeated", "transposed"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Axis:
    """One axis of an operator, as a convolution over its input that gives several outputs at each place."""

    taps: Array
    """[phase, window, kernel]: how much of each original tap goes into each tap of each phase."""
    input_size: int
    size: int
    """Of the output."""
    skip: int
    """How many outputs are made before the first that is wanted."""
    before: int
    """Zeros before the input; negative: how many inputs nobody reads."""
    stride: int = 1
    """Of the convolution."""

    @property
    def phases(self) -> int:
        """Return how many neighbouring outputs each place gives."""
        return int(self.taps.shape[0])

    @property
    def window(self) -> int:
        """Return the size of the convolution's kernel."""
        return int(self.taps.shape[1])

    @property
    def places(self) -> int:
        """Return the size of the convolution's output."""
        return -(-(self.size + self.skip) // self.phases)

    @property
    def after(self) -> int:
        """Return the zeros after the input; negative: how many inputs nobody reads."""
        return (self.places - 1) * self.stride + self.window - self.before - self.input_size

    @property
    def same(self) -> bool:
        """Return whether the padding that a convolution calls SAME is the one it needs."""
        size = self.input_size
        pads = same_padding(size, self.window, self.stride)
        return self.places == -(-size // self.stride) and (self.before, self.after) == pads

    @property
    def crops(self) -> bool:
        """Return whether more is made than wanted."""
        return self.places * self.phases != self.size

    def of(self, first: int, last: int) -> Axis:
        """Return the axis with some of its phases only, and no wider a window than these need."""
        taps = self.taps[first:last]
        used = np.flatnonzero(taps.any(axis=(0, 2)))
        # Phases that read nothing still need a tap, of zeros.
        low, high = (int(used[0]), int(used[-1])) if used.size else (0, 0)
        return replace(
            self,
            taps=taps[:, low : high + 1],
            size=self.places * (last - first),
            skip=0,
            before=self.before - low,
        )

    def groups(self) -> list[tuple[int, int]]:
        """Return the runs of phases that read the same window: first, and one past the last."""
        spans = [_span(self.taps[phase]) for phase in range(self.phases)]
        edges = [0, *(r for r in range(1, self.phases) if spans[r] != spans[r - 1]), self.phases]
        return list(itertools.pairwise(edges))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """One axis of the operator that is replaced."""

    input_size: int
    size: int
    """Of the output."""
    kernel: int
    pad: int
    """Before the input of a convolution, of the output of a transposed one."""


def transposed(sizes: Sizes, *, stride: int, skip: int = 0, together: int = 1) -> Axis:
    """Return one axis of a transposed convolution: input i and tap k meet in output ``stride i + k - pad``.

    Args:
        sizes: Of the axis.
        stride: Of the transposed convolution.
        skip: See `Axis.skip`.
        together: How many inputs further the next place is.
    """
    entries = [
        (phase, (phase - skip + sizes.pad - tap) // stride, tap)
        for phase in range(stride * together)
        for tap in range(sizes.kernel)
        if (phase - skip + sizes.pad - tap) % stride == 0
    ]
    return _axis(entries, sizes, stride * together, skip, together)


def repeated(sizes: Sizes, *, factor: int, skip: int = 0, dilation: int = 1, together: int = 1) -> Axis:
    """Return one axis of a convolution over an input whose every element is repeated ``factor`` times.

    Output o and tap k meet in the repeated element ``o + dilation k - pad``; zeros lie beyond both ends, and since a
    whole number of elements is repeated, they lie beyond the same ends of the input itself.

    Args:
        sizes: Of the axis; the input's before it is repeated.
        factor: How often.
        skip: See `Axis.skip`.
        dilation: Of the kernel.
        together: How many inputs further the next place is.
    """
    entries = [
        (phase, (phase - skip - sizes.pad + dilation * tap) // factor, tap)
        for phase in range(factor * together)
        for tap in range(sizes.kernel)
    ]
    return _axis(entries, sizes, factor * together, skip, together)


def neighbours(sizes: Sizes, *, stride: int, dilation: int, together: int) -> Axis:
    """Return one axis of a convolution: output o and tap k meet in input ``stride o + dilation k - pad``.

    Args:
        sizes: Of the axis.
        stride: Of the convolution.
        dilation: Of its kernel.
        together: How many outputs each place gives.
    """
    entries = [
        (phase, stride * phase + dilation * tap - sizes.pad, tap)
        for phase in range(together)
        for tap in range(sizes.kernel)
    ]
    return _axis(entries, sizes, together, 0, stride * together)


def narrowest(choices: Iterable[Axis]) -> Axis:
    """Return the axis with the smallest window; of equals one that needs no crop, then the least skip."""
    return min(choices, key=lambda axis: (axis.window, axis.crops, axis.skip))


def _axis(entries: list[tuple[int, int, int]], sizes: Sizes, phases: int, skip: int, stride: int) -> Axis:
    reach = stride * (-(-(sizes.size + skip) // phases) - 1)
    # What lies outside the input at every place is zero whatever the tap.
    entries = [entry for entry in entries if -reach <= entry[1] < sizes.input_size]
    offsets = [offset for _, offset, _ in entries] or [0]
    low, high = min(offsets), max(offsets)
    taps = np.zeros((phases, high - low + 1, sizes.kernel))
    for phase, offset, tap in entries:
        taps[phase, offset - low, tap] = 1
    return Axis(taps=taps, input_size=sizes.input_size, size=sizes.size, skip=skip, before=-low, stride=stride)


def _span(taps: Array) -> tuple[int, ...]:
    """Return the window's first and last tap that one phase reads; nothing where it reads none."""
    used = np.flatnonzero(taps.any(axis=1))
    return (int(used[0]), int(used[-1])) if used.size else ()
