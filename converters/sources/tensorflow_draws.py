"""Random numbers of a TensorFlow graph, taken from inputs: cut where they are drawn.

Given:   y = f(x, RandomStandardNormal(shape))
Result:  y = f(x, noise), noise an input whose prior is normal

Of stateless ones and those of a generator's state the same; seeds and states are not read any more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edge_aigc.converters.sources.source import TensorFact
from edge_aigc.errors import ConversionError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Call = Callable[..., list[Any]]

_PRIORS = {
    "RandomStandardNormal": "normal", "StatelessRandomNormal": "normal", "StatelessRandomNormalV2": "normal",
    "StatefulStandardNormalV2": "normal", "RandomUniform": "uniform", "StatelessRandomUniform": "uniform",
    "StatelessRandomUniformV2": "uniform", "StatefulUniform": "uniform",
}  # fmt: skip


def lift_draws(call: Call, inputs: Sequence[TensorFact]) -> tuple[Call, tuple[TensorFact, ...]]:
    """Return a function that takes what it would draw after its inputs, and these; the same where it draws nothing.

    Args:
        call: Takes a tensor for each input and returns its outputs.
        inputs: Of it.

    Raises:
        ConversionError: The size of a draw is not known before the model runs.
    """
    import tensorflow as tf

    specs = [tf.TensorSpec(fact.shape, fact.dtype) for fact in inputs]
    traced = tf.function(call, autograph=False).get_concrete_function(*specs)
    if not any(node.op in _PRIORS for node in _nodes(traced.graph.as_graph_def())):
        return call, ()
    frozen, outputs = _frozen(traced)
    drawn = [node.name for node in frozen.node if node.op in _PRIORS]
    kinds = {node.name: node.op for node in frozen.node}
    for node in frozen.node:
        if node.op in _PRIORS:
            _make_plain(node)
    kept = tf.compat.v1.graph_util.extract_sub_graph(frozen, [name.split(":")[0] for name in outputs])
    for node in kept.node:  # what only ran for its effect, as the step of a generator's state, is gone
        del node.input[sum(not entry.startswith("^") for entry in node.input) :]
    kept = tf.compat.v1.graph_util.extract_sub_graph(kept, [name.split(":")[0] for name in outputs])
    whole = tf.compat.v1.wrap_function(lambda: tf.graph_util.import_graph_def(kept, name=""), [])
    held = {node.name for node in kept.node}
    tensors = [whole.graph.get_tensor_by_name(f"{name}:0") for name in drawn if name in held]
    names = {fact.name for fact in inputs}
    facts = tuple(_fact(tensor, kinds[tensor.op.name], place, names) for place, tensor in enumerate(tensors))
    feeds = [tensor.name for tensor in traced.inputs[: len(inputs)]]
    cut = whole.prune([*feeds, *(tensor.name for tensor in tensors)], outputs)
    return lambda *given: list(cut(*given)), facts


def _frozen(traced: Any) -> tuple[Any, list[str]]:
    """Return a function's graph, calls inlined and variables constant, and the names of its outputs.

    TensorFlow's own way makes a function of it at once, which a generator's state, now a constant, forbids.
    """
    from tensorflow.python.framework import convert_to_constants as freezing

    data = freezing._FunctionConverterDataInEager(  # noqa: SLF001 - see above
        func=traced, lower_control_flow=True, aggressive_inlining=False
    )
    frozen, _ = freezing._replace_variables_by_constants(data)  # noqa: SLF001
    return frozen, [tensor.name for tensor in traced.outputs]


def _nodes(definition: Any) -> Iterator[Any]:
    yield from definition.node
    for function in definition.library.function:
        yield from function.node_def


def _fact(drawn: Any, kind: str, place: int, taken: set[str]) -> TensorFact:
    if not drawn.shape.is_fully_defined():
        raise ConversionError(
            f"The model draws random numbers ({drawn.op.name}, {drawn.shape}) whose size is not known before it runs.",
            remedy="Draw them in a fixed size, or give the model an input for its noise.",
        )
    name = "noise" if place == 0 else f"noise_{place + 1}"
    while name in taken:
        name += "_"
    taken.add(name)
    shape = tuple(int(size) for size in drawn.shape)
    return TensorFact(name=name, shape=shape, dtype="float32", prior=_PRIORS[kind])


def _make_plain(node: Any) -> None:
    """Make of a draw what only keeps its shape: it is fed, never computed."""
    import tensorflow as tf

    # A generator's own state comes before the shape.
    shape = node.input[2] if node.op.startswith("Stateful") else node.input[0]
    shape_type = next(node.attr[key].type for key in ("T", "Tshape", "shape_dtype") if key in node.attr)
    if node.attr["dtype"].type != tf.float32.as_datatype_enum:
        raise ConversionError(
            f"The model draws random numbers ({node.name}) that are no float32.",
            remedy="Draw them in float32, or give the model an input for its noise.",
        )
    node.op = "RandomStandardNormal"
    node.attr.clear()
    del node.input[:]
    node.input.append(shape)
    node.attr["dtype"].type = tf.float32.as_datatype_enum
    node.attr["T"].type = shape_type
