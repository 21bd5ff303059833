"""What zeros in kernels save: nets with sparse weights beside the same with full ones.

    python benchmarks/sparsity.py [--profile NAME]… [--net control|digits|esrgan]…

Counted: instructions of one invocation on the board's core, whole nets, in each runtime that it has; no clock is read.
``control`` is no generator but what XNNPACK's sparse kernels were made for: a 3x3 convolution of stride 2 on a picture
of three channels, 1x1 convolutions, and a DEPTH_TO_SPACE. It shows that a gain would be seen if there were one.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edge_aigc.converters.ir import Builder, Graph, Value, read, write
from edge_aigc.converters.models import DIGITS
from edge_aigc.converters.prune.sparsity import sparse
from edge_aigc.converters.rewrites.normalizations import NORMALIZATIONS
from edge_aigc.converters.rewrites.rewrite import normalize
from edge_aigc.converters.sources.load import load
from edge_aigc.converters.sources.source import Wish
from edge_aigc.devices.catalog import find_profile
from edge_aigc.devices.emulate.counting import EmulatedCounter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from edge_aigc.converters.ir import Array
    from edge_aigc.converters.prune.sparsity import Pattern

ESRGAN = Path(os.environ.get("ESRGAN_X2") or Path(__file__).resolve().parents[2] / "shared/models/esrgan-x2.keras")
FORMS: Mapping[str, tuple[float, Pattern]] = {
    "2:4": (0.5, "2:4"),
    "70 % zeros": (0.7, "unstructured"),
    "90 % zeros": (0.9, "unstructured"),
}


def main() -> None:
    """Print a line for each board, runtime and net."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profile", action="append", dest="profiles", help="a board; default rpi4")
    parser.add_argument("--net", action="append", dest="nets", choices=tuple(NETS))
    arguments = parser.parse_args()
    print(f"{'thousand instructions':44} {'net':8} {'full':>10} " + " ".join(f"{name:>18}" for name in FORMS))
    for name in arguments.profiles or ("rpi4",):
        for net in arguments.nets or NETS:
            compare(name, net)


def compare(board: str, net: str) -> None:
    """Count one net on one board, in each of its runtimes."""
    full = NETS[net]()
    forms = {name: sparse(full, zeros=zeros, pattern=pattern) for name, (zeros, pattern) in FORMS.items()}
    profile = find_profile(board)
    for runtime in profile.runtimes:
        counter = EmulatedCounter(profile, runtime)
        counts = counter.count({"full": full, **forms})
        told = " ".join(f"{counts[name] / 1e3:10,.0f} ({counts[name] / counts['full']:5.3f})" for name in forms)
        place = counter.place.rpartition(",")[0]
        print(f"{place:44} {net:8} {counts['full'] / 1e3:10,.0f} {told}", flush=True)


def digits() -> bytes:
    """Return the digits, normalized."""
    return _normalized(load(DIGITS).flatbuffer)


def esrgan() -> bytes:
    """Return ESRGAN x2 for pictures of 32x32, normalized."""
    return _normalized(load(ESRGAN, Wish(input_size=(32, 32))).flatbuffer)


def control() -> bytes:
    """Return what XNNPACK's sparse kernels were made for."""
    dice = np.random.default_rng(0)

    def weights(*shape: int) -> Array:
        return (dice.standard_normal(shape) / np.prod(shape[1:]) ** 0.5).astype(np.float32)

    x = Value(name="x", shape=(1, 64, 64, 3))
    graph = Graph(inputs=[x], outputs=[], nodes=[], input_names=["x"], output_names=["y"])
    build = Builder(graph)
    y = build.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    y = build.conv_2d(y, weights(32, 3, 3, 3), stride=(2, 2), activation="RELU6")
    for taken in (32, 128, 128, 128):
        y = build.conv_2d(y, weights(128, 1, 1, taken), activation="RELU6")
    graph.outputs = [build.depth_to_space(build.conv_2d(y, weights(12, 1, 1, 128)), 2)]
    return write(graph)


def _normalized(flatbuffer: bytes) -> bytes:
    graph = read(flatbuffer)
    normalize(graph, NORMALIZATIONS)
    return write(graph)


NETS: Mapping[str, Callable[[], bytes]] = {"control": control, "digits": digits, "esrgan": esrgan}


if __name__ == "__main__":
    main()
