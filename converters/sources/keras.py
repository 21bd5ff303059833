"""Keras 3: `.keras` files, and models that a function returns.

The model is traced at a static batch of 1, its variables frozen into constants, and the frozen graph
converted. (`from_concrete_functions` without freezing leaves the weights of a Keras 3 model out, and
`from_keras_model` writes and reads a SavedModel on the way, which takes several times as long.)
"""

from __future__ import annotations

import hashlib
import inspect
import re
import zipfile
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge_aigc.converters.graph import inputs_and_outputs, name_borders
from edge_aigc.converters.sources.draws import draws_of, given, one_by_one
from edge_aigc.converters.sources.flatbuffer import output_facts
from edge_aigc.converters.sources.source import (
    LIMIT_BYTES,
    Source,
    TensorFact,
    Wish,
    clean_name,
    closed,
    first_line,
    not_finite,
    require_small,
)
from edge_aigc.converters.sources.tensorflow import flatbuffer_of
from edge_aigc.errors import ConversionError, SourceError
from edge_aigc.files import read_whole
from edge_aigc.quiet import stderr_held

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

Array: TypeAlias = NDArray[Any]
Adapt: TypeAlias = Callable[[Any], Any]
"""A model to another of the same framework."""

_UNKNOWN = re.compile(r"Could not (?:locate class|deserialize class) '(\w+)'")
"""Keras's words for a class that it does not know, deep in what it says of the whole model."""
_REFERENCE_BATCH = 16
"""Samples that the source runs at once when it takes any batch: enough to be quick, little memory."""


def load_keras(path: Path, wish: Wish | None = None, *, adapt: Adapt | None = None) -> Source:
    """Load a `.keras` file and bring it to a float flatbuffer.

    Args:
        path: The file.
        wish: Sizes that it leaves open; None: nothing is said.
        adapt: What makes another model of it before it is converted, as a loop needs one.

    Raises:
        FileError: The file cannot be read.
        SourceError: It is not a Keras model that can be loaded safely, or leaves a size open.
        ConversionError: TensorFlow cannot convert it, or its weights are NaN or infinite.
    """
    content = read_whole(path, limit_bytes=LIMIT_BYTES, what="model")
    with stderr_held():
        import keras  # noqa: F401 - it tells of itself on stderr when it is first imported

        model = _loaded(path)
    return source_of(model, wish or Wish(), file_name=path.name, content=content, adapt=adapt)


def source_of(
    model: Any, wish: Wish, *, file_name: str, content: bytes | None = None, adapt: Adapt | None = None
) -> Source:
    """Bring a model to a float flatbuffer.

    Args:
        model: `keras.Model`: functional, sequential, or of a class of its own.
        wish: Sizes that it leaves open.
        file_name: What it is called.
        content: Of its file; None: it came from a function.
        adapt: What makes another model of it before it is converted.

    Raises:
        SourceError: Its inputs are not known, or a size is open.
        ConversionError: TensorFlow cannot convert it, or its weights are NaN or infinite.
    """
    with stderr_held():
        import keras
        import tensorflow as tf

        _require_sound(model, file_name)
        model = _functional(model if adapt is None else adapt(model), wish, file_name)
        inputs = tuple(_input_fact(tensor, wish, place) for place, tensor in enumerate(model.inputs))
        outputs_named = [clean_name(name) for name in model.output_names]

        draws = _draws(model, inputs)
        inputs = (*inputs, *draws)
        flatbuffer = flatbuffer_of(lambda *tensors: _call(model, tensors, draws), inputs, file_name)
    named = name_borders(flatbuffer, [fact.name for fact in inputs], outputs_named)
    _check_inputs(named, inputs, file_name)
    return Source(
        flatbuffer=named,
        inputs=inputs,
        outputs=tuple(
            replace(fact, activation=_activation(output) or fact.activation)
            for fact, output in zip(output_facts(named, outputs_named), model.outputs, strict=True)
        ),
        reference=lambda samples: _run(model, samples, draws),
        framework=f"keras {keras.__version__}",
        file_name=file_name,
        sha256=hashlib.sha256(named if content is None else content).hexdigest(),
        tools={"keras": keras.__version__, "tensorflow": tf.__version__},
    )


def _loaded(path: Path) -> Any:
    import keras

    remedy = "Save it again with `model.save('name.keras')` from Keras 3; layers of your own must be registered."
    if not zipfile.is_zipfile(path):
        raise SourceError(f"{path} is not a Keras 3 model: it is no zip archive.", remedy=remedy)
    try:
        # safe_mode: a model file must not bring code of its own.
        model = keras.models.load_model(path, compile=False, safe_mode=True)
    # A damaged archive, an unknown layer and a broken configuration all raise something else.
    except Exception as exc:
        unknown = _UNKNOWN.search(str(exc))
        why = f"the class {unknown[1]!r} in it is not registered" if unknown else first_line(exc)
        raise SourceError(f"Keras cannot load {path}: {why}.", remedy=remedy) from exc
    return model


