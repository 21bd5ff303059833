"""Fill the counts that ship: the operators of usual generators, and every form of the digits, on the usual boards.

    python benchmarks/fill_counts.py [--profile NAME]… [BUNDLE]…

Run it when `converters/costs/canonical.py`, the way of counting or a profile's runtime release changes, and look at
the difference. Bundles add their operators. Entries that nothing asked for any more stay unless `--prune` is
given. Minutes to an hour, less what is remembered. The files are written to `devices/emulate/counts/`.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_aigc.bundle import read_bundle
from edge_aigc.converters import models
from edge_aigc.converters.costs.meter import CountedMeter
from edge_aigc.converters.costs.speeds import speeds_of
from edge_aigc.converters.costs.tally import tally
from edge_aigc.converters.order import Order
from edge_aigc.converters.pipeline import convert
from edge_aigc.converters.quantize import quantize
from edge_aigc.converters.sources.keras import load_keras
from edge_aigc.converters.specification import Statement, complete
from edge_aigc.devices.catalog import find_profile
from edge_aigc.devices.emulate import remembered
from edge_aigc.devices.emulate.counting import EmulatedCounter
from edge_aigc.priors import draw
from edge_aigc.spec import parse_toml

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from edge_aigc.converters.sources.source import Source
    from edge_aigc.profile import DeviceProfile, RecipeName, Runtime

PROFILES = ("rpi-zero2w", "rpi4", "rpi5", "host")
RECIPES: tuple[RecipeName, ...] = ("float32", "float16", "dynamic", "int8")


class Recording:
    """A counter that keeps what it was asked for."""

    def __init__(self, counter: EmulatedCounter) -> None:
        """Count with another."""
        self._counter = counter
        self.counts: dict[str, int] = {}

    def count(self, flatbuffers: Mapping[str, bytes]) -> dict[str, int]:
        """Return what the other counts."""
        counts = self._counter.count(flatbuffers)
        self.counts |= {remembered.key_of(flatbuffers[name]): count for name, count in counts.items()}
        return counts


def main() -> None:
    """Count and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundles", nargs="*", type=Path)
    parser.add_argument("--profile", action="append", dest="profiles", choices=PROFILES)
    parser.add_argument("--prune", action="store_true")
    arguments = parser.parse_args()
    forms = {path.name: read_bundle(path).flatbuffer for path in arguments.bundles} | dict(usual_forms())
    for name in arguments.profiles or PROFILES:
        counter = EmulatedCounter(find_profile(name), "litert", tell=print)
        fill(counter, forms, find_profile(name), prune=arguments.prune)


def fill(counter: EmulatedCounter, forms: Mapping[str, bytes], profile: DeviceProfile, *, prune: bool) -> None:
    """Count the operators of flatbuffers in one place, and all that `convert` tries, and write the place's file."""
    file = remembered.SHIPPED / remembered.file_name(counter.place)
    before = {} if prune else dict(remembered.shipped(counter.place))
    recording = Recording(counter)
    for name, flatbuffer in forms.items():
        found = tally(flatbuffer, recording)
        print(f"{counter.place}: {name:24} {found.instructions:>15,}", flush=True)
        remembered.write(file, counter.place, before | recording.counts)
    search_digits(recording, profile)
    remembered.write(file, counter.place, before | recording.counts)


def search_digits(counter: Recording, profile: DeviceProfile) -> None:
    """Convert the digits for a board, so that a user's own conversion finds every count that it needs."""
    meter = CountedMeter(counter, speeds_of(profile), where=profile.name)
    spec_file = models.DIGITS_SPEC
    stated = Statement(file=parse_toml(spec_file.read_bytes(), origin=spec_file.name))
    source = load_keras(models.DIGITS)
    spec = complete(source.inputs, source.outputs, stated, default_name="digits")
    runtimes: tuple[Runtime | None, ...] = (None, "litert")
    for runtime in runtimes:
        convert(source, spec, [profile], Order(runtime=runtime), meter_for=lambda _: meter, tell=print)


def usual_forms() -> Iterator[tuple[str, bytes]]:
    """Yield usual generators in every recipe, by name."""
    with tempfile.TemporaryDirectory() as folder:
        for name, path in {"digits": models.DIGITS, **_saved(Path(folder))}.items():
            source = load_keras(path)
            samples = _digits_samples(source) if name == "digits" else _noise(source)
            for recipe in RECIPES:
                yield (
                    f"{name} {recipe}",
                    quantize(source.flatbuffer, recipe, calibration=samples, int8_borders=False),
                )
            older = quantize(source.flatbuffer, "dynamic", calibration=[], int8_borders=False, older_kernels=True)
            yield f"{name} dynamic, for older kernels", older


