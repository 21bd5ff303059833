"""Seed in, inputs out: the seed contract.

The same seed, specification and controls give bit-identical inputs on x86 and aarch64, on every
NumPy that we support, for ever. Two things make it so:

- the integer bits come from Philox4x64-10 (Salmon et al. 2011, "Parallel random numbers: as easy as
  1, 2, 3"), a counter-based generator, keyed by (seed, name of the input);
- they are shaped by additions, multiplications, divisions and square roots of doubles alone, which
  IEEE 754 rounds exactly, one NumPy operation at a time so that no compiler fuses two. No libm:
  its `log` differs between processors already.

`tests/test_priors.py` pins the bits.
"""

from __future__ import annotations

import functools
import hashlib
import math
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge_aigc.controls import check_seed
from edge_aigc.errors import InputError
from edge_aigc.loop_spec import Tokens
from edge_aigc.spec import Choice, Constant, Normal, Picture, Uniform

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_aigc.spec import GeneratorSpec, Input

Array: TypeAlias = NDArray[np.generic]
Doubles: TypeAlias = NDArray[np.float64]
Words: TypeAlias = NDArray[np.uint64]

_OPEN_BITS = 52
"""k + 1/2 is exact in a double for k below 2^52, and never 0 or 1 after scaling."""


def draw(
    spec: GeneratorSpec,
    *,
    seed: int,
    controls: Mapping[str, int | float] | None = None,
    pictures: Mapping[str, Array] | None = None,
) -> dict[str, Array]:
    """Return every input of a generator for one seed.

    Args:
        spec: The generator.
        seed: Unsigned 64-bit.
        controls: Class indices and numbers, as `controls.check_controls` returns them.
        pictures: For each picture input an array of its shape and range. Inputs that a loop feeds may be given
            here as well: without, tokens are any and the state is what a loop begins with.

    Returns:
        By input name: an array of the shape and dtype that the specification states.

    Raises:
        InputError: The seed is out of range, or a picture is missing or of another shape.
    """
    check_seed(seed)
    return {tensor.name: _draw_one(tensor, seed, controls or {}, pictures or {}) for tensor in spec.inputs}


def random_words(seed: int, name: str, count: int) -> Words:
    """Return ``count`` 64-bit words of the stream of input ``name``, shape ``(count,)``.

    The key is (seed, first eight bytes of SHA-256 of the name as little-endian integer), the
    counter starts at 0.
    """
    # Without a counter it starts at 0.
    bits = np.random.Philox(key=np.array([seed, _stream(name)], dtype=np.uint64))
    return bits.random_raw(count).astype(np.uint64)


