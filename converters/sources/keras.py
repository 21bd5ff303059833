"""Keras 3: `.keras` files.

The model is traced at a static batch of 1, its variables frozen into constants, and the frozen graph
converted. (`from_concrete_functions` without freezing leaves the weights of a Keras 3 model out, and
`from_keras_model` writes and reads a SavedModel on the way, which takes several times as long.)
"""

from __future__ import annotations

import hashlib
import re
import zipfile
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge_aigc.converters.graph import inputs_and_outputs, name_borders
from edge_aigc.converters.sources.source import Source, TensorFact
from edge_aigc.errors import ConversionError, SourceError
from edge_aigc.files import read_whole
from edge_aigc.quiet import stderr_held

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

Array: TypeAlias = NDArray[Any]

_LIMIT_BYTES = 2 << 30
"""A flatbuffer cannot hold more."""
_REFERENCE_BATCH = 16
"""Samples that the source runs at once when it takes any batch: enough to be quick, little memory."""
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_.-]")


def load_keras(
    path: Path, *, input_size: tuple[int, int] | None = None, adapt: Callable[[Any], Any] | None = None
) -> Source:
    """Load a `.keras` file and bring it to a float flatbuffer.

    Args:
        path: The file.
        input_size: Height and width for inputs that leave them open.
        adapt: What makes another model of it before it is converted, as a loop needs one.

    Raises:
        FileError: The file cannot be read.
        SourceError: It is not a Keras model that can be loaded safely, or leaves a size open.
        ConversionError: TensorFlow cannot convert it.
    """
    content = read_whole(path, limit_bytes=_LIMIT_BYTES, what="model")
    with stderr_held() as words:
        import keras
        import tensorflow as tf

        model = _loaded(path)
        if adapt is not None:
            model = adapt(model)
        inputs = tuple(_input_fact(tensor, input_size) for tensor in model.inputs)
        outputs_named = [_clean(name) for name in model.output_names]
        try:
            flatbuffer = _flatbuffer(model, inputs)
        # The converter raises its own type, and whatever Keras layers raise while they are traced.
        except Exception as exc:
            raise ConversionError(
                f"TensorFlow cannot convert {path.name}: {_first_line(exc) or words()}.",
                remedy="Replace the operator that it names, or build the model without it for inference.",
            ) from exc
    named = name_borders(flatbuffer, [fact.name for fact in inputs], outputs_named)
    _check_inputs(named, inputs, path)
    return Source(
        flatbuffer=named,
        inputs=inputs,
        outputs=tuple(
            TensorFact(name=tensor.name, shape=tensor.shape, dtype=tensor.dtype.lower(), activation=_activation(output))
            for tensor, output in zip(inputs_and_outputs(named)[1], model.outputs, strict=True)
        ),
        reference=lambda samples: _run(model, samples),
        framework=f"keras {keras.__version__}",
        file_name=path.name,
        sha256=hashlib.sha256(content).hexdigest(),
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
        raise SourceError(f"Keras cannot load {path}: {_first_line(exc)}.", remedy=remedy) from exc
    if not getattr(model, "inputs", None) or not getattr(model, "outputs", None):
        raise SourceError(
            f"{path} holds a model whose inputs are not known before it is called.",
            remedy="Wrap it in a functional model: `keras.Model(inputs, model(inputs))`.",
        )
    return model


def _input_fact(tensor: Any, input_size: tuple[int, int] | None) -> TensorFact:
    name = _clean(tensor.name)
    shape = tuple(tensor.shape)[1:]
    open_axes = [axis for axis, size in enumerate(shape) if size is None]
    sizes = list(shape)
    if open_axes:
        if len(open_axes) != 2 or input_size is None:  # noqa: PLR2004 - height and width
            shown = ["any" if size is None else size for size in shape]
            raise SourceError(
                f"The input {name!r} has the open shape {shown}; a device needs one size.",
                remedy="State height and width with `--input-size HEIGHTxWIDTH`."
                if len(open_axes) == 2  # noqa: PLR2004 - height and width
                else "Save the model with that size fixed.",
            )
        for axis, size in zip(open_axes, input_size, strict=True):
            sizes[axis] = size
    batch = tensor.shape[0]
    if batch not in {None, 1}:
        raise SourceError(
            f"The input {name!r} has a fixed batch of {batch}; a device makes one sample at a time.",
            remedy="Save the model with a batch of 1 or an open one.",
        )
    return TensorFact(name=name, shape=(1, *map(int, sizes)), dtype=str(tensor.dtype), open_size=bool(open_axes))


def _flatbuffer(model: Any, inputs: Sequence[TensorFact]) -> bytes:
    import keras
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    def call(*tensors: Any) -> list[Any]:
        structure = keras.tree.pack_sequence_as(model.input, list(tensors))
        return list(keras.tree.flatten(model(structure, training=False)))

    specs = [tf.TensorSpec(fact.shape, fact.dtype, name=fact.name) for fact in inputs]
    traced = tf.function(call, autograph=False).get_concrete_function(*specs)
    frozen = convert_variables_to_constants_v2(traced)
    return bytes(tf.lite.TFLiteConverter.from_concrete_functions([frozen]).convert())


def _run(model: Any, samples: Sequence[Sequence[Array]]) -> list[list[Array]]:
    import keras

    open_batch = all(tensor.shape[0] is None for tensor in model.inputs)
    step = _REFERENCE_BATCH if open_batch else 1
    results: list[list[Array]] = []
    for start in range(0, len(samples), step):
        chunk = samples[start : start + step]
        stacked = [np.concatenate(column) for column in zip(*chunk, strict=True)]
        structure = keras.tree.pack_sequence_as(model.input, stacked)
        outputs = [np.asarray(tensor) for tensor in keras.tree.flatten(model(structure, training=False))]
        results.extend([output[i : i + 1] for output in outputs] for i in range(len(chunk)))
    return results


def _check_inputs(flatbuffer: bytes, inputs: Sequence[TensorFact], path: Path) -> None:
    found = [tensor.shape for tensor in inputs_and_outputs(flatbuffer)[0]]
    if found != [fact.shape for fact in inputs]:
        raise ConversionError(
            f"TensorFlow changed the inputs of {path.name} from {[f.shape for f in inputs]} to {found}.",
            remedy="Remove inputs that the model does not use.",
        )


def _activation(output: Any) -> str | None:
    layer = output._keras_history.operation  # noqa: SLF001 - Keras has no public way to the last layer
    function = getattr(layer, "activation", None)
    if function is not None:
        return str(getattr(function, "__name__", "")) or None
    kind = type(layer).__name__.lower()
    return kind if kind in {"softmax", "sigmoid", "tanh"} else None


def _clean(name: str) -> str:
    return _NOT_IN_NAMES.sub("_", name)[:64].lstrip(".-") or "tensor"


def _first_line(exc: BaseException) -> str:
    text = str(exc).strip()
    return text.splitlines()[0].rstrip(".") if text else type(exc).__name__
