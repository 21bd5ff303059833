"""Bundles for tests, made without TensorFlow around the flatbuffers in `data/`."""

from __future__ import annotations

import hashlib
import json
import string
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from edge_aigc import golden
from edge_aigc.bundle import entry_of, read_manifest, write_bundle
from edge_aigc.converters.loops.rollouts import named_run, sampled_steps
from edge_aigc.interpreter import Interpreter
from edge_aigc.loop_spec import Loop, Tokens
from edge_aigc.manifest import (
    EdgeTpu,
    Fidelity,
    Golden,
    Latency,
    Manifest,
    Model,
    OnnxForm,
    Provenance,
    RecipeRecord,
    Tolerance,
)
from edge_aigc.priors import draw
from edge_aigc.spec import Choice, Constant, GeneratorSpec, Normal, Output, Picture
from edge_aigc.vocabulary import parse_vocabulary

if TYPE_CHECKING:
    from edge_aigc.golden import Array

DATA = Path(__file__).parent / "data"
GOLDEN_SEEDS = (1, 2)

TINY = GeneratorSpec(
    name="tiny",
    family="gan",
    inputs=(
        Normal(name="latent", shape=(1, 8)),
        Choice(name="digit", shape=(1, 10), classes=tuple("0123456789")),
    ),
    outputs=(Output(name="image", shape=(1, 8, 8, 1), media="image", range=(-1.0, 1.0)),),
)
NEGATIVE = GeneratorSpec(
    name="negative",
    family="image-to-image",
    inputs=(Picture(name="photo", shape=(1, 8, 8, 3), range=(0.0, 1.0)),),
    outputs=(Output(name="image", shape=(1, 8, 8, 3), media="image", range=(0.0, 1.0)),),
)


LETTERS = GeneratorSpec(
    name="letters",
    family="autoregressive",
    inputs=(
        Tokens(name="tokens", shape=(1, 1), size=28),
        Constant(name="gru_state0", shape=(1, 8)),
    ),
    outputs=(
        Output(name="logits", shape=(1, 1, 28), media="text"),
        Output(name="gru_state0_next", shape=(1, 8), media="raw"),
    ),
    loop=Loop(state={"gru_state0": "gru_state0_next"}, length=20, longest=40),
)
VOCABULARY = json.dumps(
    {"kind": "characters", "tokens": ["<start>", "<stop>", *string.ascii_lowercase], "start": 0, "stop": 1}
).encode()


def letters_bundle(folder: Path, spec: GeneratorSpec = LETTERS, vocabulary: bytes = VOCABULARY) -> Path:
    """Write a valid bundle of the model that writes letters and return its path."""
    flatbuffer = (DATA / "letters.tflite").read_bytes()
    vectors = golden.pack_vectors(_steps(spec, flatbuffer))
    return _write(folder, spec, flatbuffer, vectors, {}, {"vocabulary.json": vocabulary})


def tiny_bundle(folder: Path, **changes: object) -> Path:
    """Write a valid bundle of the tiny digit generator and return its path.

    Args:
        folder: Where; the file is named after the model.
        **changes: Fields of the manifest to replace; `name` renames the specification too.
    """
    return _bundle(folder, TINY, "tiny.tflite", changes)


def negative_bundle(folder: Path, **changes: object) -> Path:
    """Write a valid bundle of the model that takes a picture and return its path."""
    return _bundle(folder, NEGATIVE, "negative.tflite", changes)


def accelerable_bundle(folder: Path, **changes: object) -> Path:
    """Write a bundle of the tiny digit generator that carries its ONNX form, and return its path."""
    vectors = golden.pack_vectors(_vectors(TINY, (DATA / "tiny.tflite").read_bytes()))
    content = {
        "tiny.tflite": (DATA / "tiny.tflite").read_bytes(),
        "golden.npz": vectors,
        "model.onnx": (DATA / "tiny.onnx").read_bytes(),
        "golden-onnx.npz": vectors,
    }
    tolerance = Tolerance(rms=0.01, largest=0.1)
    form = OnnxForm(
        file="model.onnx",
        opset=13,
        golden=Golden(file="golden-onnx.npz", seeds=GOLDEN_SEEDS, tolerance=tolerance),
    )
    manifest = msgspec.structs.replace(
        read_manifest(tiny_bundle(folder)), onnx=form, files={name: entry_of(data) for name, data in content.items()}
    )
    path = folder / "tiny.aigc"
    write_bundle(path, msgspec.structs.replace(manifest, **changes), content)
    return path