@functools.cache
def _stream(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")


def standard_normal(words: Words) -> Doubles:
    """Return one standard normal value for each word, same shape.

    The inverse of the normal distribution function by algorithm AS 241, PPND16 (Wichura 1988,
    Applied Statistics 37(3)), relative accuracy about 1e-16, of p = (k + 1/2) / 2^52 where k is
    the word's upper 52 bits. The values lie within 8.21 standard deviations.
    """
    p = ((words >> np.uint64(64 - _OPEN_BITS)).astype(np.float64) + 0.5) * 2.0**-_OPEN_BITS
    q = p - 0.5
    r = np.sqrt(-_log(np.where(q < 0, p, 1.0 - p)))
    centre, near, far = _ratios(np.array([0.180625 - q * q, r - 1.6, r - 5.0]))
    outer = np.where(r <= 5.0, near, far)  # noqa: PLR2004 - AS 241
    tails = np.where(q < 0, -outer, outer)
    values: Doubles = np.where(np.abs(q) <= 0.425, q * centre, tails)  # noqa: PLR2004 - AS 241
    return values


def _draw_one(
    tensor: Input,
    seed: int,
    controls: Mapping[str, int | float],
    pictures: Mapping[str, Array],
) -> Array:
    if isinstance(tensor, Picture) or tensor.name in pictures:
        return _picture(tensor, pictures)
    if isinstance(tensor, Tokens):
        return _tokens(tensor, seed)
    if isinstance(tensor, Constant):
        return np.full(tensor.shape, controls.get(tensor.name, tensor.value), dtype=tensor.dtype)
    if isinstance(tensor, Choice):
        return _choice(tensor, seed, controls)
    words = random_words(seed, tensor.name, math.prod(tensor.shape))
    if isinstance(tensor, Uniform):
        unit = (words >> np.uint64(64 - 53)).astype(np.float64) * 2.0**-53
        values = tensor.low + (tensor.high - tensor.low) * unit
    elif isinstance(tensor, Normal):
        values = tensor.mean + tensor.std * standard_normal(words)
    else:
        values = standard_normal(words)
    return values.astype(tensor.dtype).reshape(tensor.shape)


def _choice(tensor: Choice, seed: int, controls: Mapping[str, int | float]) -> Array:
    index = controls.get(tensor.name)
    if index is None:
        # Lemire's multiply-shift: the bias for n classes is below n / 2^64.
        index = (int(random_words(seed, tensor.name, 1)[0]) * len(tensor.classes)) >> 64
    if tensor.encoding == "index":
        return np.full(tensor.shape, index, dtype=tensor.dtype)
    onehot = np.zeros(len(tensor.classes), dtype=tensor.dtype)
    onehot[int(index)] = 1
    return onehot.reshape(tensor.shape)


def _tokens(tensor: Tokens, seed: int) -> Array:
    words = random_words(seed, tensor.name, math.prod(tensor.shape))
    # Python's integers: the product has more than 64 bits.
    numbers = [(int(word) * tensor.size) >> 64 for word in words]
    return np.array(numbers, dtype=tensor.dtype).reshape(tensor.shape)


def _picture(tensor: Input, pictures: Mapping[str, Array]) -> Array:
    given = pictures.get(tensor.name)
    if given is None or tuple(given.shape) != tensor.shape:
        found = "none was given" if given is None else f"one of {list(given.shape)} was given"
        raise InputError(
            f"The input {tensor.name!r} needs a picture of shape {list(tensor.shape)}; {found}.",
            remedy=f"Give it with `--input {tensor.name}=FILE`.",
        )
    return given.astype(tensor.dtype)


def _ratios(x: Doubles) -> Doubles:
    """Return AS 241's three rational functions, each of its own row of x, shape (3, n).

    All six polynomials in one pass: a latent is short, so that calls cost more than arithmetic.
    """
    above, below = _horner(_AS_241, x, np.empty((2, *x.shape)))
    ratios: Doubles = above / below
    return ratios


def _horner(coefficients: tuple[Doubles | float, ...], x: Doubles, total: Doubles) -> Doubles:
    """Return polynomials at x, computed in ``total``; the lowest power's coefficients first."""
    total[...] = coefficients[-1]
    for coefficient in coefficients[-2::-1]:
        total *= x
        total += coefficient
    return total


def _log(x: Doubles) -> Doubles:
    """Return the natural logarithm of positive doubles by exact operations; error below 1e-15.

    x = m * 2^e with m in [sqrt(1/2), sqrt(2)); log m = 2 artanh(s), s = (m - 1) / (m + 1), by its
    power series: |s| < 0.1716, so the first term left out, 2 s^23 / 23, is below 3e-19.
    """
    m, e = np.frexp(x)
    low = m < _SQRT_HALF
    m = np.where(low, m * 2.0, m)
    exponent = e.astype(np.float64) - low
    s = (m - 1.0) / (m + 1.0)
    return exponent * _LN2 + 2.0 * s * _horner(_ARTANH, s * s, np.empty_like(s))


_SQRT_HALF = 0.70710678118654752440
_LN2 = 0.69314718055994530942
_ARTANH = tuple(1.0 / (2 * k + 1) for k in range(11))

# AS 241, PPND16: numerators a, c, e and denominators b, d, f, lowest power first.
_CENTRE = (
    (
        3.3871328727963666080e0,
        1.3314166789178437745e2,
        1.9715909503065514427e3,
        1.3731693765509461125e4,
        4.5921953931549871457e4,
        6.7265770927008700853e4,
        3.3430575583588128105e4,
        2.5090809287301226727e3,
    ),
    (
        1.0,
        4.2313330701600911252e1,
        6.8718700749205790830e2,
        5.3941960214247511077e3,
        2.1213794301586595867e4,
        3.9307895800092710610e4,
        2.8729085735721942674e4,
        5.2264952788528545610e3,
    ),
)
_NEAR_TAIL = (
    (
        1.42343711074968357734e0,
        4.63033784615654529590e0,
        5.76949722146069140550e0,
        3.64784832476320460504e0,
        1.27045825245236838258e0,
        2.41780725177450611770e-1,
        2.27238449892691845833e-2,
        7.74545014278341407640e-4,
    ),
    (
        1.0,
        2.05319162663775882187e0,
        1.67638483018380384940e0,
        6.89767334985100004550e-1,
        1.48103976427480074590e-1,
        1.51986665636164571966e-2,
        5.47593808499534494600e-4,
        1.05075007164441684324e-9,
    ),
)
_FAR_TAIL = (
    (
        6.65790464350110377720e0,
        5.46378491116411436990e0,
        1.78482653991729133580e0,
        2.96560571828504891230e-1,
        2.65321895265761230930e-2,
        1.24266094738807843860e-3,
        2.71155556874348757815e-5,
        2.01033439929228813265e-7,
    ),
    (
        1.0,
        5.99832206555887937690e-1,
        1.36929880922735805310e-1,
        1.48753612908506148525e-2,
        7.86869131145613259100e-4,
        1.84631831751005468180e-5,
        1.42151175831644588870e-7,
        2.04426310338993978564e-15,
    ),
)
_AS_241 = tuple(
    np.array([[part[side][power] for part in (_CENTRE, _NEAR_TAIL, _FAR_TAIL)] for side in (0, 1)])[..., np.newaxis]
    for power in range(8)
)
"""By power: an array of shape (2, 3, 1), numerators above denominators of the three functions."""
