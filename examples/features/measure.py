"""Which features order damage better: those of the trained net, of one with random weights, or bare pixels.

    python examples/features/measure.py [features.npz]

Three kinds of pictures (digits; faces and crops of photographs, which scikit-image ships and the net never saw),
six kinds of damage, each in six levels, 64 samples, several draws. Told of each: the share of steps from a level to
the next at which the Fréchet distance grows, and the distance at the weakest level as a share of what merely other
seeds change. Then the diversity that is left when modes are missing, which is where the bound of a collapse comes from.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from edge_aigc.converters.fidelity import features
from edge_aigc.converters.fidelity.distribution import frechet, mean_distance
from edge_aigc.spec import Output

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

sys.path.insert(0, str(Path(__file__).parent.parent / "digits"))
from fonts import Jitter, find, on_side, pictures, read_faces

Float32 = NDArray[np.float32]
COUNT, DRAWS = 64, 6
PHOTOS = ("astronaut", "chelsea", "coffee", "rocket", "cat", "brick", "grass", "gravel", "moon", "coins")


def sets() -> dict[str, tuple[Float32, NDArray[np.int64]]]:
    """Return pictures (n, side, side, 3) in [0, 1] and the mode of each: its digit, person or photograph."""
    import skimage.data

    drawn, digits = pictures(on_side(read_faces(find()), "exam"), variants=6, seed=0, jitter=Jitter())
    faces = np.load(Path(skimage.data.__file__).parent / "lfw_subset.npy")[:100].astype(np.float32)
    rng = np.random.default_rng(0)
    crops, sources = [], []
    for index, name in enumerate(PHOTOS):
        photo = np.asarray(Image.fromarray(getattr(skimage.data, name)()).convert("RGB"), np.float32) / 255
        for _ in range(100):
            top, left = (int(rng.integers(size - 128)) for size in photo.shape[:2])
            crops.append(photo[top : top + 128, left : left + 128].reshape(64, 2, 64, 2, 3).mean((1, 3)))
            sources.append(index)
    return {
        "digits": (_rgb(drawn / np.float32(255)), digits),
        "faces": (_rgb(faces / faces.max()), np.arange(100) % 10),
        "photos": (np.stack(crops), np.array(sources)),
    }


def _rgb(grey: Float32) -> Float32:
    return np.repeat(grey[..., None], 3, axis=-1).astype(np.float32)


def _noise(x: Float32, level: float, rng: np.random.Generator) -> Float32:
    return np.clip(x + level * rng.standard_normal(x.shape, np.float32), 0, 1)


def _each(change: Callable[[Image.Image, float], Image.Image]) -> Callable[..., Float32]:
    def changed(x: Float32, level: float, rng: np.random.Generator) -> Float32:
        del rng
        whole = [Image.fromarray(np.rint(255 * one).astype(np.uint8)) for one in x]
        return np.stack([np.asarray(change(one, level), np.float32) / 255 for one in whole])

    return changed


def _jpeg(picture: Image.Image, level: float) -> Image.Image:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=int(level))
    return Image.open(buffer).convert("RGB")


def _stepped(x: Float32, level: float, rng: np.random.Generator) -> Float32:
    del rng
    return np.rint(x * level) / np.float32(level)


def _faded(x: Float32, level: float, rng: np.random.Generator) -> Float32:
    del rng
    return 0.5 + (x - 0.5) * np.float32(1 - level)


DAMAGE: Mapping[str, tuple[Callable[..., Float32], tuple[float, ...]]] = {
    "noise": (_noise, (0.01, 0.02, 0.04, 0.08, 0.16, 0.32)),
    "blur": (_each(lambda p, level: p.filter(ImageFilter.GaussianBlur(level))), (0.3, 0.5, 0.7, 1.0, 1.5, 2.5)),
    "levels": (_stepped, (63, 31, 15, 7, 3, 2)),
    "jpeg": (_each(_jpeg), (95, 80, 60, 40, 20, 5)),
    "contrast": (_faded, (0.02, 0.05, 0.1, 0.2, 0.4, 0.6)),
}
KEPT_MODES = (9, 8, 7, 5, 3, 1)


def trained(x: Float32) -> NDArray[Any]:
    """Return the shipped net's features."""
    return features.features_of(
        list(x[:, None]), Output(name="x", shape=(1, *x.shape[1:]), media="image", range=(0.0, 1.0))
    )[1]


