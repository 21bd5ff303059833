"""A token of the poems by the step graph and by reading the window again: interleaved, one thread, the least of many.

`python benchmarks/loops.py [MODEL.keras] [--window 80] [--rounds 200]`; without MODEL the poems of `examples/poems`.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np

from edge_aigc.converters.loops.keras import looped
from edge_aigc.converters.loops.wanted import Wanted
from edge_aigc.converters.sources.keras import load_keras
from edge_aigc.interpreter import Interpreter

_POEMS = Path(__file__).parents[1] / "examples" / "poems" / "poems.keras"


def main() -> int:
    """Print milliseconds a token of both, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path, nargs="?", default=_POEMS)
    parser.add_argument("--window", type=int, default=80, help="tokens that are read again")
    parser.add_argument("--rounds", type=int, default=200)
    options = parser.parse_args()
    forms = {"step": Wanted(context=options.window), "window": Wanted(window=options.window)}
    interpreters = {name: _loaded(options.model, wanted) for name, wanted in forms.items()}
    least = _timed(interpreters, options.rounds)
    print(json.dumps({**{f"{name}_ms": round(ms, 4) for name, ms in least.items()},
                      "times_faster": round(least["window"] / least["step"], 1)}))  # fmt: skip
    return 0


def _loaded(path: Path, wanted: Wanted) -> Interpreter:
    interpreter = Interpreter(load_keras(path, adapt=lambda model: looped(model, wanted)).flatbuffer)
    interpreter.load([np.zeros(info.shape, info.dtype) for info in interpreter.inputs])
    return interpreter


def _timed(interpreters: dict[str, Interpreter], rounds: int) -> dict[str, float]:
    least = dict.fromkeys(interpreters, float("inf"))
    for _ in range(rounds):
        for name, interpreter in interpreters.items():
            begun = time.perf_counter()
            interpreter.invoke()
            least[name] = min(least[name], (time.perf_counter() - begun) * 1e3)
    return least


if __name__ == "__main__":
    sys.exit(main())
