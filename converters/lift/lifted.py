"""A graph as a function with weights."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import keras
import numpy as np
from keras import ops

from edge_aigc.converters.ir.graph import NUMPY_TYPES
from edge_aigc.converters.lift.activations import fused
from edge_aigc.converters.lift.elementwise import keras_type
from edge_aigc.converters.lift.held import Call, Held
from edge_aigc.converters.lift.known import Known
from edge_aigc.converters.lift.refusal import refused
from edge_aigc.converters.lift.table import OPERATORS
from edge_aigc.converters.lift.trainable import trainable
from edge_aigc.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from edge_aigc.converters.ir import Graph, Node, Value
    from edge_aigc.converters.lift.held import Tensor


_MEND: Mapping[str, Mapping[str, str]] = {
    "WHILE": {"remedy": "Unroll the recurrent layer (`unroll=True` in Keras), or convert its step as a loop."},
    "QUANTIZE": {"remedy": "Start from the model before it was quantized."},
}
"""What to do about operators that have an answer of their own."""


def lift(graph: Graph) -> Lifted:
    """Return a float graph as a function of `keras.ops`, on the backend that Keras runs on.

    Args:
        graph: Is copied. Best normalized first: what TensorFlow's converter writes in five operators is then one.

    Raises:
        ConversionError: An operator has no such form; the message names it and where it stands.
    """
    return Lifted(graph)


class Lifted:
    """The function; called with tensors it computes what the graph computes, for any number of samples.

    Attributes:
        weights: The trainable constants (kernels, biases, tables, scales), each in the shape that the graph has it in,
            by the constant's name; see `trainable`.
    """

    weights: dict[str, keras.Variable]

    def __init__(self, graph: Graph) -> None:
        """Take a copy of a graph.

        Raises:
            ConversionError: It has operators that cannot be lifted.
        """
        self._graph = graph.copy()
        for node in self._graph.nodes:
            if node.is_custom or node.more is not None or node.kind not in OPERATORS:
                raise refused(node, "it has no form with gradients here", **_MEND.get(node.kind, {}))
        self._places = trainable(self._graph)
        self._known = Known()
        self.weights = {
            name: keras.Variable(np.array(value.data), dtype="float32", name=_variable_name(name))
            for name, value in self._places.items()
        }

    def __call__(
        self,
        inputs: Sequence[Tensor],
        taps: Sequence[str] = (),
        weights: Mapping[str, Tensor] | None = None,
        *,
        through: Callable[[Value, Tensor], Tensor] | None = None,
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Compute the outputs of N samples, and inner values by name.

        Args:
            inputs: One an input of the graph, in its order and shape, but with N samples one after the other on axis
                0: ``[N, …]`` where the graph says ``[1, …]``, ``[N s0, …]`` where it says ``[s0, …]``.
            taps: Names of values to return beside the outputs.
            weights: In the place of `weights`, by the same names: averaged ones, rounded ones, or what a backend
                without variables differentiates by. Missing names: the variables.
            through: Is given each floating-point value that depends on the inputs, the inputs among them, and its
                rows, and returns what the net goes on with: rounded as a quantized net would, for example.

        Returns:
            The outputs and the tapped values, all with the samples one after the other on axis 0.

        Raises:
            InputError: The inputs do not fit the graph, or no value has the name of a tap.
            ConversionError: An operator's attributes have no form here.
        """
        tapped = [self._named(name) for name in taps]
        run = _Run(self._tensors(weights), self._known, through)
        run.take(self._graph.inputs, inputs)
        wanted = _needed(self._graph, [*self._graph.outputs, *tapped])
        for node in self._graph.nodes:
            if id(node) in wanted:
                run.node(node)
        return [run.given(value) for value in self._graph.outputs], [run.given(value) for value in tapped]

    def write(self) -> Graph:
        """Return a copy of the graph with the weights as they are now; equal to it if they were not touched."""
        copied = self._graph.copy()
        numbers = {id(self._places[name]): np.array(ops.convert_to_numpy(v)) for name, v in self.weights.items()}
        for own, other in zip(self._graph.nodes, copied.nodes, strict=True):
            for value, twin in zip(own.inputs, other.inputs, strict=True):
                if value is not None and twin is not None and id(value) in numbers:
                    twin.data = numbers[id(value)].astype(NUMPY_TYPES["FLOAT32"]).reshape(value.shape)
        return copied

    def _tensors(self, weights: Mapping[str, Tensor] | None) -> dict[int, Tensor]:
        given = weights or {}
        unknown = sorted(set(given) - set(self.weights))
        if unknown:
            raise InputError(
                f"{', '.join(unknown)}: this net has no weights of that name.",
                remedy="`Lifted.weights` has the names.",
            )
        return {
            id(value): ops.convert_to_tensor(given.get(name, self.weights[name]), "float32")
            for name, value in self._places.items()
        }

    def _named(self, name: str) -> Value:
        graph = self._graph
        for value in (*graph.inputs, *(made for node in graph.nodes for made in node.outputs)):
            if value.name == name:
                return value
        raise InputError(f"No value of this net is called '{name}'.", remedy="Tap one that a node of the graph makes.")


