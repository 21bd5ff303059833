"""Where the error comes from: both forms run side by side, every tensor that has the same name compared."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge_aigc.converters.fidelity.decibels import decibels
from edge_aigc.converters.graph import kind_of, parse
from edge_aigc.interpreter import Interpreter

if TYPE_CHECKING:
    from collections.abc import Sequence

Array: TypeAlias = NDArray[Any]

_SUFFIXES = ("_int8", "_int16", "_float", "_requantized", "_dequantized", "_dequant", "_quantized")
"""What quantizers append to the name of a tensor that they make another of."""
_LIMIT_BYTES = 256 << 20
"""Of all tensors between the operators of a net: they are kept at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What one operator makes."""

    kind: str
    name: str
    index: int
    """Of the tensor, in the main subgraph."""
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorError:
    """How far one tensor lies from its float twin: what was added there and before."""

    kind: str
    name: str
    shape: tuple[int, ...]
    decibels: float
    """Signal over error, at most 100."""
    largest: float
    """Of any one value, as a share of the float tensor's range."""


def errors_by_operator(
    reference: bytes, flatbuffer: bytes, samples: Sequence[Sequence[Array]]
) -> tuple[OperatorError, ...]:
    """Return the error of each operator of a form whose result the reference has too, in the order of execution.

    Of a form with fewer places in its states than the reference's there is none that computes the same.

    Args:
        reference: The float form that it was made of.
        flatbuffer: The form.
        samples: Inputs of several runs, in the flatbuffers' order.

    Raises:
        BundleError: The runtime refuses or fails on one of them.
    """
    pairs = paired(made_in(reference), made_in(flatbuffer))
    if not pairs or 4 * sum(int(np.prod(a.shape)) for a in made_in(reference)) > _LIMIT_BYTES:
        return ()
    signal, noise = np.zeros(len(pairs)), np.zeros(len(pairs))
    low, high, largest = np.full(len(pairs), np.inf), np.full(len(pairs), -np.inf), np.zeros(len(pairs))
    first, second = (Interpreter(content, inside=True) for content in (reference, flatbuffer))
    if [info.shape for info in first.inputs] != [info.shape for info in second.inputs]:
        return ()
    for inputs in samples:
        for interpreter in (first, second):
            interpreter.run(inputs)
        for place, (twin, made) in enumerate(pairs):
            a, b = (np.asarray(i.tensor(o.index), np.float64) for i, o in ((first, twin), (second, made)))
            signal[place] += float(np.sum(a**2))
            noise[place] += float(np.sum((a - b) ** 2))
            low[place], high[place] = min(low[place], a.min()), max(high[place], a.max())
            largest[place] = max(largest[place], float(np.abs(a - b).max()))
    return tuple(
        OperatorError(
            kind=made.kind,
            name=twin.name,
            shape=made.shape,
            decibels=decibels(signal[place], noise[place]),
            largest=float(largest[place] / ((high[place] - low[place]) or 1.0)),
        )
        for place, (twin, made) in enumerate(pairs)
    )


def paired(references: Sequence[Made], others: Sequence[Made]) -> list[tuple[Made, Made]]:
    """Return what two forms make alike, in the order of the second: by name, else the nth of its kind and shape.

    Args:
        references: Of the form that names are taken from.
        others: Of the other form.
    """
    named = {made.name: made for made in references if made.shape}
    seen: Counter[tuple[str, tuple[int, ...]]] = Counter()
    nth: dict[tuple[str, tuple[int, ...], int], Made] = {}
    for made in references:
        nth[made.kind, made.shape, seen[made.kind, made.shape]] = made
        seen[made.kind, made.shape] += 1
    alike = Counter((made.kind, made.shape) for made in others) == seen
    counted: Counter[tuple[str, tuple[int, ...]]] = Counter()
    found: dict[int, tuple[Made, Made]] = {}
    for made in others:
        twin = named.get(made.name) or named.get(plain(made.name))
        if twin is None and alike:
            twin = nth[made.kind, made.shape, counted[made.kind, made.shape]]
        counted[made.kind, made.shape] += 1
        # A tensor and the same one quantized again have one twin: the first is the operator's own.
        if twin is not None and twin.shape == made.shape and twin.index not in found:
            found[twin.index] = (twin, made)
    return list(found.values())


def plain(name: str) -> str:
    """Return the name that a tensor had before it was quantized.

    >>> plain("image_int8")
    'image'
    """
    for suffix in _SUFFIXES:
        name = name.removesuffix(suffix)
    return name


def made_in(flatbuffer: bytes) -> list[Made]:
    """Return what the operators of the main subgraph make, in the order of execution."""
    model = parse(flatbuffer)
    graph = model.subgraphs[0]
    return [
        Made(
            kind=kind_of(model, entry),
            name=_text(graph.tensors[index].name),
            index=int(index),
            shape=() if graph.tensors[index].shape is None else tuple(int(n) for n in graph.tensors[index].shape),
        )
        for entry in graph.operators
        for index in entry.outputs[:1]
    ]


def _text(name: Any) -> str:
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name or "")
