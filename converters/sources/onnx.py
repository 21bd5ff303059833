"""ONNX: `.onnx` files, and what PyTorch exports."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from edge_aigc.converters.graph import inputs_and_outputs
from edge_aigc.converters.sources.flatbuffer import output_facts
from edge_aigc.converters.sources.onnx_draws import lift_draws
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
    not_finite,
    require_small,
)
from edge_aigc.converters.sources.translate.walk import Translated, nodes_of, translate
from edge_aigc.errors import ConversionError, SourceError
from edge_aigc.files import read_whole
from edge_aigc.packages import require_modules

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from edge_aigc.converters.sources.onnx_draws import Draw

Run: TypeAlias = "Callable[[Sequence[Array]], Sequence[Array]]"
"""One sample's inputs to outputs."""

_OLDEST = 7
"""Before, broadcasting had an axis of its own (ONNX, Changelog, Add-7)."""
_NEWEST = 24
"""The newest whose operators the translation was written against."""
_TYPES = {1: "float32", 10: "float32", 11: "float32", 16: "float32", 6: "int32", 7: "int32", 9: "bool"}
"""ONNX's numbers of types (`TensorProto.DataType`) that an input may have, and what they become."""
_WEIGHED = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul", "BatchNormalization", "InstanceNormalization",
                      "LayerNormalization", "GroupNormalization", "PRelu", "GRU", "LSTM", "RNN"})  # fmt: skip
