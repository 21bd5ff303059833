"""What the suite compares: each net in the forms that its users would otherwise run. Made once, then kept.

- ``naive_batch1``, ``naive_batch_none``: TensorFlow's converter, batch fixed or open, float32.
- ``default_dynamic``: the same with `Optimize.DEFAULT`.
- ``aeq_int8``: litert-quantizer's recipe `static_wi8_ai8`, calibrated on four samples.
- ``tf2onnx``: the naive flatbuffer translated to ONNX.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_aigc.converters import graph
from edge_aigc.files import cache_folder
from edge_aigc.quiet import stderr_held

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from generators.net import Array, Net

BENCHMARKS = Path(__file__).resolve().parents[1]
CALIBRATION_SEEDS = (11, 12, 13, 14)
VERIFY_SEED = 1
_FORMS_VERSION = 1
"""Raise it when this file makes other forms."""
FLATBUFFERS = ("naive_batch1", "naive_batch_none", "default_dynamic", "aeq_int8")


@dataclass(frozen=True, slots=True, kw_only=True)
class Forms:
    """A net, made."""

    net: Net
    folder: Path
    inputs: list[Array]
    """One sample, channels last."""
    reference: list[Array]
    """What Keras makes of it."""
    flatbuffers: Mapping[str, bytes]
    onnx: Mapping[str, Path]
    missing: Mapping[str, str]
    """Forms that cannot be made, and why."""


def forms_of(net: Net, tell: Callable[[str], None]) -> Forms:
    """Return a net's forms; from the cache if the code that makes them is the same."""
    folder = cache_folder() / "suite" / f"{net.name}-{_fingerprint(net)}"
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "reference.npz").is_file():
        tell(f"{net.name}: building it in Keras")
        with stderr_held(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # TensorFlow's and the quantizer's, of themselves
            _make(net, folder)
    flatbuffers, missing = {}, {}
    for name in FLATBUFFERS:
        if (folder / f"{name}.tflite").is_file():
            flatbuffers[name] = (folder / f"{name}.tflite").read_bytes()
        else:
            missing[name] = (folder / f"{name}.missing").read_text()
    onnx = folder / "tf2onnx.onnx"
    with np.load(folder / "reference.npz") as kept:
        reference = [kept[f"arr_{index}"] for index in range(len(kept.files))]
    return Forms(
        net=net,
        folder=folder,
        inputs=net.draw(VERIFY_SEED),
        reference=reference,
        flatbuffers=flatbuffers,
        onnx={"tf2onnx": onnx} if onnx.is_file() else {},
        missing=missing,
    )


def _fingerprint(net: Net) -> str:
    own = Path(sys.modules[net.build.__module__].__file__ or "")
    files = (own, BENCHMARKS / "generators" / "net.py", BENCHMARKS / "generators" / "keras_layers.py")
    content = b"\0".join(file.read_bytes() for file in files) + bytes([_FORMS_VERSION])
    return hashlib.sha256(content).hexdigest()[:12]


def _make(net: Net, folder: Path) -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from generators.keras_layers import keras_model

    model = keras_model(net, batch=1)
    naive = _converted(net, model, batch=1)
    makers: dict[str, Callable[[], bytes]] = {
        "naive_batch1.tflite": lambda: naive,
        "naive_batch_none.tflite": lambda: _converted(net, keras_model(net, batch=None), batch=None),
        "default_dynamic.tflite": lambda: _converted(net, model, batch=1, optimize=True),
        "aeq_int8.tflite": lambda: _aeq_int8(net, naive),
        "tf2onnx.onnx": lambda: _tf2onnx(naive),
    }
    for name, make in makers.items():
        path = folder / name
        try:
            path.write_bytes(make())
        except Exception as exc:  # noqa: BLE001 - a competitor that fails is a row in the table, whatever it raises
            path.with_suffix(".missing").write_text(f"{type(exc).__name__}: {str(exc).strip().splitlines()[0][:200]}")
    outputs = model([*net.draw(VERIFY_SEED)], training=False)
    import keras

    np.savez(folder / "reference.npz", *(np.asarray(output) for output in keras.tree.flatten(outputs)))


def _converted(net: Net, model: Any, *, batch: int | None, optimize: bool = False) -> bytes:
    import keras
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    def call(*tensors: Any) -> list[Any]:
        return list(keras.tree.flatten(model(list(tensors), training=False)))

    specs = [
        tf.TensorSpec((batch, *fact.shape), "int32" if fact.kind == "index" else "float32", name=fact.name)
        for fact in net.inputs
    ]
    traced = tf.function(call, autograph=False).get_concrete_function(*specs)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([convert_variables_to_constants_v2(traced)])
    converter.optimizations = [tf.lite.Optimize.DEFAULT] if optimize else []
    flatbuffer = bytes(converter.convert())
    outputs = [f"output{index}" for index in range(len(graph.inputs_and_outputs(flatbuffer)[1]))]
    return graph.name_borders(flatbuffer, [fact.name for fact in net.inputs], outputs)


def _aeq_int8(net: Net, naive: bytes) -> bytes:
    from litert_quantizer import quantizer, recipe

    work = quantizer.Quantizer(_signed(naive), recipe.static_wi8_ai8())
    names = [fact.name for fact in net.inputs]
    samples = [dict(zip(names, net.draw(seed), strict=True)) for seed in CALIBRATION_SEEDS]
    with contextlib.redirect_stdout(io.StringIO()):
        found = work.calibrate({_SIGNATURE: samples}, num_threads=1)
        return bytes(work.quantize(found).quantized_model)


_SIGNATURE = "serving_default"


def _signed(flatbuffer: bytes) -> bytes:
    """Return a flatbuffer with the signature that litert-quantizer calibrates by."""
    from ai_edge_litert import schema_py_generated as schema

    model = graph.parse(flatbuffer)
    subgraph = model.subgraphs[0]
    signature = schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = _SIGNATURE, 0
    signature.inputs, signature.outputs = (_map(subgraph, indices) for indices in (subgraph.inputs, subgraph.outputs))
    model.signatureDefs = [signature]
    return graph.serialize(model)


def _map(subgraph: Any, indices: Any) -> list[Any]:
    from ai_edge_litert import schema_py_generated as schema

    entries = []
    for index in indices:
        entry = schema.TensorMapT()
        entry.name, entry.tensorIndex = subgraph.tensors[index].name, int(index)
        entries.append(entry)
    return entries


def _tf2onnx(naive: bytes) -> bytes:
    from edge_aigc.converters.onnx.form import to_onnx

    return to_onnx(naive)
