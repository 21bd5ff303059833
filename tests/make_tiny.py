"""Make the smallest generators that the tests serve. Run by hand, with TensorFlow.

`data/tiny.tflite`: one dense layer, seeded; a latent and a one-hot digit in, an 8x8 grey picture out.
`data/tiny.onnx`: the same, as `convert --onnx` makes it.
`data/negative.tflite`: an 8x8 colour picture in, its negative out.
`data/letters.tflite`: the step graph of a GRU over the letters a to z, a start and a stop.
`../devices/doctor/probe.tflite`: 0.5 x + 0.25 for four values, which `doctor` tries runtimes with.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import keras
import tensorflow as tf

from edge_aigc.converters.graph import name_borders
from edge_aigc.converters.loops.keras import looped
from edge_aigc.converters.loops.wanted import Wanted
from edge_aigc.converters.onnx.form import to_onnx
from edge_aigc.converters.sources.keras import load_keras

HERE = Path(__file__).parent
LIMIT_BYTES = 10_000
"""It is committed, and every test loads it."""


def main() -> None:
    """Write the flatbuffers."""
    keras.utils.set_random_seed(1)
    folders = {"tiny": HERE / "data", "negative": HERE / "data", "probe": HERE.parent / "devices" / "doctor"}
    for name, model in (("tiny", tiny()), ("negative", negative()), ("probe", probe())):
        flatbuffer: bytes = tf.lite.TFLiteConverter.from_keras_model(model).convert()
        if len(flatbuffer) > LIMIT_BYTES:
            raise SystemExit(f"{name} has {len(flatbuffer):,} B, more than {LIMIT_BYTES:,} B")
        target = folders[name] / f"{name}.tflite"
        target.write_bytes(flatbuffer)
        print(f"{target.name}: {len(flatbuffer):,} B")  # noqa: T201 - its result
        if name == "tiny":
            named = name_borders(flatbuffer, ["latent", "digit"], ["image"])
            target.with_suffix(".onnx").write_bytes(to_onnx(named))
    make_letters(folders["tiny"] / "letters.tflite")


def make_letters(target: Path) -> None:
    """Write the step graph of a GRU: tokens [1, 1] and its state [1, 8] to logits [1, 1, 28] and the next state."""
    keras.utils.set_random_seed(1)
    tokens = keras.Input((None,), dtype="int32", name="tokens")
    x = keras.layers.Embedding(28, 8, embeddings_initializer=keras.initializers.RandomNormal(stddev=1.0))(tokens)
    x = keras.layers.GRU(8, return_sequences=True, name="gru")(x)
    spread = keras.initializers.RandomNormal(stddev=2.0)
    model = keras.Model(tokens, keras.layers.Dense(28, kernel_initializer=spread)(x))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "letters.keras"
        model.save(path)
        flatbuffer = load_keras(path, adapt=lambda whole: looped(whole, Wanted())).flatbuffer
    target.write_bytes(flatbuffer)
    print(f"{target.name}: {len(flatbuffer):,} B")  # noqa: T201 - its result


def tiny() -> keras.Model:
    """Return latent [1, 8] and digit [1, 10] to image [1, 8, 8, 1] in [-1, 1]."""
    latent = keras.Input(batch_shape=(1, 8), name="latent")
    digit = keras.Input(batch_shape=(1, 10), name="digit")
    spread = keras.initializers.RandomNormal(stddev=0.5)
    pixels = keras.layers.Dense(64, activation="tanh", kernel_initializer=spread)(
        keras.layers.Concatenate()([latent, digit])
    )
    return keras.Model([latent, digit], keras.layers.Reshape((8, 8, 1), name="image")(pixels))


def negative() -> keras.Model:
    """Return photo [1, 8, 8, 3] in [0, 1] to image [1, 8, 8, 3] in [0, 1]."""
    photo = keras.Input(batch_shape=(1, 8, 8, 3), name="photo")
    return keras.Model(photo, keras.layers.Rescaling(-1.0, offset=1.0, name="image")(photo))


def probe() -> keras.Model:
    """Return x [1, 4] to 0.5 x + 0.25."""
    x = keras.Input(batch_shape=(1, 4), name="x")
    layer = keras.layers.Dense(
        4, kernel_initializer=keras.initializers.Identity(gain=0.5), bias_initializer=keras.initializers.Constant(0.25)
    )
    return keras.Model(x, layer(x))


if __name__ == "__main__":
    main()
