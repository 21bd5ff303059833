"""Keras layers that look along time, run one step at a time.

Given:   y[1..t] = layer(x[1..t])
Result:  y[t], state[t] = step(x[t], state[t-1])

While `stepping` is in force the layers of a model that look along time keep what they need of the past in states;
all others see a sequence of one step and do as ever. Layers within layers of the user's own are found as well.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
from typing import TYPE_CHECKING, Any

from edge_aigc.converters.loops.states import UNSEEN, WINDOW_REMEDY, States, cut_at_one
from edge_aigc.errors import ConversionError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SHIFTED = "_edge_aigc_shifted"


class KerasStates(States):
    """The states of one step of a Keras model."""

    @functools.cached_property
    def position(self) -> Any:
        """The number of steps before this one, shape ``(1,)``."""
        from keras import ops

        position = self.take("position", lambda: ops.zeros((1,), "int32"))
        self.left["position"] = position + 1
        return position

    @functools.cached_property
    def unseen(self) -> Any:
        """What is added to the scores of a cache, shape ``(1, 1, 1, context)``: 0 where it holds something."""
        from keras import ops

        seen = self.take("seen", lambda: ops.zeros((1, self.context)))
        self.left["seen"] = ops.concatenate([seen[:, 1:], ops.ones((1, 1))], axis=1)
        return ops.reshape((self.left["seen"] - 1.0) * UNSEEN, (1, 1, 1, self.context))

    def shifted(self, name: str, newest: Any, places: int, axis: int) -> Any:
        """Return a cache whose oldest place has made room for the newest, which is last; it is left as well."""
        from keras import ops

        shape = list(newest.shape)
        shape[axis] = places
        cache = self.take(name, lambda: ops.zeros(shape))
        younger = cache[(slice(None),) * axis + (slice(1, None),)]
        self.left[name] = ops.concatenate([younger, newest], axis=axis)
        return self.left[name]


@contextlib.contextmanager
def stepping(model: Any, states: KerasStates) -> Iterator[None]:
    """Run the layers of a model one step at a time, for the length of a `with`.

    Raises:
        ConversionError: A layer looks at the future, or cannot be run by steps.
    """
    import keras
    import tensorflow as tf

    filtered = keras.config.is_traceback_filtering_enabled()
    # Else Keras makes another error of one that a layer raises.
    keras.config.disable_traceback_filtering()
    changed: list[Any] = []
    ranges = [(keras.ops, "arange"), (tf, "range")]
    kept = [getattr(module, name) for module, name in ranges]
    cut = keras.Variable.__getitem__
    try:
        for layer in model._flatten_layers():  # noqa: SLF001 - Keras has no public way to layers within layers
            step = _step_of(layer)
            if step is not None:
                # Past Keras's own `__setattr__`, which would track the function.
                layer.__dict__["call"] = functools.partial(step, layer, states)
                changed.append(layer)
        for (module, name), original in zip(ranges, kept, strict=True):
            setattr(module, name, _from_position(original, states))
        keras.Variable.__getitem__ = _cut_at_position(cut, model, states)
        yield
    finally:
        keras.Variable.__getitem__ = cut
        if filtered:
            keras.config.enable_traceback_filtering()
        for layer in changed:
            del layer.__dict__["call"]
        for (module, name), original in zip(ranges, kept, strict=True):
            setattr(module, name, original)


def _from_position(count: Callable[..., Any], states: KerasStates) -> Callable[..., Any]:
    """Let positions that a model counts for itself, ``0 .. length - 1``, begin at the step's: its length is 1."""

    @functools.wraps(count)
    def counted(*args: Any, **kwargs: Any) -> Any:
        numbers = count(*args, **kwargs)
        # Keras counts with TensorFlow: what is shifted there is not shifted again here.
        if tuple(numbers.shape) != (1,) or getattr(numbers, _SHIFTED, False):
            return numbers
        from keras import ops

        shifted = numbers + ops.cast(states.position, numbers.dtype)
        setattr(shifted, _SHIFTED, True)
        return shifted

    return counted


def _cut_at_position(cut: Callable[..., Any], model: Any, states: KerasStates) -> Callable[..., Any]:
    """Cut a table of the model's at the step's place, where the model cuts it at the length of its sequence, 1."""
    tables = {id(weight) for weight in model.weights}

    def counted(table: Any, index: Any) -> Any:
        found = cut_at_one(index, table.shape) if id(table) in tables else None
        if found is None:
            return cut(table, index)
        from keras import ops

        axis, rest = found
        return ops.take(table, states.position, axis=axis)[rest]

    return counted


