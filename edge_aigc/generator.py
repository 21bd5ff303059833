"""A bundle opened: seed in, sample out."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from edge_aigc.bundle import FILE_LIMIT_BYTES, Bundle, read_bundle
from edge_aigc.controls import check_controls, missing_pictures, pick_seed
from edge_aigc.errors import InputError
from edge_aigc.files import read_whole, write_whole
from edge_aigc.golden import Array, Proof, prove
from edge_aigc.loop import write
from edge_aigc.media import text as text_media
from edge_aigc.media.encode import encode
from edge_aigc.media.formats import format_named
from edge_aigc.media.image import decode
from edge_aigc.priors import draw
from edge_aigc.runners import ANY_TPU, held_to, named, open_runner
from edge_aigc.text_controls import text_order
from edge_aigc.vocabulary import vocabulary_in

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_aigc.manifest import Manifest
    from edge_aigc.profile import AnyRuntime
    from edge_aigc.spec import GeneratorSpec
    from edge_aigc.tpu import TpuSettings

PictureSource: TypeAlias = "Path | str | bytes"
"""A picture's path, or the bytes of its file."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sample:
    """One thing that a generator made."""

    spec: GeneratorSpec
    seed: int
    controls: Mapping[str, str | float]
    outputs: Mapping[str, Array]
    """By name, clipped to the range where the specification states one; the batch of 1 included. Pictures that the
    model makes in 8 bits (``dtype = "uint8"``) are pixels. Of a text the numbers of the tokens that were picked, by
    the name of the logits, shape ``(1, tokens)``."""
    gen_ms: float
    """From the seed to the outputs in hand: inputs drawn, model run, values clipped."""
    invoke_ms: float
    """Of that, the interpreter's part."""
    text: str | None = None
    """The prompt and what was written after it; None for other media."""
    steps: int = 1
    """Invocations that it took: for a text one for each token that was read, the prompt's too."""

    @property
    def array(self) -> Array:
        """The first output, without the batch."""
        values: Array = self.outputs[self.spec.primary.name][0]
        return values

    def encode(self, name: str | None = None) -> bytes:
        """Return the first output as the bytes of a file.

        Args:
            name: ``png``, ``webp``, ``jpeg``, ``txt`` or ``npy``; None takes the medium's default.

        Raises:
            InputError: The medium has no such format.
        """
        if self.text is not None:
            return text_media.encode(self.text, name)
        return encode(self.outputs[self.spec.primary.name], self.spec.primary, name)

    def save(self, path: Path | str) -> Path:
        """Write the first output to a file whose suffix names the format, and return its path.

        Raises:
            InputError: The medium has no such format.
            FileError: The file system refused; nothing is left behind.
        """
        path = Path(path)
        suffix = path.suffix.removeprefix(".").lower() or None
        kind = format_named(self.spec.primary.media, suffix)
        write_whole(path, self.encode(kind.name))
        return path


