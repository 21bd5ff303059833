"""Keras models of sequences as step graphs and windows."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_aigc.converters.loops.keras_steps import KerasStates, stepping
from edge_aigc.errors import ConversionError, EdgeAigcError, SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge_aigc.converters.loops.wanted import Wanted

TOLERANCE = 1e-4
"""How far a step graph's logits may lie from the whole model's, of their range; layers that are run by steps as
they should be reach 1e-6, one whose past is missing is off by a tenth."""
CHECKED_STEPS = 12


def looped(model: Any, wanted: Wanted) -> Any:
    """Return a model that a loop can run, made of one of a sequence.

    Args:
        model: Tokens ``(n, time)`` to logits ``(n, time, tokens)`` or ``(n, tokens)``, built.
        wanted: State or window, and how large.

    Returns:
        A functional model. Step graph: ``tokens (1, 1)`` and every state to the logits and every state as
        ``NAME_next``. Window: ``tokens (1, N)`` to the logits. A model that has states already is left as it is.

    Raises:
        SourceError: It is not a model of a sequence.
        ConversionError: A layer cannot be run by steps, or the steps do not give what the whole model gives.
    """
    if len(model.inputs) > 1:
        return model
    _check_sequence(model)
    if wanted.window is not None:
        return _windowed(model, wanted.window)
    context = _context(model, wanted)
    step = _stepped(model, context)
    _check_steps(model, step, min(CHECKED_STEPS, context))
    return step


def _check_sequence(model: Any) -> None:
    (tokens,) = model.inputs
    logits = model.outputs[0]
    if len(model.outputs) != 1 or len(tokens.shape) != 2 or len(logits.shape) not in {2, 3}:  # noqa: PLR2004
        raise SourceError(
            f"The model takes {list(tokens.shape)} and gives {[list(t.shape) for t in model.outputs]}; a model that "
            "writes takes tokens (batch, time) and gives logits (batch, time, tokens) or (batch, tokens).",
            remedy="Leave out `--family autoregressive` and `[loop]` if it writes no text.",
        )


def _context(model: Any, wanted: Wanted) -> int:
    time = model.inputs[0].shape[1]
    if wanted.context is not None and time is not None and wanted.context > time:
        raise ConversionError(
            f"A context of {wanted.context} tokens was asked for; the model was built for {time}.",
            remedy=f"Ask for at most {time} with `--context`.",
        )
    return wanted.context or time or wanted.usual_context


def _windowed(model: Any, window: int) -> Any:
    import keras

    time = model.inputs[0].shape[1]
    if time not in {None, window}:
        raise ConversionError(
            f"A window of {window} tokens was asked for; the model was built for {time}.",
            remedy=f"Ask for `--window {time}`.",
        )
    tokens = keras.Input(batch_shape=(1, window), dtype=model.inputs[0].dtype, name=model.inputs[0].name)
    with _logits_of(model):
        return keras.Model(tokens, keras.layers.Identity(name="logits")(_layers()[0](model)(tokens)), name=model.name)


def _stepped(model: Any, context: int) -> Any:
    """Build the step graph; a first step with zeros tells which states there are."""
    import keras

    states = KerasStates(context=context)
    try:
        with stepping(model, states), _logits_of(model):
            model.call(keras.ops.zeros((1, 1), model.inputs[0].dtype), training=False)
    except EdgeAigcError:
        raise
    # Layers raise whatever a sequence of one step makes them stumble over.
    except Exception as exc:
        raise ConversionError(
            f"The model cannot be run by steps: {_first_line(exc)}.",
            remedy="Convert it with `--window N`: it then reads the last N tokens at every step.",
        ) from exc
    tokens = keras.Input(batch_shape=(1, 1), dtype=model.inputs[0].dtype, name=model.inputs[0].name)
    inputs = {
        name: keras.Input(batch_shape=tuple(left.shape), dtype=keras.backend.standardize_dtype(left.dtype), name=name)
        for name, left in states.left.items()
    }
    logits, *left = _layers()[1](model, context, tuple(inputs))([tokens, *inputs.values()])
    outputs = [keras.layers.Identity(name="logits")(logits)]
    outputs += [keras.layers.Identity(name=f"{name}_next")(t) for name, t in zip(inputs, left, strict=True)]
    return keras.Model([tokens, *inputs.values()], outputs, name=model.name)


def _layers() -> tuple[Any, Any]:
    """Return the layers that hold a whole model and its step; made late, for Keras takes seconds to import."""
    import keras

    class Whole(keras.layers.Layer):  # type: ignore[misc]
        """The model as it is."""

        def __init__(self, model: Any) -> None:
            super().__init__()
            self.model = model

        def call(self, tokens: Any) -> Any:
            with _logits_of(self.model):
                return self.model.call(tokens, training=False)

    class Step(keras.layers.Layer):  # type: ignore[misc]
        """One step of the model."""

        def __init__(self, model: Any, context: int, names: tuple[str, ...]) -> None:
            super().__init__()
            self.model, self.context, self.names = model, context, names

        def call(self, tensors: Any) -> Any:
            tokens, *given = tensors
            states = KerasStates(dict(zip(self.names, given, strict=True)), context=self.context)
            with stepping(self.model, states), _logits_of(self.model):
                logits = self.model.call(tokens, training=False)
            return [logits, *(states.left[name] for name in self.names)]

    return Whole, Step


@contextlib.contextmanager
def _logits_of(model: Any) -> Iterator[None]:
    """Leave out a softmax at the end, for the length of a `with`: the runtime samples from logits."""
    import keras

    layer = model.outputs[0]._keras_history.operation  # noqa: SLF001 - Keras has no public way to the last layer
    kind = getattr(getattr(layer, "activation", None), "__name__", None)
    if kind == "softmax":
        kept, layer.activation = layer.activation, keras.activations.linear
        try:
            yield
        finally:
            layer.activation = kept
        return
    if isinstance(layer, keras.layers.Softmax):
        layer.__dict__["call"] = lambda logits, mask=None: logits  # noqa: ARG005 - Keras passes it
        try:
            yield
        finally:
            del layer.__dict__["call"]
        return
    yield


def _check_steps(model: Any, step: Any, count: int) -> None:
    """Compare the steps with the whole model over some tokens.

    Raises:
        ConversionError: They differ.
    """
    size = model.outputs[0].shape[-1]
    time = model.inputs[0].shape[1]
    if time is not None and len(model.outputs[0].shape) == 2:  # noqa: PLR2004 - the last logits alone
        count = time
    # Token 0 is left out: an embedding may mask it.
    tokens = np.random.default_rng(0).integers(1, size, size=(1, count))
    whole = _whole_logits(model, tokens, time)
    left = [np.zeros(tensor.shape, tensor.dtype) for tensor in step.inputs[1:]]
    rows = []
    for index in range(count):
        made, *left = (np.asarray(t) for t in step([tokens[:, index : index + 1], *left], training=False))
        rows.append(made.reshape(-1))
    require_alike(np.stack(rows)[-len(whole) :], whole)


def require_alike(found: Any, whole: Any) -> None:
    """Refuse steps that give other logits than the whole model.

    Args:
        found: Logits of steps, shape ``(steps, tokens)``.
        whole: Of the whole model after the same tokens.

    Raises:
        ConversionError: They differ by more than `TOLERANCE`.
    """
    furthest = float((np.abs(found - whole).max(axis=1) / (np.ptp(whole, axis=1) + 1e-12)).max())
    if not furthest <= TOLERANCE:
        raise ConversionError(
            f"Run by steps, the model gives other logits than over the whole sequence: they differ by {furthest:.1%} "
            "of their range. A layer of it looks along time in a way that is not known here.",
            remedy="Positions can be told to a Keras layer whose `call` takes `start_index`; or convert it with "
            "`--window N`: the model then reads the last N tokens at every step.",
        )


def _whole_logits(model: Any, tokens: Any, time: int | None) -> Any:
    """Return the logits after each token, or after the last alone, shape ``(places, tokens)``."""
    count = tokens.shape[1]
    filled = tokens if time is None else np.pad(tokens, ((0, 0), (0, time - count)), mode="edge")
    with _logits_of(model):
        logits = np.asarray(model.call(filled.astype(str(model.inputs[0].dtype)), training=False))
    # One that gives the last logits alone is compared there, over all its time.
    return logits[0, :count] if logits.ndim == 3 else logits  # noqa: PLR2004 - batch, time, tokens


def _first_line(exc: BaseException) -> str:
    text = str(exc).strip()
    return text.splitlines()[0].rstrip(".") if text else type(exc).__name__
