"""What a person may set: labels, indices, numbers, checked against the specification.

Imports no NumPy: the daemon's parent checks requests with it.
"""

from __future__ import annotations

import math
import secrets
from typing import TYPE_CHECKING

from edge_aigc.choices import choices, shown
from edge_aigc.errors import InputError
from edge_aigc.loop_spec import TEXT_CONTROLS
from edge_aigc.spec import Choice, Constant, Picture
from edge_aigc.text_controls import text_order

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_aigc.spec import GeneratorSpec, Input

SEED_LIMIT = 1 << 64
"""Seeds are unsigned 64-bit integers: contract 1."""
_PICKED_SEED_BITS = 53
"""A seed that we pick survives JSON readers that keep numbers as doubles: contract 1."""


def pick_seed() -> int:
    """Return a fresh seed below 2^53."""
    return secrets.randbits(_PICKED_SEED_BITS)


def check_seed(seed: int) -> int:
    """Return the seed if it is an unsigned 64-bit integer.

    Raises:
        InputError: It is not.
    """
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < SEED_LIMIT:
        raise InputError(
            f"The seed {seed!r} is not an integer from 0 to 2^64 - 1.",
            remedy="Give one in that range, or none for a fresh one.",
        )
    return seed


def nth_seed(seed: int, index: int) -> int:
    """Return the seed of sample ``index`` of a request: (seed + index) mod 2^64, contract 1."""
    return (seed + index) % SEED_LIMIT


def check_controls(spec: GeneratorSpec, controls: Mapping[str, str | float]) -> dict[str, int | float]:
    """Resolve controls to what the priors take: a class index or a number.

    Args:
        spec: The generator.
        controls: By input name: a class label (str) or index (int) for a choice, a number for a
            constant (its text will do: command lines know no types). A text generator takes prompt,
            temperature, top_k, top_p and length too, which `text_controls.text_order` resolves.

    Returns:
        By input name: the index of the class, or the number.

    Raises:
        InputError: No such control, no such class, an index out of range, a wrong type.
    """
    inputs = {t.name: t for t in spec.inputs if isinstance(t, Choice | Constant) and t.name not in spec.fed}
    resolved: dict[str, int | float] = {}
    known = list(inputs)
    if spec.loop is not None:
        text_order(spec.loop, controls)
        known += TEXT_CONTROLS
        controls = {name: value for name, value in controls.items() if name not in TEXT_CONTROLS}
    for name, value in controls.items():
        if name not in inputs:
            raise _unknown_control(spec, name, known)
        resolved[name] = _resolve(inputs[name], value)
    return resolved


def _resolve(tensor: Input, value: str | float) -> int | float:
    if isinstance(tensor, Choice):
        return _class_index(tensor, value)
    if isinstance(value, str):
        value = _number(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InputError(
            f"The control {tensor.name!r} is {value!r}, not a finite number.",
            remedy=f"Give a number, or leave it out for {getattr(tensor, 'value', 0.0)}.",
        )
    return value


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _class_index(tensor: Choice, value: str | float) -> int:
    count = len(tensor.classes)
    if isinstance(value, str):
        if value in tensor.classes:
            return tensor.classes.index(value)
        raise InputError(f"The control {tensor.name!r} has no class {value!r}.", remedy=_other_class(tensor, value))
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < count:
        raise InputError(
            f"The control {tensor.name!r} is {value!r}; its classes are numbered 0 to {count - 1}.",
            remedy=f"Choose an index in that range or one of {shown(tensor.classes)}.",
        )
    return value


def _other_class(tensor: Choice, label: str) -> str:
    """Return what to give instead of a label; of classes that are numbers the nearest, and how far they go."""
    number = _number(label)
    numbers = {_number(name): name for name in tensor.classes}
    if isinstance(number, str) or any(isinstance(value, str) for value in numbers) or not math.isfinite(number):
        return choices(label, tensor.classes, lead="Choose one of")
    values = sorted(value for value in numbers if isinstance(value, float))
    near = min(values, key=lambda value: abs(value - number))
    return f"Its classes go from {numbers[values[0]]!r} to {numbers[values[-1]]!r}; the nearest is {numbers[near]!r}."


def _unknown_control(spec: GeneratorSpec, name: str, known: list[str]) -> InputError:
    if name in {tensor.name for tensor in spec.pictures}:
        return InputError(
            f"The input {name!r} of {spec.name} is a picture, not a control.",
            remedy=f"Give it with `--input {name}=FILE` or on the topic request/{spec.name}/{name}.",
        )
    remedy = choices(name, known, lead="It has") if known else "It has none: leave it out."
    return InputError(f"{spec.name} has no control {name!r}.", remedy=remedy)


def missing_pictures(spec: GeneratorSpec, given: set[str]) -> InputError | None:
    """Return the error that names the pictures a caller did not give, or None."""
    missing: list[Picture] = [tensor for tensor in spec.pictures if tensor.name not in given]
    if not missing:
        return None
    first = missing[0]
    _, height, width, channels = first.shape
    return InputError(
        f"{spec.name} needs a picture for its input {first.name!r} ({height}x{width}, {channels} channels).",
        remedy=f"Give it with `--input {first.name}=FILE` or on the topic request/{spec.name}/{first.name}.",
    )