def _digits_samples(source: Source) -> list[list[Any]]:
    """Return inputs as `convert` calibrates with: a class in one-hot has zero points of its own."""
    stated = Statement(file=parse_toml(models.DIGITS_SPEC.read_bytes(), origin=models.DIGITS_SPEC.name))
    spec = complete(source.inputs, source.outputs, stated, default_name="digits")
    drawn = [draw(spec, seed=seed) for seed in range(8)]
    return [[inputs[fact.name] for fact in source.inputs] for inputs in drawn]


def _noise(source: Source) -> list[list[Any]]:
    dice = np.random.default_rng(1)
    return [[dice.normal(size=fact.shape).astype(np.float32) for fact in source.inputs] for _ in range(2)]


def _saved(folder: Path) -> dict[str, Path]:
    import keras

    made = {}
    for name, build in _NETS.items():
        keras.utils.set_random_seed(1)
        made[name] = folder / f"{name}.keras"
        build(keras.layers).save(made[name])
    return made


def _net(inputs: Any, outputs: Any) -> Any:
    import keras

    return keras.Model(inputs, outputs)


def _dcgan(layers: Any, sides: int, widths: Sequence[int], *, leaky: bool, colours: int) -> Any:
    latent = layers.Input((100,))
    x = layers.Dense(sides * sides * widths[0])(latent)
    x = layers.Reshape((sides, sides, widths[0]))(x)
    for width in widths[1:]:
        x = layers.LeakyReLU()(x) if leaky else layers.ReLU()(x)
        x = layers.Conv2DTranspose(width, 4, 2, "same")(x)
    x = layers.LeakyReLU()(x) if leaky else layers.ReLU()(x)
    return _net(latent, layers.Conv2DTranspose(colours, 4, 2, "same", activation="tanh")(x))


def _tutorial(layers: Any) -> Any:
    """The generator of TensorFlow's DCGAN tutorial."""
    latent = layers.Input((100,))
    x = layers.LeakyReLU()(layers.BatchNormalization()(layers.Dense(7 * 7 * 256, use_bias=False)(latent)))
    x = layers.Reshape((7, 7, 256))(x)
    for width, stride in ((128, 1), (64, 2)):
        x = layers.Conv2DTranspose(width, 5, stride, "same", use_bias=False)(x)
        x = layers.LeakyReLU()(layers.BatchNormalization()(x))
    return _net(latent, layers.Conv2DTranspose(1, 5, 2, "same", use_bias=False, activation="tanh")(x))


def _vae(layers: Any) -> Any:
    """The decoder of Keras's VAE example."""
    latent = layers.Input((2,))
    x = layers.Reshape((7, 7, 64))(layers.Dense(7 * 7 * 64, activation="relu")(latent))
    for width in (64, 32):
        x = layers.Conv2DTranspose(width, 3, 2, "same", activation="relu")(x)
    return _net(latent, layers.Conv2DTranspose(1, 3, padding="same", activation="sigmoid")(x))


def _upsampling(layers: Any) -> Any:
    latent = layers.Input((128,))
    x = layers.Reshape((4, 4, 128))(layers.Dense(4 * 4 * 128)(latent))
    for interpolation in ("nearest", "nearest", "bilinear"):
        before = layers.UpSampling2D(2, interpolation=interpolation)(x)
        x = layers.Conv2D(128, 3, padding="same", activation="relu")(before)
        x = layers.Conv2D(128, 3, padding="same")(x)
        x = layers.ReLU()(layers.Add()([x, before]))
    return _net(latent, layers.Conv2D(3, 3, padding="same", activation="tanh")(x))


def _translator(layers: Any) -> Any:
    """Picture to picture at 32x32: down, residual blocks, up."""
    picture = layers.Input((32, 32, 3))
    x = layers.Conv2D(32, 7, padding="same", activation="relu")(picture)
    x = layers.Conv2D(64, 3, 2, "same", activation="relu")(x)
    for _ in range(2):
        y = layers.Conv2D(64, 3, padding="same", activation="relu")(x)
        x = layers.Add()([x, layers.Conv2D(64, 3, padding="same")(y)])
    x = layers.Conv2DTranspose(32, 3, 2, "same", activation="relu")(x)
    return _net(picture, layers.Conv2D(3, 7, padding="same", activation="tanh")(x))


def _dense(layers: Any) -> Any:
    latent = x = layers.Input((100,))
    for width in (256, 512, 1024):
        x = layers.LeakyReLU()(layers.Dense(width)(x))
    return _net(latent, layers.Dense(784, activation="tanh")(x))


_NETS: Mapping[str, Callable[[Any], Any]] = {
    "dense": _dense,
    "vae": _vae,
    "tutorial": _tutorial,
    "dcgan-32": lambda layers: _dcgan(layers, 4, (256, 128, 64), leaky=True, colours=3),
    "dcgan-64": lambda layers: _dcgan(layers, 4, (256, 128, 64, 32), leaky=False, colours=3),
    "upsampling": _upsampling,
    "translator": _translator,
}


if __name__ == "__main__":
    main()
