"""Instructions of a model, operator by operator: each counted alone, what it pays only for being alone taken off.

A model of one operator pays for the invocation itself, which the whole model pays once. Where XNNPACK
computes in float16 it also converts every float32 input and output, which the whole model does only at its
borders. Both are found by counting chains of one and of two operators: what a chain costs beyond its
operators is the border, linear in the elements that cross it.

    counted(operator alone)  = entry + per_input · elements in + per_output · elements out + operator
    counted(the whole model) = the same with its own borders + the sum over operators
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_aigc.converters.costs.singles import borders, split
from edge_aigc.converters.graph import (
    add_operator,
    add_tensor,
    empty,
    metadata,
    operator_code,
    parse,
    serialize,
    set_metadata,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from edge_aigc.converters.costs.singles import Single
    from edge_aigc.cost import InstructionCounter

_REDUCED = "reduced_precision_support"
_FEW, _MANY = 1024, 8192
"""Elements of the two sizes that a line is laid through; multiples of every vector's length."""
_CONVERTS = 0.05
"""Instructions an element above which borders are converted; elsewhere they are pointers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """One operator of a model, or a few that run as one."""

    single: Single
    """It, as a model of its own."""
    instructions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Instructions of one invocation on one thread."""

    operators: tuple[Counted, ...]
    """In the order of execution."""
    around: int
    """Of the invocation itself and, in float16, the conversions at the model's borders."""
    whole: int | None
    """The model counted as one, where that was asked for."""

    @property
    def instructions(self) -> int:
        """The sum of all parts."""
        return self.around + sum(operator.instructions for operator in self.operators)


@dataclass(frozen=True, slots=True, kw_only=True)
class Border:
    """What a model pays around its operators."""

    entry: float
    per_input: float
    """Instructions an element of a float32 input."""
    per_output: float

    @property
    def converts(self) -> bool:
        """Whether XNNPACK computes in another type than the model's borders have."""
        return max(self.per_input, self.per_output) > _CONVERTS

    def instructions(self, elements_in: Iterable[int], elements_out: Iterable[int]) -> int:
        """Return what crossing the border takes, entry included."""
        return round(self.entry + self.per_input * sum(elements_in) + self.per_output * sum(elements_out))


def tally(flatbuffer: bytes, counter: InstructionCounter, *, whole: bool = False) -> Tally:
    """Count the operators of a model; equal ones once.

    Args:
        flatbuffer: A model.
        counter: Of a processor and a runtime.
        whole: Count the model as one too, as a check.

    Raises:
        ConversionError: It is not a TFLite model.
        BundleError: The runtime refuses it.
        EmulationError: It cannot be counted here.
    """
    reduced = metadata(flatbuffer).get(_REDUCED)
    singles = split(flatbuffer)
    chains = border_chains(reduced)
    models = {_name(single): single.flatbuffer for single in singles}
    counts = counter.count({**chains, **models, **({"whole": flatbuffer} if whole else {})})
    border = border_of(counts)
    converted = _converted(models, counts, counter) if border.converts else set(models)
    return Tally(
        operators=tuple(
            Counted(
                single=single,
                instructions=max(
                    counts[_name(single)] - _around_alone(single, border, converts=_name(single) in converted), 0
                ),
            )
            for single in singles
        ),
        around=border.instructions(*borders(flatbuffer)),
        whole=counts["whole"] if whole else None,
    )


def border_chains(reduced: bytes | None) -> dict[str, bytes]:
    """Return the models that `border_of` needs counted, by name.

    Args:
        reduced: The model's metadata `reduced_precision_support`, or None.
    """
    return {
        f"border {kind} {elements} {length}": _chain(kind, elements, length, reduced)
        for kind in ("NEG", "MAXIMUM")
        for elements in (_FEW, _MANY)
        for length in (1, 2)
    }


def border_of(counts: Mapping[str, int]) -> Border:
    """Return the border from the counts of `border_chains`."""

    def around(kind: str, elements: int) -> int:
        one, two = (counts[f"border {kind} {elements} {length}"] for length in (1, 2))
        return 2 * one - two

    per_element = {kind: (around(kind, _MANY) - around(kind, _FEW)) / (_MANY - _FEW) for kind in ("NEG", "MAXIMUM")}
    # NEG has one input and one output, MAXIMUM two inputs and one output.
    per_input = per_element["MAXIMUM"] - per_element["NEG"]
    per_output = per_element["NEG"] - per_input
    entry = around("NEG", _FEW) - _FEW * per_element["NEG"]
    return Border(entry=entry, per_input=per_input, per_output=per_output)


def _around_alone(single: Single, border: Border, *, converts: bool) -> int:
    if converts:
        return border.instructions(single.elements_in, single.elements_out)
    # It runs outside XNNPACK, which converts what it makes going in and what it takes coming out.
    return round(2 * border.entry) - border.instructions(single.elements_out, single.elements_in)


def _converted(models: Mapping[str, bytes], counts: Mapping[str, int], counter: InstructionCounter) -> set[str]:
    """Return the names of the operators that run in float16: they cost something else without the leave to."""
    others = counter.count({name: _without_leave(flatbuffer) for name, flatbuffer in models.items()})
    return {name for name in models if abs(counts[name] - others[name]) > counts[name] // 1000 + 100}


def _name(single: Single) -> str:
    """Return what a single is called in messages; equal ones the same."""
    return f"{single.kind} {'x'.join(map(str, single.shape))} {single.dtype.lower()} ({single.key[:8]})"


def _without_leave(flatbuffer: bytes) -> bytes:
    model = parse(flatbuffer)
    model.metadata = []
    return serialize(model)


def _chain(kind: str, elements: int, length: int, reduced: bytes | None) -> bytes:
    model = empty()
    graph = model.subgraphs[0]
    sides = 2 if kind == "MAXIMUM" else 1
    inputs = [add_tensor(graph, "", [1, elements], "FLOAT32", 0) for _ in range(sides)]
    code, value = operator_code(model, kind, 1), inputs[0]
    for position in range(length):
        made = add_tensor(graph, "", [1, elements], "FLOAT32", 0)
        add_operator(graph, code, [value, *inputs[1:]], [made], position)
        value = made
    graph.inputs, graph.outputs = inputs, [value]
    if reduced is not None:
        set_metadata(model, _REDUCED, reduced)
    return serialize(model)
