"""What a generator takes and what it makes: contract 1.

A specification is data: a TOML file beside a model, a part of the manifest inside a bundle.
Every input declares its *prior*, the distribution that its values come from, so that seeds are
enough to run the generator, to calibrate it, and to compare two forms of it.

>>> spec = parse_spec(b'''
... name = "digits"
... family = "gan"
... [[inputs]]
... name = "latent"
... prior = "normal"
... shape = [1, 64]
... [[outputs]]
... name = "image"
... media = "image"
... shape = [1, 28, 28, 1]
... range = [-1.0, 1.0]
... ''', origin="digits.toml")
>>> spec.inputs[0].shape
(1, 64)
"""

from __future__ import annotations

import math
from typing import Annotated, Literal, TypeAlias

import msgspec

from edge_aigc.errors import SpecError
from edge_aigc.loop_spec import Loop, Tokens, check_loop
from edge_aigc.tensors import Family, Media, Name, Range, Tensor
from edge_aigc.tensors import Input as _Input

SPEC_LIMIT_BYTES = 1 << 20
"""A specification larger than this is not one; labels of 1,000 classes take some 20 KB."""


class Normal(_Input, frozen=True, kw_only=True, tag="normal"):
    """Independent normal values: the latent of most GANs and VAEs."""

    mean: float = 0.0
    std: float = 1.0


class Noise(_Input, frozen=True, kw_only=True, tag="noise"):
    """Standard normal values that a model uses inside; never something a person sets."""


class Uniform(_Input, frozen=True, kw_only=True, tag="uniform"):
    """Independent uniform values in [low, high)."""

    low: float = 0.0
    high: float = 1.0


class Constant(_Input, frozen=True, kw_only=True, tag="constant"):
    """The same value everywhere, unless a control of this name gives another number."""

    value: float = 0.0


class Choice(_Input, frozen=True, kw_only=True, tag="choice"):
    """One of several classes, uniformly, unless a control of this name picks one."""

    classes: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=100_000)]
    encoding: Literal["onehot", "index"] = "onehot"


class Picture(_Input, frozen=True, kw_only=True, tag="image"):
    """A picture that the caller gives; it has no seed."""

    range: Range
    """What black and white are for the model, for example (0.0, 1.0)."""
    layout: Literal["HWC"] = "HWC"


Input: TypeAlias = Normal | Noise | Uniform | Constant | Choice | Picture | Tokens


class Output(Tensor, frozen=True, kw_only=True):
    """One tensor that the generator makes, and what it is to a person."""

    media: Media
    dtype: Literal["float32", "uint8"] = "float32"
    """``uint8``: the model makes the 8-bit pixels of a picture itself, and its range is that of the pixels."""
    layout: Literal["HWC"] = "HWC"
    range: Range | None = None
    """The values are clipped to it; needed for media that people see or hear."""
    sample_rate: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] | None = None
    """Of a sound, hertz."""


class GeneratorSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A generator, complete: name, family, inputs with their priors, outputs with their media."""

    name: Name
    family: Family = "other"
    inputs: Annotated[tuple[Input, ...], msgspec.Meta(min_length=1, max_length=64)]
    outputs: Annotated[tuple[Output, ...], msgspec.Meta(min_length=1, max_length=64)]
    loop: Loop | None = None
    """How an autoregressive model is run; other families have none."""

    def __post_init__(self) -> None:
        """Refuse what the types cannot say; msgspec turns the error into its own."""
        _check_names("input", [tensor.name for tensor in self.inputs])
        _check_names("output", [tensor.name for tensor in self.outputs])
        for tensor in self.inputs:
            _check_input(tensor)
        for output in self.outputs:
            _check_output(output)
        check_loop(self.loop, self.family, self.inputs, self.outputs, self.primary.media)

    @property
    def primary(self) -> Output:
        """The output that is published and saved: the first one."""
        return self.outputs[0]

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """The inputs that a caller must give a picture for."""
        return tuple(tensor for tensor in self.inputs if isinstance(tensor, Picture))

    @property
    def tokens(self) -> Tokens:
        """The input that takes the tokens of a loop; only generators with one have it."""
        (tensor,) = (tensor for tensor in self.inputs if isinstance(tensor, Tokens))
        return tensor

    @property
    def fed(self) -> frozenset[str]:
        """Names of the inputs that the loop feeds, and no person: tokens and state."""
        return frozenset((self.tokens.name, *self.loop.state)) if self.loop is not None else frozenset()


def parse_spec(content: bytes, *, origin: str) -> GeneratorSpec:
    """Read a complete specification from TOML.

    Args:
        content: The TOML text, UTF-8.
        origin: Where it came from, for messages.

    Raises:
        SpecError: It is not TOML, or does not describe a generator.
    """
    return spec_from(parse_toml(content, origin=origin), origin=origin)


def parse_toml(content: bytes, *, origin: str) -> dict[str, object]:
    """Read TOML as plain values, for a specification that is still to be completed.

    Raises:
        SpecError: It is not TOML.
    """
    try:
        return msgspec.toml.decode(content, type=dict[str, object])
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise SpecError(
            f"{origin} is not valid TOML: {exc}.",
            remedy="Write it as `edge-aigc convert --help` shows.",
        ) from exc


def spec_from(fields: dict[str, object], *, origin: str) -> GeneratorSpec:
    """Make a specification from plain values.

    Raises:
        SpecError: A field is missing, unknown, of a wrong type, or contradicts another.
    """
    try:
        return msgspec.convert(fields, GeneratorSpec)
    except msgspec.ValidationError as exc:
        raise SpecError(
            f"{origin} does not describe a generator: {exc}.",
            remedy="Correct that field; the README lists them all.",
        ) from exc


def _check_names(kind: str, names: list[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"two {kind}s are named {twice[0]!r}")


_RESERVED = frozenset({"seed", "inputs", "self"})
"""Arguments of `Generator.generate` beside the controls."""


def _check_input(tensor: Input) -> None:
    if tensor.name in _RESERVED:
        raise ValueError(f"an input cannot be named {tensor.name!r}, which every generator takes beside its inputs")
    if isinstance(tensor, Choice):
        width = len(tensor.classes)
        if len(set(tensor.classes)) != width:
            raise ValueError(f"input {tensor.name!r} lists a class twice")
        if tensor.encoding == "onehot" and math.prod(tensor.shape) != width:
            raise ValueError(f"input {tensor.name!r} has shape {list(tensor.shape)} but {width} classes")
        if tensor.encoding == "index" and math.prod(tensor.shape) != 1:
            raise ValueError(f"input {tensor.name!r} is one index but has shape {list(tensor.shape)}")
    elif isinstance(tensor, Picture):
        _check_range(tensor.name, tensor.range)
        _check_picture_shape(tensor.name, tensor.shape)
    elif isinstance(tensor, Uniform):
        _check_range(tensor.name, (tensor.low, tensor.high))
    elif isinstance(tensor, Normal) and not (math.isfinite(tensor.mean) and 0 < tensor.std < math.inf):
        raise ValueError(f"input {tensor.name!r} needs a finite mean and a positive std")
    elif isinstance(tensor, Constant) and not math.isfinite(tensor.value):
        raise ValueError(f"input {tensor.name!r} needs a finite value")


def _check_output(tensor: Output) -> None:
    if tensor.range is not None:
        _check_range(tensor.name, tensor.range)
    if tensor.media == "image":
        if tensor.range is None:
            raise ValueError(f"output {tensor.name!r} is an image and needs a range")
        _check_picture_shape(tensor.name, tensor.shape)
    elif tensor.media == "audio":
        _check_sound(tensor)
    elif tensor.media == "points" and (len(tensor.shape) != _POINTS_RANK or tensor.shape[::2] != (1, _POINTS_AXES)):
        raise ValueError(f"{tensor.name!r} are points and need the shape [1, points, 3], not {list(tensor.shape)}")
    if tensor.dtype == "uint8" and (tensor.media != "image" or tensor.range != _PIXELS):
        raise ValueError(f"output {tensor.name!r} is uint8 and no image with the range [0, 255]")
    if tensor.media != "audio" and tensor.sample_rate is not None:
        raise ValueError(f"output {tensor.name!r} has a sample_rate and is no audio")


def _check_sound(tensor: Output) -> None:
    if tensor.range is None:
        raise ValueError(f"output {tensor.name!r} is audio and needs a range")
    if tensor.sample_rate is None:
        raise ValueError(f"output {tensor.name!r} is audio and needs a sample_rate")
    shape = tensor.shape
    if shape[0] != 1 or len(shape) not in _SOUND_RANKS or (len(shape) == max(_SOUND_RANKS) and shape[2] > _EARS):
        raise ValueError(
            f"{tensor.name!r} is audio and needs the shape [1, samples] or [1, samples, 1 | 2], not {list(shape)}"
        )


def _check_range(name: str, limits: Range) -> None:
    low, high = limits
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError(f"{name!r} has the range [{low}, {high}], which is empty or not finite")


_PIXELS: Range = (0.0, 255.0)
_PICTURE_RANK = 4
_PICTURE_CHANNELS = (1, 3, 4)
"""Grey, RGB and RGBA: what PNG, WebP and Pillow take."""
_SOUND_RANKS = (2, 3)
_EARS = 2
_POINTS_RANK, _POINTS_AXES = 3, 3


def _check_picture_shape(name: str, shape: tuple[int, ...]) -> None:
    if len(shape) != _PICTURE_RANK or shape[0] != 1 or shape[-1] not in _PICTURE_CHANNELS:
        raise ValueError(f"{name!r} is a picture and needs the shape [1, height, width, 1 | 3 | 4], not {list(shape)}")
