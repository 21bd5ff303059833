"""What a student is corrected by: how far each output is from the teacher's, by its medium.

Every function is of `keras.ops`, takes two batches and returns a number that is 0 where they are equal. All are scaled
alike: an error of a hundredth of the range makes about 0.01 to 0.1, whatever the medium.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from keras import ops

from edge_aigc.converters.fidelity.compare import metric_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from edge_aigc.spec import Output

Tensor: TypeAlias = Any
"""Of whichever backend Keras runs on; axis 0 is the batch."""
Loss: TypeAlias = "Callable[[Tensor, Tensor], Tensor]"
"""The teacher's and the student's to a number."""

_SCALES, _STRUCTURE = 3, 0.5
"""Pictures are compared as they are, halved and halved again; structure counts half of what pixels do."""
_WINDOWS = (128, 512, 2048)
_SPECTRAL = 0.1
"""Spectra at three resolutions, as vocoders are trained on (Yamamoto, Song, Kim 2020, "Parallel WaveGAN", 2.2)."""
_TEMPERATURE = 2.0
"""Logits are softened, so that what the teacher thinks of unlikely tokens is taught (Hinton, Vinyals, Dean 2015)."""
_STATES = 0.1
"""Weight of what a loop feeds back, beside the logits."""
_MOST_POINTS = 4096
"""Clouds above this are compared point by point only: 4,096² distances of a batch of 4 are 256 MiB."""
_PAIRED = 0.1
"""Weight of points compared one by one beside the nearest: the same seed makes them in the same order."""
_SMALL = 1e-8
_TINY = 1e-6
"""Of the range: below what any student reaches; so the root's slope stays finite."""
_PICTURE_AXES, _SOUND_AXES = 3, 2


def loss_of(output: Output, *, primary: Output) -> Loss:
    """Return the loss of one output.

    Args:
        output: What it is.
        primary: The output that is published; of a model in a loop every other is a state.
    """
    if metric_of(output) == "agreement_percent":
        return softened
    if metric_of(primary) == "agreement_percent":
        return lambda teacher, student: _STATES * relative(teacher, student)
    of_medium = _OF_MEDIA.get(output.media)
    if of_medium is None:
        return relative
    return lambda teacher, student: of_medium(*_in_range(output, teacher, student))


def pictures(teacher: Tensor, student: Tensor) -> Tensor:
    """Return how far pixels lie apart, in the mean and by squares, and their differences to neighbours at three scales.

    The mean makes small errors smaller, the root of squares large ones, and PSNR is told by squares: of ESRGAN x2 at a
    quarter, 300 steps with both reached 46.2 and 46.9 dB where the mean alone reached 45.2 and 46.4 (two rates).

    Args:
        teacher: Shape (batch, …, height, width, channels); the range's width is 1.
        student: The same shape.
    """
    error = ops.reshape(student - teacher, (-1, *teacher.shape[-_PICTURE_AXES:]))
    squares = ops.mean(error**2, axis=(1, 2, 3))
    total = ops.mean(ops.abs(error)) + ops.mean(ops.sqrt(squares + _TINY**2) - _TINY)
    for scale in range(_SCALES):
        for axis in (1, 2):
            if error.shape[axis] > 1:
                total = total + _STRUCTURE / _SCALES * ops.mean(ops.abs(_differences(error, axis)))
        if scale + 1 == _SCALES or min(error.shape[1:3]) < 4:  # noqa: PLR2004 - too small to be halved and compared
            break
        error = ops.average_pool(error, 2, 2, padding="valid")
        total = total + ops.mean(ops.abs(error)) / _SCALES
    return total


