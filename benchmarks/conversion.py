"""What our conversion costs beside TensorFlow's own.

    python benchmarks/conversion.py [MODEL.keras --size HEIGHTxWIDTH --calibration DIR]

Times, in turns within one process and with all imports done, for every recipe:

- ours: load the file, specification, float flatbuffer, quantization, fidelity over 64 seeds, timing, golden
  vectors, the bundle on disk (`--recipe X`, so without search);
- raw: load the file, `TFLiteConverter.from_keras_model` with the same optimizations, and for int8 the same
  number of calibration samples, the flatbuffer on disk.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from edge_aigc.bundle import write_bundle
from edge_aigc.converters import calibrate
from edge_aigc.converters.models import DIGITS, DIGITS_SPEC
from edge_aigc.converters.order import Order
from edge_aigc.converters.pipeline import convert
from edge_aigc.converters.sources.keras import load_keras
from edge_aigc.converters.sources.source import Wish
from edge_aigc.converters.specification import Statement, complete
from edge_aigc.devices.catalog import find_profile
from edge_aigc.devices.timing import TimedHere
from edge_aigc.quiet import stderr_held
from edge_aigc.spec import GeneratorSpec, parse_toml

LIMIT = 1.5
RECIPES = ("float32", "float16", "dynamic", "int8")
ROUNDS = 5


def main() -> None:
    """Print a line for each recipe; exit 1 if one is beyond the limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", type=Path, default=DIGITS)
    parser.add_argument("--size", help="HEIGHTxWIDTH for a model that takes pictures of any size")
    parser.add_argument("--calibration", type=Path, help="pictures for it")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    size = tuple(int(part) for part in options.size.split("x")) if options.size else None
    results = [compare(options.model, recipe, size, options.calibration) for recipe in RECIPES]
    if options.json:
        print(json.dumps({"model": options.model.name, "limit": LIMIT, "results": results}))
    for row in [] if options.json else results:
        print(
            f"{row['recipe']:8} ours {row['ours_s']:6.2f} s  raw {row['raw_s']:6.2f} s  "
            f"ratio {row['ratio']:.2f} ({row['ratio_min']:.2f} to {row['ratio_max']:.2f})"
        )
    sys.exit(any(row["ratio"] > LIMIT for row in results))


def compare(model: Path, recipe: Any, size: Any, pictures: Path | None) -> dict[str, Any]:
    """Return medians and the ratio pair by pair; the first pair warms up and is not counted."""
    pairs = []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(ROUNDS + 1):
            ours = timed(lambda: our_way(model, recipe, size, pictures, Path(folder)))
            raw = timed(lambda: raw_way(model, recipe, size, Path(folder)))
            pairs.append((ours, raw))
    pairs = pairs[1:]
    ratios = [ours / raw for ours, raw in pairs]
    return {
        "recipe": recipe,
        "ours_s": round(statistics.median(ours for ours, _ in pairs), 3),
        "raw_s": round(statistics.median(raw for _, raw in pairs), 3),
        "ratio": round(statistics.median(ratios), 3),
        "ratio_min": round(min(ratios), 3),
        "ratio_max": round(max(ratios), 3),
    }


def timed(work: Any) -> float:
    """Return the seconds that a call takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def our_way(model: Path, recipe: Any, size: Any, pictures: Path | None, folder: Path) -> None:
    """Convert as `edge-aigc convert --recipe` does."""
    source = load_keras(model, Wish(input_size=size))
    spec = specification(model, source)
    order = Order(recipe=recipe, runtime="litert", input_size=size, pictures=pictures, min_fidelity=0)
    drafts = convert(source, spec, [find_profile("rpi4")], order, meter_for=lambda _: TimedHere(), tell=lambda _: None)
    write_bundle(folder / "ours.aigc", drafts[0].manifest, drafts[0].content)


def specification(model: Path, source: Any) -> GeneratorSpec:
    """Return the digits' own specification, or for another model pictures in [0, 1]."""
    if model == DIGITS:
        stated = Statement(file=parse_toml(DIGITS_SPEC.read_bytes(), origin=DIGITS_SPEC.name))
    else:
        stated = Statement(ranges={"": (0.0, 1.0)})
    return complete(source.inputs, source.outputs, stated, default_name="model")


def raw_way(model: Path, recipe: Any, size: Any, folder: Path) -> None:
    """Convert as TensorFlow's guide shows, at a batch of 1 (at an open size the converter fails)."""
    import keras
    import tensorflow as tf

    loaded = keras.models.load_model(model, compile=False)
    shapes = [(1, *(tensor.shape[1:] if size is None else (*size, tensor.shape[-1]))) for tensor in loaded.inputs]
    inputs = [keras.Input(batch_shape=shape, name=t.name) for shape, t in zip(shapes, loaded.inputs, strict=True)]
    fixed = keras.Model(inputs, loaded(keras.tree.pack_sequence_as(loaded.input, inputs)))
    converter = tf.lite.TFLiteConverter.from_keras_model(fixed)
    if recipe != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if recipe == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if recipe == "int8":
        dice = np.random.default_rng(0)
        samples = [[dice.random(shape, np.float32) for shape in shapes] for _ in range(calibrate.CALIBRATE_SAMPLES)]
        converter.representative_dataset = lambda: iter(samples)
    with stderr_held():
        (folder / "raw.tflite").write_bytes(converter.convert())


if __name__ == "__main__":
    main()
