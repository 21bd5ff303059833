"""ESRGAN x2 with trained weights: dense blocks, nearest upsampling, convolutions."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edge_aigc.errors import FileError
from generators.net import Fact, Net, Weights

if TYPE_CHECKING:
    from collections.abc import Sequence

    from generators.net import Array, Layers, Tensor

_SIZE = 64
_BLOCKS = 2


class Trained(Weights):
    """The arrays of a `.keras` file, in the order of its layers."""

    def __init__(self, path: Path) -> None:
        """Read them.

        Raises:
            FileError: The file is not there.
        """
        import h5py

        if not path.is_file():
            raise FileError(
                f"{path} is not here: ESRGAN x2 runs with its trained weights.",
                remedy="Name the file with the variable ESRGAN_X2, or leave the net out with `--net`.",
            )
        with zipfile.ZipFile(path) as archive, h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as content:
            groups = [content["layers"][name] for name in content["layers"] if name.startswith("conv2d")]
            groups.sort(key=lambda group: int(group.name.partition("conv2d")[2].lstrip("_") or 0))
            self._left = [np.asarray(values) for group in groups for values in group["vars"].values()]

    def kernel(self, shape: Sequence[int], fan_in: float, gain: float) -> Array:
        """Return the next array."""
        del fan_in, gain
        return self._next(tuple(shape))

    def small(self, size: int, center: float = 0.0) -> Array:
        """Return the next array."""
        del center
        return self._next((size,))

    def _next(self, shape: tuple[int, ...]) -> Array:
        values = self._left.pop(0)
        assert values.shape == shape, f"the file has {values.shape} where {shape} belongs"
        return values


def _build(layers: Layers, picture: Tensor) -> list[Tensor]:
    first = layers.conv(picture, 64, 3)
    x = layers.conv(first, 64, 3)
    made = []
    for _ in range(_BLOCKS):
        y = layers.concat([x, layers.act(layers.conv(x, 4, 3), "relu")])
        x = layers.conv(y, 64, 1) + x
        made.append(x)
    x = layers.conv(layers.conv(layers.concat(made), 64, 1), 64, 3) + first
    x = layers.act(layers.conv(x, 64, 5), "relu")
    x = layers.act(layers.conv(x, 32, 3), "relu")
    return [layers.conv(layers.up_nearest(layers.conv(x, 12, 3)), 3, 3)]


def _file() -> Path:
    beside = Path(__file__).resolve().parents[3] / "shared" / "models" / "esrgan-x2.keras"
    return Path(os.environ.get("ESRGAN_X2") or beside)


ESRGAN = Net(
    name="esrgan-x2",
    source="UpscalerJS's default model 1.0.0, trained (Wang et al. 2018, small): 64x64x3 to 128x128x3",
    inputs=(Fact(name="picture", shape=(_SIZE, _SIZE, 3), kind="uniform", maps=True),),
    build=_build,
    weights=lambda: Trained(_file()),
)
