"""`lift` on the backend of KERAS_BACKEND: every case, whole nets, gradients; run as a program.

    python tests/lift_elsewhere.py FOLDER

FOLDER holds flatbuffers of whole nets and `gradients.npz`: inputs `x`, and TensorFlow's gradient by each weight.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import keras
import lift_cases
import lift_elementwise
import lift_maps
import lift_moves
import numpy as np
from lifting import assert_near, assert_parity, drawn

from edge_aigc.converters.ir import read
from edge_aigc.converters.lift import Lifted, lift

FAMILIES = (
    lift_cases.convolutions,
    lift_cases.products,
    lift_elementwise.elementwise,
    lift_moves.shapes,
    lift_moves.lookups,
    lift_maps.maps,
    lift_maps.sums,
)
_NARROWED = {"jax": ("CAST INT32 INT64",)}
"""JAX makes whole numbers of 64 bits ones of 32, unless told otherwise for the whole process."""


def main(folder: Path) -> None:
    """Check all of it; the first that differs raises."""
    backend = keras.backend.backend()
    checked = 0
    for family in FAMILIES:
        for name, case in family():
            if name not in _NARROWED.get(backend, ()):
                assert_parity(case.graph, [case.draw(seed) for seed in range(3)])
                checked += 1
    for path in sorted(folder.glob("*.tflite")):
        graph = read(path.read_bytes())
        assert_parity(graph, drawn(graph))
        checked += 1
    with np.load(folder / "gradients.npz") as kept:
        expected = dict(kept)
    x, lifted = expected.pop("x"), lift(lift_cases.GENERATOR)
    for name, gradient in gradients(lifted, x).items():
        assert_near(gradient, expected.pop(name), 1e-4)
    assert not expected
    sys.stdout.write(f"{backend}: {checked} graphs\n")


def gradients(lifted: Lifted, x: Any) -> dict[str, Any]:
    """Return the gradient of the mean square of what is made, by each weight."""
    names = list(lifted.weights)
    if keras.backend.backend() == "jax":
        import jax

        def loss(weights: dict[str, Any]) -> Any:
            return keras.ops.mean(lifted([x], weights=weights)[0][0] ** 2)

        return dict(jax.jit(jax.grad(loss))({name: lifted.weights[name].value for name in names}))
    if keras.backend.backend() == "torch":
        keras.ops.mean(lifted([x])[0][0] ** 2).backward()
        return {name: lifted.weights[name].value.grad for name in names}
    import tensorflow as tf

    with tf.GradientTape() as tape:
        value = keras.ops.mean(lifted([x])[0][0] ** 2)
    return dict(zip(names, tape.gradient(value, [lifted.weights[name].value for name in names]), strict=True))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