"""Operators whose constants are weights; elsewhere an infinity may be meant, as in a mask."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """What is told of an ONNX model that it does not hold itself."""

    file_name: str
    sha256: str
    framework: str
    tools: dict[str, str]
    output_names: tuple[str, ...] | None = None


def load_onnx(path: Path, wish: Wish) -> Source:
    """Load an `.onnx` file and bring it to a float flatbuffer.

    Args:
        path: The file; weights kept beside it are read too.
        wish: Sizes that it leaves open.

    Raises:
        FileError: The file cannot be read.
        RuntimeMissingError: onnx or onnxruntime is not installed.
        SourceError: It is no ONNX model, of an opset that is not known, or leaves a size open.
        ConversionError: It has operators that are not translated, or weights that no generator has.
    """
    require_onnx()
    import onnx
    import onnxruntime

    content = read_whole(path, limit_bytes=LIMIT_BYTES, what="model")
    remedy = "Export it again, with a tool that writes `.onnx`; `onnx.checker` tells more."
    try:
        model = onnx.load_model_from_string(content)
        # The checker's words for an opset that it does not know would not help.
        _require_opset(model, path.name)
        onnx.checker.check_model(str(path))
        onnx.load_external_data_for_model(model, str(path.parent))
    except SourceError:
        raise
    # protobuf and the checker raise types of their own.
    except Exception as exc:
        raise SourceError(f"{path} is not an ONNX model: {first_line(exc)}.", remedy=remedy) from exc
    labels = Labels(
        file_name=path.name,
        sha256=hashlib.sha256(content).hexdigest(),
        framework=f"onnx {onnx.__version__}",
        tools={"onnx": onnx.__version__, "onnxruntime": onnxruntime.__version__},
    )
    return source_of(model, wish, labels, None)


def source_of(model: Any, wish: Wish, labels: Labels, run: Callable[[Sequence[Draw]], Run] | None) -> Source:
    """Bring a loaded ONNX model to a float flatbuffer.

    Args:
        model: `onnx.ModelProto`, weights and all.
        wish: Sizes that it leaves open.
        labels: What is told of it.
        run: From what is drawn at random to the framework that it comes from: one sample's inputs, those draws last,
            to outputs in ONNX's own layout and order; None: ONNX Runtime.
    """
    _require_opset(model, labels.file_name)
    model = _inlined(model)
    graph = model.graph
    require_small(_weight_bytes(graph), labels.file_name)
    _require_finite(graph, labels.file_name)
    shapes = _inputs(graph, wish)
    model, drawn = lift_draws(model, {name: shape for name, (shape, _, _) in shapes.items()})
    shapes |= {draw.name: (draw.shape, "float32", False) for draw in drawn}
    priors = {draw.name: draw.prior for draw in drawn}
    outputs = [clean_name(name) for name in labels.output_names or [output.name for output in graph.output]]
    names = [clean_name(name) for name in shapes]
    wanted = {name: (shape, dtype.upper()) for name, (shape, dtype, _) in shapes.items()}
    made = translate(model, wanted, (names, outputs), list(priors))
    taken, _ = inputs_and_outputs(made.flatbuffer)
    return Source(
        flatbuffer=made.flatbuffer,
        inputs=tuple(
            TensorFact(name=name, shape=tensor.shape, dtype=dtype, open_size=is_open, prior=priors.get(name))
            for name, tensor, (_, dtype, is_open) in zip(names, taken, shapes.values(), strict=True)
        ),
        outputs=output_facts(made.flatbuffer, outputs),
        reference=_reference(_session(model) if run is None else run(drawn), made),
        framework=labels.framework,
        file_name=labels.file_name,
        sha256=labels.sha256,
        tools=labels.tools,
    )


def require_onnx() -> None:
    """Refuse early where the extra is missing.

    Raises:
        RuntimeMissingError: Names what is not installed.
    """
    require_modules("An ONNX model", ("onnx", "onnxruntime"), extra="convert,onnx")


def _require_opset(model: Any, name: str) -> None:
    versions = [int(entry.version) for entry in model.opset_import if entry.domain in {"", "ai.onnx"}]
    if not versions and not model.graph.node:
        raise SourceError(
            f"{name} is not an ONNX model: there is no graph in it.", remedy="Export it again, or copy it again."
        )
    opset = versions[0] if versions else 1
    if not _OLDEST <= opset <= _NEWEST:
        raise SourceError(
            f"{name} is of ONNX opset {opset}; opsets {_OLDEST} to {_NEWEST} are understood.",
            remedy="Export it again with `opset_version=20`, or change it with `onnx.version_converter`.",
        )


def _inlined(model: Any) -> Any:
    if not model.functions:
        return model
    from onnx import inliner

    return inliner.inline_local_functions(model)


def _weight_bytes(graph: Any) -> int:
    return sum(int(np.prod(tensor.dims, dtype=np.int64)) * 4 for tensor in graph.initializer)


def _require_finite(graph: Any, name: str) -> None:
    from onnx import numpy_helper

    weighed = {entry for node in nodes_of(graph) if node.op_type in _WEIGHED for entry in node.input}
    wrong = []
    for tensor in graph.initializer:
        data = numpy_helper.to_array(tensor)
        if data.dtype.kind != "f":
            continue
        if np.isnan(data).any() or (tensor.name in weighed and not np.isfinite(data).all()):
            wrong.append(tensor.name)
    if wrong:
        raise not_finite(wrong, name)


def _inputs(graph: Any, wish: Wish) -> dict[str, tuple[tuple[int, ...], str, bool]]:
    """Return shape, type and whether it was open of each input that is no weight."""
    weights = {tensor.name for tensor in graph.initializer}
    found = {}
    for place, entry in enumerate(entry for entry in graph.input if entry.name not in weights):
        kind = entry.type.tensor_type
        if kind.elem_type not in _TYPES:
            raise ConversionError(
                f"The input {entry.name!r} has the ONNX type number {kind.elem_type}.",
                remedy="Export the model with float32 or int32 inputs.",
            )
        sizes = [size.dim_value if size.HasField("dim_value") else None for size in kind.shape.dim]
        shape, is_open = closed(entry.name, sizes, wish, place=place)
        found[entry.name] = shape, _TYPES[kind.elem_type], is_open
    return found


def _session(model: Any) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors; it warns of every initializer that it folds
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    # onnxruntime raises types of its own, none of which share a base.
    except Exception as exc:
        raise ConversionError(
            f"ONNX Runtime, which the conversion is compared with, refuses the model: {first_line(exc)}.",
            remedy="Check it with `onnx.checker`, and export it again.",
        ) from exc
    names = [entry.name for entry in session.get_inputs()]
    kinds = [_NUMPY.get(entry.type, np.float32) for entry in session.get_inputs()]

    def run(inputs: Sequence[Array]) -> Sequence[Array]:
        feeds = {name: np.asarray(x).astype(kind) for name, x, kind in zip(names, inputs, kinds, strict=True)}
        return list(session.run(None, feeds))

    return run


_NUMPY: Mapping[str, Any] = {
    "tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64,
    "tensor(int32)": np.int32, "tensor(int64)": np.int64, "tensor(bool)": np.bool_,
}  # fmt: skip


def _reference(run: Run, made: Translated) -> Reference:
    """Return the framework as one that takes and gives channels last."""

    def reference(samples: Sequence[Sequence[Array]]) -> list[list[Array]]:
        results = []
        for sample in samples:
            theirs = [x.transpose(np.argsort(order)) for x, order in zip(sample, made.inputs, strict=True)]
            outputs = run(theirs)
            results.append([_ours(y, order) for y, order in zip(outputs, made.outputs, strict=True)])
        return results

    return reference


def _ours(y: Array, order: tuple[int, ...]) -> Array:
    moved = np.ascontiguousarray(np.asarray(y).transpose(order))
    if moved.dtype.kind == "f":
        return moved.astype(np.float32)
    return moved.astype(np.int32) if moved.dtype == np.int64 else moved