def _step_of(layer: Any) -> Callable[..., Any] | None:
    """Return how a layer is run by steps; None: as ever."""
    from keras import layers

    if isinstance(layer, layers.RNN):
        return _recurrent
    if isinstance(layer, layers.MultiHeadAttention | layers.GroupQueryAttention):
        return _attention
    if isinstance(layer, layers.Conv1D) and tuple(layer.kernel_size) != (1,):
        return _convolution
    if isinstance(layer, layers.Attention | layers.AdditiveAttention | layers.Bidirectional):
        raise ConversionError(
            f"The layer {layer.name!r} ({type(layer).__name__}) cannot be run by steps.", remedy=WINDOW_REMEDY
        )
    if "start_index" in inspect.signature(type(layer).call).parameters:
        return _positioned
    return None


def _recurrent(layer: Any, states: KerasStates, sequence: Any, initial_state: Any = None, **_: Any) -> Any:
    """GRU, LSTM, SimpleRNN and cells of the user's own: the cell, called once."""
    from keras import ops, tree

    if layer.go_backwards or initial_state is not None:
        reason = "reads backwards" if layer.go_backwards else "is given a state to begin with"
        raise ConversionError(f"The layer {layer.name!r} {reason}: it cannot be run by steps.", remedy=WINDOW_REMEDY)
    structure = layer.get_initial_state(1)
    first = {f"{layer.name}_state{index}": tensor for index, tensor in enumerate(tree.flatten(structure))}
    taken = [states.take(name, functools.partial(first.get, name)) for name in first]
    output, left = layer.cell(ops.squeeze(sequence, axis=1), tree.pack_sequence_as(structure, taken))
    states.left |= dict(zip(first, tree.flatten(left), strict=True))
    result = ops.expand_dims(output, 1) if layer.return_sequences else output
    return [result, *tree.flatten(left)] if layer.return_state else result


def _attention(layer: Any, states: KerasStates, *args: Any, **kwargs: Any) -> Any:
    """Causal self-attention over a cache of keys and values that the newest ones shift through."""
    from keras import ops

    said = inspect.signature(type(layer).call).bind(layer, *args, **kwargs).arguments
    query, value = said["query"], said["value"]
    key = value if said.get("key") is None else said["key"]
    if not said.get("use_causal_mask") and said.get("attention_mask") is None:
        raise ConversionError(
            f"The attention {layer.name!r} looks at the future, which a model that writes has not.",
            remedy="Call it with `use_causal_mask=True`, and train the model so.",
        )
    if said.get("return_attention_scores") or value.shape[1] != 1:
        raise ConversionError(f"The attention {layer.name!r} cannot be run by steps.", remedy=WINDOW_REMEDY)
    queries, newest_key = layer._query_dense(query), layer._key_dense(key)  # noqa: SLF001
    newest_value = layer._value_dense(value)  # noqa: SLF001
    heads, kept = queries.shape[2], newest_key.shape[2]
    keys = states.shifted(f"{layer.name}_keys", ops.transpose(newest_key, (0, 2, 1, 3)), states.context, axis=2)
    values = states.shifted(f"{layer.name}_values", ops.transpose(newest_value, (0, 2, 1, 3)), states.context, axis=2)
    # Of grouped queries several share a head of keys.
    grouped = ops.reshape(queries, (1, kept, heads // kept, queries.shape[3]))
    scores = ops.matmul(grouped * queries.shape[3] ** -0.5, ops.transpose(keys, (0, 1, 3, 2)))
    weights = ops.softmax(scores + states.unseen, axis=-1)
    mixed = ops.reshape(ops.matmul(weights, values), (1, 1, heads, values.shape[3]))
    if getattr(layer, "_use_gate", False):
        mixed = mixed * layer._gate_dense(query)  # noqa: SLF001
    return layer._output_dense(mixed)  # noqa: SLF001


def _convolution(layer: Any, states: KerasStates, sequence: Any) -> Any:
    """A causal convolution along time over the last values that its kernel reaches."""
    from keras import ops

    if layer.padding != "causal" or tuple(layer.strides) != (1,):
        raise ConversionError(
            f"The convolution {layer.name!r} looks at the future, or skips steps.",
            remedy='Use `padding="causal"` and strides of 1, and train the model so.',
        )
    reach = (layer.kernel_size[0] - 1) * layer.dilation_rate[0] + 1
    window = states.shifted(f"{layer.name}_inputs", sequence, reach, axis=1)
    made = ops.conv(window, layer.kernel, 1, "valid", dilation_rate=layer.dilation_rate)
    if layer.bias is not None:
        made = made + layer.bias
    return made if layer.activation is None else layer.activation(made)


def _positioned(layer: Any, states: KerasStates, *args: Any, **kwargs: Any) -> Any:
    """A layer that can be told where its sequence begins, as those of keras-hub can."""
    return type(layer).call(layer, *args, **{**kwargs, "start_index": states.position[0]})