def sound(teacher: Tensor, student: Tensor) -> Tensor:
    """Return how far two sounds lie apart: samples against the sound's own loudness, and spectra.

    Args:
        teacher: Shape (batch, samples) or (batch, samples, channels); the range's width is 1.
        student: The same shape.
    """
    if len(teacher.shape) > _SOUND_AXES:
        teacher, student = (ops.transpose(values, (0, 2, 1)) for values in (teacher, student))
    teacher, student = (ops.reshape(values, (-1, values.shape[-1])) for values in (teacher, student))
    total = relative(teacher, student)
    windows = [window for window in _WINDOWS if window <= teacher.shape[-1]]
    for window in windows:
        a, b = (_magnitudes(values, window) for values in (teacher, student))
        convergence = ops.sqrt(ops.sum((a - b) ** 2) / (ops.sum(a**2) + _SMALL) + _SMALL)
        floor = 1e-3 * ops.max(a) + _SMALL  # 60 dB below the loudest nothing is heard beside it
        logarithms = ops.mean(ops.abs(ops.log(a + floor) - ops.log(b + floor)))
        total = total + _SPECTRAL / len(windows) * (convergence + logarithms)
    return total


def softened(teacher: Tensor, student: Tensor) -> Tensor:
    """Return the divergence of next tokens' probabilities, softened and as they are.

    Args:
        teacher: Logits, shape (batch, …, vocabulary).
        student: The same shape.
    """
    total = 0.0
    for temperature in (1.0, _TEMPERATURE):
        a, b = (ops.log_softmax(values / temperature, axis=-1) for values in (teacher, student))
        divergence = ops.mean(ops.sum(ops.exp(a) * (a - b), axis=-1))
        total = total + temperature**2 * divergence / 2
    return total


def points(teacher: Tensor, student: Tensor) -> Tensor:
    """Return the Chamfer distance, and a little of that of points of the same place in the list.

    Args:
        teacher: Shape (batch, points, axes); the range's width is 1.
        student: The same shape.
    """
    paired = ops.mean(ops.sqrt(ops.sum((teacher - student) ** 2, axis=-1) + _SMALL))
    if teacher.shape[1] > _MOST_POINTS:
        return paired
    squares = [ops.sum(values**2, axis=-1) for values in (teacher, student)]
    products = ops.matmul(teacher, ops.transpose(student, (0, 2, 1)))
    distances = ops.maximum(squares[0][:, :, None] + squares[1][:, None, :] - 2 * products, 0.0)
    nearest = [ops.mean(ops.sqrt(ops.min(distances, axis=axis) + _SMALL)) for axis in (1, 2)]
    return sum(nearest) / 2 + _PAIRED * paired


def relative(teacher: Tensor, student: Tensor) -> Tensor:
    """Return the mean absolute error against the root mean square of what the teacher makes, any shape."""
    return ops.mean(ops.abs(student - teacher)) / ops.sqrt(ops.mean(teacher**2) + _SMALL)


def spread(teacher: Tensor, student: Tensor) -> Tensor:
    """Return the mean square error against the variance of what the teacher makes, any shape: of inner values."""
    variance = ops.mean((teacher - ops.mean(teacher)) ** 2)
    return ops.mean((student - teacher) ** 2) / (variance + _SMALL)


_OF_MEDIA: Mapping[str, Loss] = {"image": pictures, "video": pictures, "audio": sound, "points": points}


def _in_range(output: Output, teacher: Tensor, student: Tensor) -> tuple[Tensor, Tensor]:
    """Return both with a range's width of 1, and no error where both lie beyond the same end: it is clipped there."""
    if output.range is None:
        return teacher, student
    low, high = output.range
    inside = ops.where(teacher >= high, ops.minimum(student, high), student)
    inside = ops.where(teacher <= low, ops.maximum(inside, low), inside)
    width = high - low
    return (ops.clip(teacher, low, high) - low) / width, (inside - low) / width


def _differences(values: Tensor, axis: int) -> Tensor:
    """Return each number less the one before it along axis 1 or 2."""
    return values[:, 1:] - values[:, :-1] if axis == 1 else values[:, :, 1:] - values[:, :, :-1]


def _magnitudes(values: Tensor, window: int) -> Tensor:
    """Return the spectrum's magnitudes, shape (sounds, frames, frequencies)."""
    real, imaginary = ops.stft(values, window, window // 4, window, center=False)
    return ops.sqrt(real**2 + imaginary**2 + _SMALL)
