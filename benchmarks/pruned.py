"""What pruning costs and saves before any training: ratios by ways of choosing channels, with and without repair.

    python benchmarks/pruned.py [--net digits] [--net esrgan] [--ratio R]… [--here]

Paired PSNR against the original on inputs that neither scored nor repaired: other seeds, or crops of photographs
(scikit-image's) other than those it was repaired on. Latencies are ratios to the original's in the same run, one
thread, medians of rounds taken in turns. With `--here` channels are chosen by what operators cost on this machine,
in their cheapest forms.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edge_aigc.converters.costs.work import multiplications
from edge_aigc.converters.formers import Formers
from edge_aigc.converters.ir import read, write
from edge_aigc.converters.models import DIGITS
from edge_aigc.converters.prune.prune import Pruner
from edge_aigc.converters.rewrites.normalizations import NORMALIZATIONS
from edge_aigc.converters.rewrites.rewrite import normalize
from edge_aigc.converters.sources.load import load
from edge_aigc.converters.sources.source import Wish
from edge_aigc.converters.targets.xnnpack import Xnnpack
from edge_aigc.devices.timing import TimedHere
from edge_aigc.interpreter import Interpreter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edge_aigc.converters.ir import Array, Graph
    from edge_aigc.converters.prune.prune import ScoreName
    from edge_aigc.converters.prune.tariff import Target

RATIOS = (0.25, 0.4, 0.5, 0.6, 0.75)
WAYS: Mapping[str, tuple[ScoreName, bool]] = {
    "magnitude": ("magnitude", False),
    "taylor": ("taylor", False),
    "taylor, closed form": ("taylor", True),
}
ESRGAN = Path(os.environ.get("ESRGAN_X2") or Path(__file__).resolve().parents[2] / "shared/models/esrgan-x2.keras")
_SIZE = 64
_HELD_OUT = 32
_SEEN = ("chelsea", "coffee", "rocket", "ihc", "retina")
_UNSEEN = ("astronaut", "hubble_deep_field", "motorcycle_left", "motorcycle_right")


def main() -> None:
    """Print a line for each net, ratio and way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--net", action="append", dest="nets", choices=("digits", "esrgan"))
    parser.add_argument("--ratio", action="append", dest="ratios", type=float)
    parser.add_argument("--here", action="store_true")
    arguments = parser.parse_args()
    for name in arguments.nets or ("digits", "esrgan"):
        table(
            name,
            arguments.ratios or RATIOS,
            Formers(Xnnpack(), TimedHere(), 1).target("float32") if arguments.here else None,
        )


def table(name: str, ratios: Sequence[float], target: Target | None) -> None:
    """Prune one net in every way."""
    graph, span = (digits() if name == "digits" else esrgan()), (2.0 if name == "digits" else 1.0)
    seen, unseen = (draws(name, count, first) for count, first in ((64 if name == "digits" else 24, 0), (_HELD_OUT, 1)))
    expected = outputs(graph, unseen, span)
    whole = multiplications(write(graph))
    print(f"{name}: {'ratio':>5} {'way':20} {'PSNR dB':>8} {'of multiplications':>19} {'of latency':>11} {'CPU s':>6}")
    pruners = {score: Pruner(graph, seen, scores=score, target=target) for score in ("magnitude", "taylor")}
    for ratio in ratios:
        for way, (score, repaired) in WAYS.items():
            began = time.process_time()
            pruned = pruners[score].by_ratio(ratio, repaired=repaired)
            took = time.process_time() - began
            error = np.mean((outputs(pruned.graph, unseen, span) - expected) ** 2)
            kept = multiplications(write(pruned.graph)) / whole
            told = f"{10 * np.log10(span**2 / error):8.2f} {kept:19.3f} {slower(pruned.graph, graph):11.3f}"
            print(f"{name}: {ratio:5.2f} {way:20} {told} {took:6.1f}", flush=True)


def outputs(graph: Graph, samples: Sequence[Sequence[Array]], span: float) -> Array:
    """Return what a graph makes, within its range: [-1, 1] of a span of 2, [0, 1] of one of 1."""
    interpreter = Interpreter(write(graph))
    return np.clip(np.stack([interpreter.run(list(inputs))[0] for inputs in samples]), 1 - span, 1)


def slower(pruned: Graph, graph: Graph) -> float:
    """Return the share of the original's latency that a pruned one takes."""
    costs = TimedHere().measure({"pruned": write(pruned), "whole": write(graph)}, threads=1)
    return costs["pruned"].rank / costs["whole"].rank


def draws(name: str, count: int, first: int) -> list[list[Array]]:
    """Return inputs; those of `first` 0 are to prune on, those of 1 to judge by."""
    dice = np.random.default_rng(first)
    if name == "digits":
        classes = np.eye(10, dtype=np.float32)
        return [[dice.standard_normal((1, 64), np.float32), classes[[number % 10]]] for number in range(count)]
    import skimage
    from skimage import io

    folder = Path(skimage.__file__).parent / "data"
    files = [path for path in sorted(folder.iterdir()) if path.stem in (_SEEN if first == 0 else _UNSEEN)]
    pictures = [io.imread(path)[..., :3] for path in files if path.suffix in {".png", ".jpg"}]
    return [[_crop(pictures[number % len(pictures)], dice)] for number in range(count)]


def _crop(picture: Array, dice: np.random.Generator) -> Array:
    down, right = (int(dice.integers(size - _SIZE + 1)) for size in picture.shape[:2])
    return (picture[None, down : down + _SIZE, right : right + _SIZE] / 255).astype(np.float32)


def digits() -> Graph:
    """Return the digits, normalized."""
    return _normalized(load(DIGITS).flatbuffer)


def esrgan() -> Graph:
    """Return ESRGAN x2 for pictures of 64x64, normalized."""
    return _normalized(load(ESRGAN, Wish(input_size=(_SIZE, _SIZE))).flatbuffer)


def _normalized(flatbuffer: bytes) -> Graph:
    graph = read(flatbuffer)
    normalize(graph, NORMALIZATIONS)
    return graph


if __name__ == "__main__":
    main()