def pixels(x: Float32) -> NDArray[Any]:
    """Return every picture as it is, shrunk to 16x16 so that there are about as many numbers."""
    small = [
        np.asarray(Image.fromarray(np.rint(255 * one).astype(np.uint8)).resize((16, 16), Image.Resampling.BOX))
        for one in x
    ]
    return np.stack(small).reshape(len(x), -1) / 255


def random_net() -> dict[str, Float32]:
    """Return He-initialised weights of the same net, each feature scaled by its spread over photographs."""
    rng, net, last = np.random.default_rng(0), {}, 3
    for index, channels in enumerate((16, 32, 48, 64, 64)):
        net[f"kernel{index}"] = (rng.standard_normal((3, 3, last, channels)) * np.sqrt(2 / (9 * last))).astype(
            np.float32
        )
        net[f"bias{index}"] = np.zeros(channels, np.float32)
        last = channels
    net["spread"] = np.float32(1)
    return net


def measure(describe: Callable[[Float32], NDArray[Any]], data: Mapping[str, Any]) -> None:
    """Print a line for each kind of pictures and damage."""
    totals = []
    for kind, (whole, modes) in data.items():
        for name, (damage, levels) in DAMAGE.items():
            grown, weakest, strongest = [], [], []
            for draw in range(DRAWS):
                rng = np.random.default_rng(draw)
                x = whole[rng.permutation(len(whole))[: 2 * COUNT]]
                half = len(x) // 2
                clean, other = describe(x[:half]), describe(x[half:])
                found = [frechet(clean, describe(damage(x[:half], level, rng))) for level in levels]
                grown.append(np.mean(np.diff([0.0, *found]) > 0))
                weakest.append(found[1] / frechet(clean, other))
                strongest.append(found[-1] / frechet(clean, other))
            totals.append(np.mean(grown))
            print(
                f"  {kind:7} {name:9} grows {np.mean(grown):4.0%}  second level {np.mean(weakest):8.4f}"
                f"  strongest {np.mean(strongest):8.2f}"
            )
        _modes(kind, whole, modes, describe, totals)
    print(f"  all grow {np.mean(totals):.1%}")


def _modes(kind: str, whole: Float32, modes: Any, describe: Any, totals: list[float]) -> None:
    """Unpaired, as a generator that lost modes puts others in their place."""
    grown, share, left = [], [], []
    for draw in range(DRAWS):
        rng = np.random.default_rng(draw)
        order = rng.permutation(10)
        clean = describe(whole[rng.permutation(len(whole))[:COUNT]])
        sets_ = [
            whole[rng.permutation(np.flatnonzero(np.isin(modes, order[:kept])))[:COUNT]] for kept in (10, *KEPT_MODES)
        ]
        described = [describe(x[rng.integers(len(x), size=COUNT)] if len(x) < COUNT else x) for x in sets_]
        found = [frechet(clean, rows) for rows in described]
        grown.append(np.mean(np.diff(found) > 0))
        share.append([one / found[0] for one in found[1:]])
        left.append([mean_distance(rows) / mean_distance(clean) for rows in described])
    totals.append(np.mean(grown))
    words = " ".join(f"{value:6.2f}" for value in np.mean(share, 0))
    print(f"  {kind:7} modes     grows {np.mean(grown):4.0%}  over none lost, 9 8 7 5 3 1 of 10 kept: {words}")
    left_ = np.array(left)
    for kept, column in zip((10, *KEPT_MODES), left_.T, strict=True):
        print(f"          diversity with {kept:2} of 10 modes: {column.min():.3f} to {column.max():.3f}")


def main() -> None:
    """Measure the three."""
    data = sets()
    if len(sys.argv) > 1:
        with np.load(sys.argv[1]) as arrays:
            loaded = {name: arrays[name].astype(np.float32) for name in arrays.files}
        features._net = lambda: loaded  # noqa: SLF001 - the same forward pass over other weights
    print("trained")
    measure(trained, data)
    net = random_net()
    features._net = lambda: net  # noqa: SLF001
    net["spread"] = np.maximum(trained(np.concatenate([x[:200] for x, _ in [data["photos"]]])).std(0), 1e-3).astype(
        np.float32
    )
    print("random")
    measure(trained, data)
    print("pixels")
    measure(pixels, data)


if __name__ == "__main__":
    main()