def tpu_bundle(folder: Path) -> Path:
    """Write a bundle of the tiny generator that carries a compiled model too."""
    from edgetpu_files import compiled_like

    flatbuffer = (DATA / "tiny.tflite").read_bytes()
    compiled = {"model_edgetpu.tflite": compiled_like(flatbuffer)}
    edgetpu = EdgeTpu(compiled=True, reason="", file="model_edgetpu.tflite", compiler="16.0.384591198")
    changes: dict[str, object] = {"edgetpu": edgetpu, "target": "edgetpu", "profile": "coral-usb"}
    return _write(folder, TINY, flatbuffer, golden.pack_vectors(_vectors(TINY, flatbuffer)), changes, compiled)


def bundle_with_wrong_goldens(folder: Path) -> Path:
    """Write a bundle that is whole but whose golden vectors its model does not make."""
    flatbuffer = (DATA / "tiny.tflite").read_bytes()
    vectors = [
        golden.Vector(seed=v.seed, inputs=v.inputs, outputs={"image": -v.outputs["image"]})
        for v in _vectors(TINY, flatbuffer)
    ]
    return _write(folder, TINY, flatbuffer, golden.pack_vectors(vectors), {})


def bundle_around(flatbuffer: bytes, spec: GeneratorSpec, folder: Path) -> Path:
    """Write a valid bundle of any model and return its path; its golden vectors are made here.

    Args:
        flatbuffer: Inputs and outputs in the specification's order.
        spec: Named as the file will be.
        folder: Where.
    """
    return _write(folder, spec, flatbuffer, golden.pack_vectors(_vectors(spec, flatbuffer)), {})


def _bundle(folder: Path, spec: GeneratorSpec, file: str, changes: dict[str, object]) -> Path:
    if isinstance(name := changes.get("name"), str):
        spec = msgspec.structs.replace(spec, name=name)
    flatbuffer = (DATA / file).read_bytes()
    return _write(folder, spec, flatbuffer, golden.pack_vectors(_vectors(spec, flatbuffer)), changes)


def _vectors(spec: GeneratorSpec, flatbuffer: bytes) -> list[golden.Vector]:
    interpreter = Interpreter(flatbuffer)
    vectors = []
    for seed in GOLDEN_SEEDS:
        inputs = draw(spec, seed=seed, pictures=_pictures(spec, seed))
        made = interpreter.run([inputs[tensor.name] for tensor in spec.inputs])
        outputs = {tensor.name: values for tensor, values in zip(spec.outputs, made, strict=True)}
        vectors.append(golden.Vector(seed=seed, inputs=inputs, outputs=outputs))
    return vectors


def _steps(spec: GeneratorSpec, flatbuffer: bytes) -> list[golden.Vector]:
    names = [tensor.name for tensor in spec.inputs], [tensor.name for tensor in spec.outputs]
    run = named_run(Interpreter(flatbuffer).run, *names)
    vocabulary = parse_vocabulary(VOCABULARY, origin="vocabulary.json")
    samples = sampled_steps(spec, vocabulary, run, first_seed=GOLDEN_SEEDS[0], count=len(GOLDEN_SEEDS))
    return [
        golden.Vector(seed=seed, inputs=inputs, outputs=run(inputs))
        for seed, inputs in zip(GOLDEN_SEEDS, samples, strict=True)
    ]


def _pictures(spec: GeneratorSpec, seed: int) -> dict[str, Array]:
    dice = np.random.default_rng(seed)
    return {tensor.name: dice.random(tensor.shape, dtype=np.float32) for tensor in spec.pictures}


def _write(
    folder: Path,
    spec: GeneratorSpec,
    flatbuffer: bytes,
    vectors: bytes,
    changes: dict[str, object],
    more: dict[str, bytes] | None = None,
) -> Path:
    content = {f"{spec.name}.tflite": flatbuffer, "golden.npz": vectors, **(more or {})}
    manifest = Manifest(
        format=1,
        name=spec.name,
        version=1,
        spec=spec,
        profile="rpi4",
        target="xnnpack",
        runtimes=("litert", "tflite"),
        threads=1,
        model=Model(
            file=f"{spec.name}.tflite",
            inputs=tuple(tensor.name for tensor in spec.inputs),
            outputs=tuple(tensor.name for tensor in spec.outputs),
        ),
        files={name: entry_of(data) for name, data in content.items()},
        golden=Golden(file="golden.npz", seeds=GOLDEN_SEEDS, tolerance=Tolerance(rms=0.002, largest=0.02)),
        recipe=RecipeRecord(name="float32", asked="float32"),
        fidelity=Fidelity(
            metric="psnr_db", value=100.0, samples=2, minimum=30.0, worst_value=100.0, worst_sample=1, on="prior"
        ),
        latency_ms=Latency(value=0.1, how="measured", where="the machine of the tests"),
        provenance=Provenance(
            source="make_tiny.py", source_sha256=hashlib.sha256(flatbuffer).hexdigest(), framework="keras", tools={}
        ),
    )
    path = folder / f"{spec.name}.aigc"
    write_bundle(path, msgspec.structs.replace(manifest, **changes), content)
    return path