class _Run:
    """What is known while the net runs once."""

    def __init__(
        self, weights: Mapping[int, Tensor], known: Known, through: Callable[[Value, Tensor], Tensor] | None
    ) -> None:
        self._weights, self._known, self._through = weights, known, through
        self._held: dict[int, Held] = {}
        self._count: Tensor = 1

    def take(self, values: Sequence[Value], inputs: Sequence[Tensor]) -> None:
        """Take the inputs of the net."""
        if len(values) != len(inputs):
            raise InputError(
                f"This net has {len(values)} inputs and was given {len(inputs)}.", remedy="Give one tensor an input."
            )
        for value, given in zip(values, inputs, strict=True):
            tensor = ops.convert_to_tensor(given, keras_type(value.dtype))
            if tuple(tensor.shape[1:]) != value.shape[1:] or len(tensor.shape) != max(1, len(value.shape)):
                raise InputError(
                    f"Input '{value.name}' is {list(value.shape)} a sample and was given {list(tensor.shape)}.",
                    remedy="Put the samples one after the other on axis 0.",
                )
            self._keep(value, Held(tensor=tensor, shape=value.shape, sampled=True))
        if values:
            first = self._held[id(values[0])]
            self._count = ops.shape(first.tensor)[0] // (first.shape[0] if first.shape else 1)

    def node(self, node: Node) -> None:
        """Compute what a node makes."""
        call = Call(node, [self._read(value) for value in node.inputs], self._count, self._known.of)
        made = OPERATORS[node.kind](call)
        for value, held in zip(node.outputs, made if isinstance(made, list) else [made], strict=True):
            if "fusedActivationFunction" in node.options:
                activated = fused(node, held.tensor)
                held = Held(tensor=activated, shape=held.shape, sampled=held.sampled)  # noqa: PLW2901
            assert tuple(held.tensor.shape[1:]) == value.shape[1:], f"{node}: made {held.tensor.shape}"
            self._keep(value, held)

    def given(self, value: Value) -> Tensor:
        """Return a value with the samples on axis 0, repeated if it is the same for all."""
        held = self._read(value)
        assert held is not None
        if held.sampled:
            return held.tensor
        repeated = ops.broadcast_to(held.samples(), (self._count, *value.shape))
        return ops.reshape(repeated, (-1, *value.shape[1:]))

    def _keep(self, value: Value, held: Held) -> None:
        if self._through is not None and held.sampled and value.dtype == "FLOAT32":
            held = Held(tensor=self._through(value, held.tensor), shape=held.shape, sampled=True)
        self._held[id(value)] = held

    def _read(self, value: Value | None) -> Held | None:
        if value is None:
            return None
        if value.data is None:
            return self._held[id(value)]
        tensor = self._weights.get(id(value))
        if tensor is None:
            tensor = ops.convert_to_tensor(np.asarray(value.data), keras_type(value.dtype))
        return Held(tensor=tensor, shape=value.shape, sampled=False)


def _needed(graph: Graph, values: Sequence[Value]) -> set[int]:
    """Return the nodes that some values are made by."""
    read = {id(value) for value in values}
    needed: set[int] = set()
    for node in reversed(graph.nodes):
        if any(id(made) in read for made in node.outputs):
            needed.add(id(node))
            read.update(id(value) for value in node.inputs if value is not None)
    return needed


def _variable_name(name: str) -> str:
    """Return a name that Keras and TensorFlow's scopes take: TFLite's have slashes and semicolons."""
    return re.sub(r"[^A-Za-z0-9_.]", ".", name).lstrip("_.") or "weight"
