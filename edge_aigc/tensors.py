"""The words that specifications are written in: names, shapes, types, media."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec

# One level of an MQTT topic and a file name at once: no '/', '+', '#', no leading '.' or '-'.
Name: TypeAlias = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$")]
Dimension: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=1 << 24)]
Shape: TypeAlias = Annotated[tuple[Dimension, ...], msgspec.Meta(min_length=1, max_length=8)]
Range: TypeAlias = tuple[float, float]
Dtype: TypeAlias = Literal["float32", "int32", "int64", "uint8"]
Family: TypeAlias = Literal["gan", "vae", "autoregressive", "image-to-image", "other"]
Media: TypeAlias = Literal["image", "audio", "text", "points", "raw"]


class Tensor(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What inputs and outputs have in common."""

    name: Name
    shape: Shape
    """Of the tensor, the batch of 1 included."""


class Input(Tensor, frozen=True, kw_only=True, tag_field="prior"):
    """What inputs have in common, whatever their prior."""

    dtype: Dtype = "float32"
