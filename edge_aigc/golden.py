"""Golden vectors: what the bundle must make here before it may serve."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge_aigc.errors import BundleError, ProofError
from edge_aigc.priors import draw
from edge_aigc.spec import Picture

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from edge_aigc.bundle import Bundle
    from edge_aigc.manifest import Tolerance
    from edge_aigc.spec import GeneratorSpec, Output

Array: TypeAlias = NDArray[np.generic]


@dataclass(frozen=True, slots=True, kw_only=True)
class Vector:
    """One run: inputs and outputs by the specification's names."""

    seed: int
    inputs: Mapping[str, Array]
    outputs: Mapping[str, Array]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """How near the golden vectors came, in shares of the output's range; the worst of all."""

    vectors: int
    rms: float
    largest: float


def pack_vectors(vectors: Sequence[Vector]) -> bytes:
    """Return an npz file; the same vectors give the same bytes."""
    arrays = {
        f"{index}.{side}.{name}": array
        for index, vector in enumerate(vectors)
        for side, tensors in (("inputs", vector.inputs), ("outputs", vector.outputs))
        for name, array in tensors.items()
    }
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]  # NumPy's stub reserves `allow_pickle`
    return buffer.getvalue()


def unpack_vectors(bundle: Bundle) -> list[Vector]:
    """Return a bundle's golden vectors.

    Raises:
        BundleError: They are not there, or not those that the specification needs.
    """
    golden = bundle.manifest.golden
    return unpack(bundle.content[golden.file], bundle.manifest.spec, golden.seeds)


def unpack(content: bytes, spec: GeneratorSpec, seeds: Sequence[int]) -> list[Vector]:
    """Return the vectors in an npz file of `pack_vectors`.

    Raises:
        BundleError: It is damaged, or its vectors are not those that the specification needs.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            return [
                Vector(
                    seed=seed,
                    inputs={t.name: arrays[f"{index}.inputs.{t.name}"] for t in spec.inputs},
                    outputs={t.name: arrays[f"{index}.outputs.{t.name}"] for t in spec.outputs},
                )
                for index, seed in enumerate(seeds)
            ]
    except (KeyError, ValueError, OSError, EOFError) as exc:
        raise BundleError(
            f"The golden vectors of {spec.name} cannot be read: {exc}.",
            remedy="Make the bundle again with `edge-aigc convert`.",
        ) from exc


def prove(bundle: Bundle, run: Callable[[Mapping[str, Array]], Mapping[str, Array]]) -> Proof:
    """Run the golden vectors again and compare.

    Args:
        bundle: Verified.
        run: Inputs to outputs, both by the specification's names.

    Raises:
        ProofError: The model gives other outputs here.
        BundleError: The seeds give other inputs here, or the vectors are damaged.
    """
    vectors = unpack_vectors(bundle)
    worst_rms = worst = 0.0
    for vector in vectors:
        _check_seed_contract(bundle.manifest.spec, vector)
        outputs = run(vector.inputs)
        for output in bundle.manifest.spec.outputs:
            rms, largest = distance(outputs[output.name], vector.outputs[output.name], output)
            worst_rms, worst = max(worst_rms, rms), max(worst, largest)
            _check_distance(bundle, vector.seed, output, rms, largest)
    return Proof(vectors=len(vectors), rms=worst_rms, largest=worst)


def distance(found: Array, expected: Array, output: Output) -> tuple[float, float]:
    """Return root mean square and largest difference, in shares of the output's range.

    NaN counts as infinitely far. Without a stated range the expected values' own span is taken.
    """
    if output.range is not None:
        width = output.range[1] - output.range[0]
    else:
        width = float(np.ptp(expected.astype(np.float64))) or 1.0
    difference = np.abs(found.astype(np.float64) - expected.astype(np.float64)) / width
    difference = np.where(np.isnan(difference), np.inf, difference)
    return float(np.sqrt(np.mean(difference**2))), float(difference.max())


def _check_seed_contract(spec: GeneratorSpec, vector: Vector) -> None:
    # What a caller gives, and what a loop feeds, comes from no seed.
    given = {t.name: vector.inputs[t.name] for t in spec.inputs if isinstance(t, Picture) or t.name in spec.fed}
    for name, drawn in draw(spec, seed=vector.seed, pictures=given).items():
        if not np.array_equal(drawn, vector.inputs[name]):
            raise BundleError(
                f"Seed {vector.seed} gives other values for the input {name!r} here than it should.",
                remedy="Report this with the versions of NumPy and of your processor: seeds must agree everywhere.",
            )


def _check_distance(bundle: Bundle, seed: int, output: Output, rms: float, largest: float) -> None:
    allowed: Tolerance = bundle.manifest.golden.tolerance
    if rms <= allowed.rms and largest <= allowed.largest:
        return
    raise ProofError(
        f"{bundle.manifest.name} does not prove itself here: seed {seed} gives an {output.name!r} that is off by "
        f"{rms:.2%} of its range (at most {allowed.rms:.2%}), in one value by {largest:.2%} "
        f"(at most {allowed.largest:.2%}).",
        remedy="Convert the model again for this device's profile and runtime; try another runtime with `--runtime`.",
    )
