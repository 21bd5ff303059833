"""How far the kernels of one model lie apart: where the tolerances of golden vectors come from.

    python benchmarks/kernels.py BUNDLE...

Runs 64 seeds of each bundle (or its golden vectors, for a model that takes pictures) through every
kernel family of every runtime installed here, and prints the largest distance from the outputs that the
default kernels give, in shares of the output's range.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np

from edge_aigc.bundle import read_bundle
from edge_aigc.golden import distance, unpack_vectors
from edge_aigc.interpreter import Interpreter
from edge_aigc.priors import draw

SEEDS = 64
RUNTIMES = ("ai_edge_litert.interpreter", "tflite_runtime.interpreter")


def main() -> None:
    """Print a line for each bundle, runtime and kernel family."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundles", nargs="+", type=Path)
    for path in parser.parse_args().bundles:
        compare(path)


def compare(path: Path) -> None:
    """Compare the kernel families on one bundle."""
    bundle = read_bundle(path)
    spec, model = bundle.manifest.spec, bundle.manifest.model
    if spec.pictures:
        samples = [dict(vector.inputs) for vector in unpack_vectors(bundle)]
    else:
        samples = [draw(spec, seed=seed) for seed in range(SEEDS)]
    ordered = [[inputs[name] for name in model.inputs] for inputs in samples]
    default = Interpreter(bundle.flatbuffer)
    expected = [default.run(inputs)[0] for inputs in ordered]
    for name in RUNTIMES:
        if importlib.util.find_spec(name.partition(".")[0]) is None:
            continue
        module = importlib.import_module(name)
        for family in ("AUTO", "BUILTIN_WITHOUT_DEFAULT_DELEGATES", "BUILTIN_REF"):
            try:
                module_native = native(module, bundle.flatbuffer, family)
            except (RuntimeError, ValueError) as exc:
                print(f"{path.name:32} {name.partition('.')[0]:15} {family:34} refused: {str(exc).splitlines()[0]}")
                continue
            other = Interpreter(bundle.flatbuffer)
            other._native = module_native  # noqa: SLF001 - the one place that swaps kernels
            pairs = [
                distance(other.run(inputs)[0], values, spec.outputs[0])
                for inputs, values in zip(ordered, expected, strict=True)
            ]
            rms, largest = (max(column) for column in zip(*pairs, strict=True))
            recipe = bundle.manifest.recipe.name
            print(
                f"{path.name:32} {recipe:8} {name.partition('.')[0]:15} {family:34} rms {rms:.2e} largest {largest:.2e}"
            )


def native(module: Any, flatbuffer: bytes, family: str) -> Any:
    """Return a runtime's own interpreter with the kernels of one family."""
    resolver = getattr(module.OpResolverType, family)
    interpreter = module.Interpreter(model_content=flatbuffer, num_threads=1, experimental_op_resolver_type=resolver)
    interpreter.allocate_tensors()
    return interpreter


if __name__ == "__main__":
    np.seterr(all="raise", under="ignore")
    main()
