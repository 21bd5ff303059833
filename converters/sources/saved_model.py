"""TensorFlow SavedModels: a folder, one of its signatures."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_aigc.converters.graph import inputs_and_outputs, name_borders
from edge_aigc.converters.sources.flatbuffer import output_facts, require_finite
from edge_aigc.converters.sources.source import (
    LIMIT_BYTES,
    Array,
    Reference,
    Source,
    TensorFact,
    Wish,
    clean_name,
    closed,
    first_line,
    require_small,
)
from edge_aigc.converters.sources.tensorflow import flatbuffer_of
from edge_aigc.converters.sources.tensorflow_draws import lift_draws
from edge_aigc.errors import ConversionError, SourceError
from edge_aigc.files import read_whole
from edge_aigc.quiet import stderr_held

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

FILE = "saved_model.pb"
_KERAS = {"serve", "serving_default"}
"""Keras 3 exports one function under both names."""
_REACHING_OUT = frozenset({"ReadFile", "WriteFile", "PyFunc", "PyFuncStateless", "EagerPyFunc"})
"""Operators by which a model could read or write files or call code: no generator needs them."""


def load_saved_model(folder: Path, wish: Wish) -> Source:
    """Load a SavedModel and bring one of its signatures to a float flatbuffer.

    Args:
        folder: Holds `saved_model.pb`.
        wish: The signature, if there are several; sizes that it leaves open.

    Raises:
        FileError: The file cannot be read.
        SourceError: It is damaged, has no such signature, or leaves a size open.
        ConversionError: TensorFlow cannot convert it, or its weights are NaN or infinite.
    """
    content = read_whole(folder / FILE, limit_bytes=LIMIT_BYTES, what="model")
    weight_bytes = sum(file.stat().st_size for file in (folder / "variables").glob("variables.data-*"))
    require_small(weight_bytes, folder.name)
    with stderr_held():
        import tensorflow as tf

        _require_harmless(folder, content)
        try:
            loaded = tf.saved_model.load(str(folder))
        # A damaged folder raises whatever the first reader meets.
        except Exception as exc:
            raise SourceError(
                f"TensorFlow cannot load {folder}: {first_line(exc)}.",
                remedy="Save it again with `model.export(folder)` or `tf.saved_model.save`.",
            ) from exc
        function = _signature(folder, loaded, wish.signature)
        inputs = _inputs(function, wish)
        outputs = sorted(function.structured_outputs)

        def call(*tensors: Any) -> list[Any]:
            made = function(**{name: tensor for (name, _), tensor in zip(inputs, tensors, strict=True)})
            return [made[name] for name in outputs]

        facts = [fact for _, fact in inputs]
        run, drawn = lift_draws(call, facts)
        facts += drawn
        flatbuffer = flatbuffer_of(run, facts, folder.name)
    named = name_borders(flatbuffer, [fact.name for fact in facts], [clean_name(name) for name in outputs])
    require_finite(named, folder.name)
    _require_same(folder, facts, [tensor.shape for tensor in inputs_and_outputs(named)[0]])
    return Source(
        flatbuffer=named,
        inputs=tuple(facts),
        outputs=output_facts(named, [clean_name(name) for name in outputs]),
        reference=_reference(loaded, run, facts),
        framework=f"tensorflow {tf.__version__} saved model",
        file_name=folder.name,
        sha256=hashlib.sha256(content).hexdigest(),
        tools={"tensorflow": tf.__version__},
    )


def _signature(folder: Path, loaded: Any, asked: str | None) -> Any:
    known = list(loaded.signatures)
    if asked is None and set(known) == _KERAS:
        known = ["serving_default"]
    if asked is None and len(known) == 1:
        return loaded.signatures[known[0]]
    if asked in known:
        return loaded.signatures[asked]
    listed = ", ".join(repr(name) for name in known) or "none"
    if not known:
        raise SourceError(
            f"{folder.name} has no signature, so nothing says what goes in.",
            remedy="Save it again with `model.export(folder)`, or `tf.saved_model.save(model, folder, signatures=…)`.",
        )
    raise SourceError(
        f"{folder.name} has the signatures {listed}"
        + (f", none called {asked!r}." if asked else "; one of them is the generator."),
        remedy=f"Choose one with `--signature`, for example `--signature {known[0]}`.",
    )


def _inputs(function: Any, wish: Wish) -> list[tuple[str, TensorFact]]:
    specs = function.structured_input_signature[1]
    found = []
    for place, (name, spec) in enumerate(sorted(specs.items())):
        if spec.shape.rank is None:
            raise SourceError(f"The input {name!r} has no known rank.", remedy="Save it with a shape.")
        shape, is_open = closed(name, list(spec.shape), wish, place=place)
        fact = TensorFact(name=clean_name(name), shape=shape, dtype=spec.dtype.name, open_size=is_open)
        found.append((name, fact))
    return found


def _require_harmless(folder: Path, content: bytes) -> None:
    from tensorflow.core.protobuf import saved_model_pb2

    proto = saved_model_pb2.SavedModel()
    try:
        proto.ParseFromString(content)
    # protobuf's own type, which is not part of its interface.
    except Exception as exc:
        raise SourceError(
            f"{folder / FILE} is damaged: {first_line(exc)}.", remedy="Copy the folder again, or save it again."
        ) from exc
    for graph in proto.meta_graphs:
        nodes = [
            *graph.graph_def.node,
            *(node for entry in graph.graph_def.library.function for node in entry.node_def),
        ]
        kinds = sorted({node.op for node in nodes} & _REACHING_OUT)
        if kinds:
            raise SourceError(
                f"{folder.name} holds {', '.join(kinds)}: a model must not touch files or call code of its own.",
                remedy="Save the generator alone, without its data pipeline.",
            )


def _require_same(folder: Path, facts: Sequence[TensorFact], found: Sequence[tuple[int, ...]]) -> None:
    if list(found) != [fact.shape for fact in facts]:
        raise ConversionError(
            f"TensorFlow changed the inputs of {folder.name} from {[f.shape for f in facts]} to {list(found)}.",
            remedy="Remove inputs that the model does not use.",
        )


def _reference(owner: Any, call: Any, facts: Sequence[TensorFact]) -> Reference:
    import tensorflow as tf

    def run(samples: Sequence[Sequence[Array]]) -> list[list[Array]]:
        # The loaded object owns the variables: it must live as long as its function.
        assert owner is not None
        return [
            [np.asarray(made) for made in call(*map(tf.constant, sample, [fact.dtype for fact in facts]))]
            for sample in samples
        ]

    return run
