"""What a generator of the suite is: written once, in layers that Keras and PyTorch both have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Array: TypeAlias = NDArray[Any]
Tensor: TypeAlias = Any
"""A framework's own."""
Activation: TypeAlias = Literal["relu", "leaky_relu", "tanh", "sigmoid", "gelu"]

RELU_GAIN = 2**0.5  # He et al. 2015: keeps the variance through a ReLU


class Layers(Protocol):
    """A framework's layers. Maps are of two kinds: `maps` have channels (their place is the framework's), `rows` not.

    Weights are drawn in the order of the calls, so that the same net has the same ones in every framework.
    """

    def conv(  # noqa: PLR0913 - what a convolution is
        self,
        x: Tensor,
        filters: int,
        kernel: int,
        *,
        stride: int = 1,
        dilation: int = 1,
        pad: int | None = None,
        rank: int = 2,
        bias: bool = True,
        gain: float = RELU_GAIN,
    ) -> Tensor:
        """Convolve maps, zero-padded by `pad` on every side; None keeps the size of a stride of 1."""

    def conv_transpose(  # noqa: PLR0913 - what a convolution is
        self, x: Tensor, filters: int, kernel: int, stride: int, *, same: bool = True, rank: int = 2, bias: bool = True
    ) -> Tensor:
        """Convolve transposed; `same` gives `stride` times the size and crops as TensorFlow does, else the whole."""

    def dense(self, x: Tensor, units: int, *, gain: float = RELU_GAIN, center: float = 0.0) -> Tensor:
        """Multiply the last axis of rows; `center` is the mean of the biases."""

    def dense_maps(self, x: Tensor, size: int, channels: int, *, rank: int = 2) -> Tensor:
        """Multiply a vector and make it maps."""

    def batch_norm(self, x: Tensor) -> Tensor:
        """Normalize maps by stored statistics."""

    def instance_norm(self, x: Tensor) -> Tensor:
        """Normalize each channel of maps by its own mean and variance."""

    def layer_norm(self, x: Tensor) -> Tensor:
        """Normalize the last axis of rows."""

    def act(self, x: Tensor, kind: Activation, slope: float = 0.2) -> Tensor:
        """Apply an activation; `slope` is that of a leaky ReLU below zero."""

    def up_nearest(self, x: Tensor) -> Tensor:
        """Double height and width of maps."""

    def reflect(self, x: Tensor, size: int) -> Tensor:
        """Pad maps by their own mirrored borders."""

    def concat(self, xs: Sequence[Tensor]) -> Tensor:
        """Join maps by channel."""

    def zero_insert(self, x: Tensor) -> Tensor:
        """Double height and width of maps with zeros after each value."""

    def fir(self, x: Tensor, taps: Sequence[float], before: int, after: int) -> Tensor:
        """Filter each channel of zero-padded maps with the outer product of some taps."""

    def constant(self, size: int, channels: int) -> Tensor:
        """Return learned maps."""

    def modulated(
        self, x: Tensor, style: Tensor, filters: int, kernel: int, *, up: bool = False, demodulate: bool = True
    ) -> Tensor:
        """Convolve with kernels scaled by a style, its outputs to unit variance (Karras et al. 2020, section 2.2)."""

    def times(self, x: Tensor, factor: float) -> Tensor:
        """Multiply by a fixed number."""

    def scaled(self, x: Tensor) -> Tensor:
        """Multiply by a learned number."""

    def channel_bias(self, x: Tensor) -> Tensor:
        """Add a learned number to each channel of maps."""

    def pixel_norm(self, x: Tensor) -> Tensor:
        """Scale the last axis of rows to unit power."""

    def embedding(self, tokens: Tensor, entries: int, width: int) -> Tensor:
        """Look up the rows of a table."""

    def embedding_maps(self, tokens: Tensor, entries: int, width: int) -> Tensor:
        """Look up maps in a table."""

    def gru(self, x: Tensor, state: Tensor, units: int) -> Tensor:
        """Return the next state of a gated recurrent unit, reset after the product (Cho et al. 2014, cuDNN)."""

    def attend(self, x: Tensor, position: Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return attention to what came before, and both caches with this step's row written into them.

        Args:
            x: One step's queries, keys and values, ``(1, 3 · heads · width)``.
            position: The row of this step, ``(1,)``.
            keys: ``(1, heads, length, width)``.
            values: The same.
        """


class Weights:
    """Numbers in the place of trained ones, such that activations stay near unit variance."""

    def __init__(self, seed: int = 7) -> None:
        """Begin with the first layer."""
        self._dice = np.random.default_rng(seed)

    def kernel(self, shape: Sequence[int], fan_in: float, gain: float) -> Array:
        """Return a kernel whose sums have `gain`² times the variance of what goes in."""
        drawn = self._dice.standard_normal(tuple(shape), dtype=np.float32)
        drawn *= np.float32(gain / fan_in**0.5)
        return drawn

    def small(self, size: int, center: float = 0.0) -> Array:
        """Return biases or means."""
        return (center + 0.1 * self._dice.standard_normal(size)).astype(np.float32)

    def near_one(self, size: int) -> Array:
        """Return scales or variances."""
        return self._dice.uniform(0.5, 1.5, size).astype(np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One input of a net."""

    name: str
    shape: tuple[int, ...]
    """Without the batch; channels last."""
    kind: Literal["normal", "uniform", "index"] = "normal"
    below: int = 0
    """Of an index."""
    maps: bool = False
    """Whether the last axis are channels, which PyTorch wants in front."""

    def draw(self, dice: np.random.Generator) -> Array:
        """Return one sample, its batch of 1 in front."""
        shape = (1, *self.shape)
        if self.kind == "index":
            return dice.integers(0, self.below, shape, dtype=np.int32)
        if self.kind == "uniform":
            return dice.random(shape, dtype=np.float32)
        return dice.standard_normal(shape, dtype=np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Net:
    """A generator at its published size."""

    name: str
    source: str
    """Who published it, and which of its sizes this is."""
    inputs: tuple[Fact, ...]
    build: Callable[..., list[Tensor]]
    """Takes `Layers` and a tensor an input; returns the outputs."""
    maps_out: bool = True
    """Whether the outputs are maps."""
    weights: Callable[[], Weights] = Weights
    """Drawn, or trained."""

    def draw(self, seed: int) -> list[Array]:
        """Return one sample of each input."""
        dice = np.random.default_rng(seed)
        return [fact.draw(dice) for fact in self.inputs]
