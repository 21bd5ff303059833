"""Pictures: arrays to PNG, WebP and JPEG, and files to arrays."""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from edge_aigc.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_aigc.spec import Output, Picture

Pixels: TypeAlias = NDArray[np.uint8]
Array: TypeAlias = NDArray[np.generic]

_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
_READ = ("PNG", "JPEG", "WEBP")
"""Few decoders, little to attack: pictures come from strangers."""
_PIXELS_LIMIT = 64_000_000

_ENCODERS: Mapping[str, tuple[str, dict[str, object]]] = {
    # Encoding can cost more than generating. 256x256 RGB, median: PNG 24 ms at Pillow's default level,
    # 7.1 ms at level 1; lossless WebP 4.0 ms at method 0; JPEG 0.7 ms at quality 90.
    "png": ("PNG", {"compress_level": 1}),
    "webp": ("WEBP", {"lossless": True, "method": 0}),
    "jpeg": ("JPEG", {"quality": 90}),
}


def to_pixels(values: Array, output: Output) -> Pixels:
    """Return 8-bit pixels, shape (height, width, channels).

    Args:
        values: Shape (1, height, width, channels), clipped to the output's range here; pixels already where the
            model makes them itself.
        output: States the range.
    """
    if values.dtype == np.uint8 and output.dtype == "uint8":
        made: Pixels = values[0].view(np.uint8)
        return made
    assert output.range is not None  # the specification demands it of images
    low, high = output.range
    share = (np.clip(values[0].astype(np.float32), low, high) - low) / (high - low)
    pixels: Pixels = np.rint(share * 255.0).astype(np.uint8)
    return pixels


def encode(values: Array, output: Output, name: str) -> bytes:
    """Return a picture file.

    Args:
        values: Shape (1, height, width, channels).
        output: States the range.
        name: ``png``, ``webp`` or ``jpeg``.

    Raises:
        InputError: The format cannot hold these channels.
    """
    pixels = to_pixels(values, output)
    channels = pixels.shape[-1]
    if name == "jpeg" and channels == 4:  # noqa: PLR2004 - RGBA
        raise InputError("JPEG has no transparency and this picture has.", remedy="Choose png or webp.")
    kind, options = _ENCODERS[name]
    buffer = io.BytesIO()
    image = Image.fromarray(pixels[..., 0] if channels == 1 else pixels)
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def decode(content: bytes, tensor: Picture) -> Array:
    """Return a picture as the model takes it, shape ``tensor.shape``, within ``tensor.range``.

    Args:
        content: A PNG, JPEG or WebP file. Grey and colour are converted into each other.
        tensor: The input that it is for.

    Raises:
        InputError: Not such a file, damaged, or of another height or width.
    """
    _, height, width, channels = tensor.shape
    image = _opened(content, tensor.name)
    if image.size != (width, height):
        raise InputError(
            f"The picture for {tensor.name!r} has {image.height}x{image.width} pixels; "
            f"this model takes {height}x{width}.",
            remedy=f"Resize it, or convert the model with `--input-size {image.height}x{image.width}`.",
        )
    low, high = tensor.range
    pixels = np.asarray(image.convert(_MODES[channels]), dtype=np.float32).reshape(tensor.shape)
    return (low + (high - low) * (pixels / np.float32(255.0))).astype(tensor.dtype)


def _opened(content: bytes, name: str) -> Image.Image:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(content), formats=_READ)
            if image.width * image.height > _PIXELS_LIMIT:
                raise InputError(
                    f"The picture for {name!r} has {image.width * image.height:,} pixels.",
                    remedy=f"Give one of at most {_PIXELS_LIMIT:,}.",
                )
            image.load()
            return ImageOps.exif_transpose(image)
    # Pillow's decoders raise whatever their file format makes them stumble over.
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombWarning, Image.DecompressionBombError) as exc:
        raise InputError(
            f"The picture for {name!r} cannot be read ({len(content):,} B): {exc}.",
            remedy=f"Give a {', '.join(_READ[:-1])} or {_READ[-1]} file.",
        ) from exc