class Generator:
    """A bundle that is loaded and has proven itself here.

    Attributes:
        manifest: What the bundle says of itself.
        runtime: The interpreter's package and release, or TensorRT's.
        fallback: Why the engine beside the bundle, or the Edge TPU that it was compiled for, does not run it;
            empty where there is none or it runs.
        proof: How near the golden vectors came; None when opened with ``prove=False``.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        path: Path | None = None,
        runtime: AnyRuntime | None = None,
        threads: int | None = None,
        tpu: TpuSettings = ANY_TPU,
        prove: bool = True,
    ) -> None:
        """Load a verified bundle; see `open_bundle` for the arguments and the errors."""
        self.manifest: Manifest = bundle.manifest
        self.vocabulary = vocabulary_in(bundle) if bundle.manifest.spec.loop is not None else None
        opened = open_runner(path, bundle, runtime=runtime, threads=threads, tpu=tpu, prove=prove)
        self._golden = opened.golden
        self._runner = opened.runner
        self._run = named(opened.runner, bundle.manifest.model)
        self.runtime = opened.runner.runtime
        self.fallback = opened.fallback
        self.proof: Proof | None = opened.proof
        if prove and self.proof is None:
            self.prove(bundle)

    @property
    def spec(self) -> GeneratorSpec:
        """What it takes and makes."""
        return self.manifest.spec

    @property
    def opening(self) -> dict[str, Any]:
        """The controls without which it makes nothing: a character to go on from, where it cannot begin by itself."""
        if self.vocabulary is None or self.vocabulary.start is not None:
            return {}
        first = next(number for number in range(len(self.vocabulary.tokens)) if number not in self.vocabulary.silent)
        return {"prompt": self.vocabulary.decode([first])}

    def prove(self, bundle: Bundle) -> Proof:
        """Run the golden vectors.

        Raises:
            BundleError: The outputs differ by more than the bundle allows.
        """
        self.proof = prove(held_to(bundle, self._golden), self.run)
        return self.proof

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Return the raw outputs for given inputs, both by the specification's names."""
        return self._run(inputs)

    def invoke(self) -> None:
        """Run the model once more on what it ran on last, and leave its outputs: what a latency means."""
        self._runner.invoke()

    def generate(
        self,
        *,
        seed: int | None = None,
        inputs: Mapping[str, PictureSource] | None = None,
        **controls: str | float,
    ) -> Sample:
        """Make one sample.

        Args:
            seed: Unsigned 64-bit; None picks a fresh one below 2^53.
            inputs: A picture for every picture input: its path, or the bytes of its file.
            **controls: By input name: a label (str) or index (int) of a choice, a number for a constant. A text
                generator takes `prompt`, `temperature`, `top_k`, `top_p` and `length`, too.

        Raises:
            InputError: A seed, control or picture that this generator cannot take.
            FileError: A picture that cannot be read.
        """
        chosen = pick_seed() if seed is None else seed
        resolved = check_controls(self.spec, controls)
        pictures = self.pictures(inputs or {})
        started = time.perf_counter()
        drawn = draw(self.spec, seed=chosen, controls=resolved, pictures=pictures)
        if self.spec.loop is not None:
            return self._written(chosen, controls, drawn, started)
        begun = time.perf_counter()
        raw = self.run(drawn)
        invoke_ms = (time.perf_counter() - begun) * 1e3
        outputs = self._clipped(raw)
        return Sample(
            spec=self.spec,
            seed=chosen,
            controls=controls,
            outputs=outputs,
            gen_ms=(time.perf_counter() - started) * 1e3,
            invoke_ms=invoke_ms,
        )

    def _written(
        self, seed: int, controls: Mapping[str, str | float], drawn: Mapping[str, Array], started: float
    ) -> Sample:
        assert self.spec.loop is not None
        assert self.vocabulary is not None
        order = text_order(self.spec.loop, controls)
        written = write(self.spec, self.vocabulary, self.run, drawn, order, seed=seed)
        return Sample(
            spec=self.spec,
            seed=seed,
            controls=controls,
            outputs={self.spec.primary.name: np.array([written.tokens], dtype=self.spec.tokens.dtype)},
            gen_ms=(time.perf_counter() - started) * 1e3,
            invoke_ms=written.invoke_ms,
            text=written.text,
            steps=written.steps,
        )

    def pictures(self, sources: Mapping[str, PictureSource]) -> dict[str, Array]:
        """Return the arrays of all picture inputs.

        Raises:
            InputError: One is missing, unknown, damaged, or of another size.
            FileError: One cannot be read.
        """
        tensors = {tensor.name: tensor for tensor in self.spec.pictures}
        for name in sources:
            if name not in tensors:
                known = ", ".join(repr(known) for known in tensors) or "none"
                raise InputError(f"{self.spec.name} takes no picture {name!r}.", remedy=f"It takes {known}.")
        missing = missing_pictures(self.spec, set(sources))
        if missing is not None:
            raise missing
        return {name: decode(_content(source), tensors[name]) for name, source in sources.items()}

    def _clipped(self, outputs: Mapping[str, Array]) -> dict[str, Array]:
        clipped = dict(outputs)
        for tensor in self.spec.outputs:
            if tensor.range is not None and clipped[tensor.name].dtype != np.uint8:
                clipped[tensor.name] = np.clip(clipped[tensor.name].astype(np.float32), *tensor.range)
        return clipped


def open_bundle(
    path: Path | str,
    *,
    runtime: AnyRuntime | None = None,
    threads: int | None = None,
    tpu: TpuSettings = ANY_TPU,
    prove: bool = True,
) -> Generator:
    """Open a bundle: verify every byte, load the model, run the golden vectors.

    Args:
        path: An `.aigc` file.
        runtime: ``litert`` or ``tflite``, or ``tensorrt`` for the engine that `edge-aigc accelerate` built beside
            the bundle; None takes that engine where there is one and it proves itself, else the first interpreter
            that is installed.
        threads: Of the interpreter; None takes the bundle's.
        tpu: Which Edge TPU runs a model that is compiled for one; where it is not there, or makes something else than
            the golden vectors, the CPU runs it and `fallback` says why.
        prove: False leaves the golden vectors out.

    Raises:
        BundleError: Damaged, unknown, refused by the runtime, or not proving itself.
        RuntimeMissingError: No interpreter here.
    """
    path = Path(path)
    return Generator(read_bundle(path), path=path, runtime=runtime, threads=threads, tpu=tpu, prove=prove)


def _content(source: PictureSource) -> bytes:
    if isinstance(source, bytes):
        return source
    return read_whole(Path(source), limit_bytes=FILE_LIMIT_BYTES, what="picture")