def _functional(model: Any, wish: Wish, name: str) -> Any:
    """Return a model with known inputs; one of a class of its own is called once on symbols."""
    import keras

    if getattr(model, "inputs", None) and getattr(model, "outputs", None):
        # A sequential model does not name its outputs.
        return model if hasattr(model, "output_names") else keras.Model(model.inputs, model.outputs)
    shapes: list[list[int | None]] = [list(shape) for shape in wish.input_shapes] or _built_shapes(model)
    if not shapes:
        raise SourceError(
            f"{name} holds a model whose inputs are not known before it is called.",
            remedy="State them with `--input-shape`, for example `--input-shape 1x100`, or call the model once on an "
            "example before you save it.",
        )
    names = list(inspect.signature(type(model).call).parameters)[1:]
    inputs = [
        keras.Input(batch_shape=(None, *shape[1:]), dtype="float32", name=names[place] if place < len(names) else None)
        for place, shape in enumerate(shapes)
    ]
    try:
        return keras.Model(inputs, model(*inputs, training=False) if _trains(model) else model(*inputs))
    # The class is the user's own: its call may raise anything.
    except Exception as exc:
        raise SourceError(
            f"{name} cannot be called on inputs of {shapes}: {first_line(exc)}.",
            remedy="State the shapes that it takes with `--input-shape`.",
        ) from exc


def _built_shapes(model: Any) -> list[list[int | None]]:
    """Return the shapes that a model was built with, as it keeps them in its file."""
    kept: dict[str, Any] = (model.get_build_config() or {}) if getattr(model, "built", False) else {}
    found: dict[str, Any] = kept.get("shapes_dict") or {"input": kept.get("input_shape")}
    shapes = [list(shape) for shape in found.values() if isinstance(shape, (list, tuple))]
    return [shape for shape in shapes if all(size is None or isinstance(size, int) for size in shape)]


def _trains(model: Any) -> bool:
    return "training" in inspect.signature(type(model).call).parameters


def _require_sound(model: Any, name: str) -> None:
    require_small(sum(int(np.prod(weight.shape)) * 4 for weight in model.weights), name)
    wrong = [weight.path for weight in model.weights if not np.isfinite(_floats(weight)).all()]
    if wrong:
        raise not_finite(wrong, name)


def _floats(weight: Any) -> Array:
    values = np.asarray(weight)
    return values if values.dtype.kind == "f" else np.zeros(1, np.float32)


def _input_fact(tensor: Any, wish: Wish, place: int) -> TensorFact:
    name = clean_name(tensor.name)
    shape, is_open = closed(name, tensor.shape, wish, place=place)
    return TensorFact(name=name, shape=shape, dtype=str(tensor.dtype), open_size=is_open)


def _call(model: Any, tensors: Sequence[Any], draws: Sequence[TensorFact]) -> list[Any]:
    """Run a model on its inputs and on what it draws, which come after them."""
    import keras

    count = len(tensors) - len(draws)
    structure = keras.tree.pack_sequence_as(model.input, list(tensors[:count]))
    if not draws:
        return list(keras.tree.flatten(model(structure, training=False)))
    with given(one_by_one(draws, tensors[count:])):
        return list(keras.tree.flatten(model(structure, training=False)))


def _draws(model: Any, inputs: Sequence[TensorFact]) -> tuple[TensorFact, ...]:
    """Return what a model draws at random, which become inputs."""
    zeros = [np.zeros(fact.shape, fact.dtype) for fact in inputs]
    try:
        return draws_of(lambda: _call(model, zeros, ()), [fact.name for fact in inputs])
    except ConversionError:
        raise
    # What the model's own layers raise is told, with its place, when it is traced.
    except Exception:  # noqa: BLE001
        return ()


def _run(model: Any, samples: Sequence[Sequence[Array]], draws: Sequence[TensorFact]) -> list[list[Array]]:
    # What is drawn need not have the batch as its first axis.
    open_batch = not draws and all(tensor.shape[0] is None for tensor in model.inputs)
    step = _REFERENCE_BATCH if open_batch else 1
    results: list[list[Array]] = []
    for start in range(0, len(samples), step):
        chunk = samples[start : start + step]
        stacked = [np.concatenate(column) for column in zip(*chunk, strict=True)]
        outputs = [np.asarray(tensor) for tensor in _call(model, stacked, draws)]
        results.extend([output[i : i + 1] for output in outputs] for i in range(len(chunk)))
    return results


def _check_inputs(flatbuffer: bytes, inputs: Sequence[TensorFact], name: str) -> None:
    found = [tensor.shape for tensor in inputs_and_outputs(flatbuffer)[0]]
    if found != [fact.shape for fact in inputs]:
        raise ConversionError(
            f"TensorFlow changed the inputs of {name} from {[f.shape for f in inputs]} to {found}.",
            remedy="Remove inputs that the model does not use.",
        )


def _activation(output: Any) -> str | None:
    layer = output._keras_history.operation  # noqa: SLF001 - Keras has no public way to the last layer
    function = getattr(layer, "activation", None)
    if function is not None:
        return str(getattr(function, "__name__", "")) or None
    kind = type(layer).__name__.lower()
    return kind if kind in {"softmax", "sigmoid", "tanh"} else None
