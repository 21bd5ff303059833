"""What a bundle says of itself: the first entry of every `.aigc` file.

Imports no NumPy: the daemon's parent reads manifests.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec

from edge_aigc.profile import RecipeName, Runtime, TargetName
from edge_aigc.prune_record import Pruning, Share
from edge_aigc.spec import GeneratorSpec
from edge_aigc.tensors import Name, Range
from edge_aigc.tpu_record import Count, EdgeTpu

FORMAT: Literal[1] = 1
"""Of the bundle: a reader refuses every other number."""

Sha256: TypeAlias = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$")]
FormName: TypeAlias = Literal["as converted", "rewritten", "compact"]
"""Of a float graph: as its source gave it; every place in its cheapest form; the same where the file does not grow."""


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class FileEntry(_Part, frozen=True, kw_only=True):
    """One file of the bundle."""

    sha256: Sha256
    bytes: Count


class Model(_Part, frozen=True, kw_only=True):
    """The flatbuffer, and which of its tensors are which of the specification's."""

    file: str
    inputs: tuple[Name, ...]
    """Names of the specification, in the flatbuffer's order."""
    outputs: tuple[Name, ...]


class Tolerance(_Part, frozen=True, kw_only=True):
    """How far an output may lie from its golden vector, in shares of the output's range."""

    rms: float
    """Root mean square over the tensor."""
    largest: float
    """Of any one value."""


class Golden(_Part, frozen=True, kw_only=True):
    """Inputs and outputs that the device runs again before it serves."""

    file: str
    seeds: tuple[int, ...]
    tolerance: Tolerance


class Calibration(_Part, frozen=True, kw_only=True):
    """What the ranges of an int8 model came from, and what a pruned one was chosen, repaired and taught on."""

    source: Literal["prior", "pictures"]
    samples: Count
    first_seed: Count = 0
    pictures_sha256: tuple[Sha256, ...] = ()


class Rewrite(_Part, frozen=True, kw_only=True):
    """One kind of place where another form of the same function is cheaper, and was taken."""

    key: str
    """Of its operators and shapes: with the steps it is enough to make the same form again."""
    steps: tuple[tuple[str, Count], ...]
    """Rewrites, one after the other: name, and which of the regions that it found."""
    place: str
    """The first of these places, by the name of what it makes."""
    times: Count
    """How many such places there are."""
    before: float
    after: float
    unit: str
    """Of both: ``ms``, ``cycles`` or ``instructions``, of the place alone."""


class RecipeRecord(_Part, frozen=True, kw_only=True):
    """Enough to make the same flatbuffer bytes again with the same tools."""

    name: RecipeName
    asked: str
    """What the user asked for: the name, or `auto`."""
    input_size: tuple[int, int] | None = None
    """Height and width, where the source left them open."""
    older_kernels: bool = False
    """Whether ``dynamic`` was made in the form that old runtimes run, too."""
    calibration: Calibration | None = None
    form: FormName = "as converted"
    """Whether operators were put in cheaper forms; ``compact``: only where the file does not grow."""
    rewrites: tuple[Rewrite, ...] = ()
    """What was put in other forms, and what that gains."""
    pruning: Pruning | None = None
    """None where every channel stayed."""
    pixels: dict[Name, Range] = {}
    """Outputs that leave the model as 8-bit pixels, and what black and white are in the source."""


Metric: TypeAlias = Literal["psnr_db", "snr_db", "agreement_percent", "chamfer_db"]
"""Of pictures and plain numbers, sounds, text, and clouds of points. More is better in each."""


class Spread(_Part, frozen=True, kw_only=True):
    """What all samples together look like, against the source's from the same seeds."""

    features: str
    """What the samples were described by, and the version of that."""
    frechet: float
    """Fréchet distance of the features; 0 where they are equal."""
    frechet_of_seeds: float
    """The same between two halves of the source's own samples: what merely other seeds change."""
    sliced_wasserstein: float
    sliced_wasserstein_of_seeds: float
    diversity: float
    """Mean distance between two samples, as a share of the source's."""
    collapsed: bool
    """Whether the diversity fell by so much that other forms of samples must be missing."""


class Fidelity(_Part, frozen=True, kw_only=True):
    """Paired comparison with the source: same inputs, both outputs."""

    metric: Metric
    value: float
    samples: Count
    minimum: float
    worst_value: float
    worst_sample: Count
    """The seed, or the index of the held-out picture."""
    on: Literal["prior", "pictures"]
    output: Name | None = None
    """The output that fared worst, which all these figures are of."""
    ssim: float | None = None
    """Of pictures: mean structural similarity, 1 where they are equal."""
    log_mel_db: float | None = None
    """Of sounds: distance of the log-mel spectra, 0 where they are equal."""
    perplexity: float | None = None
    """Of text: on what the source would write."""
    source_perplexity: float | None = None
    """Of text: the source's own, the least there is."""
    spread: Spread | None = None
    """None where there are too few samples, or none is told apart from another."""

    @property
    def unit(self) -> str:
        """Return the unit of the values."""
        return "%" if self.metric == "agreement_percent" else "dB"

    @property
    def title(self) -> str:
        """Return what the values are called."""
        return _TITLES[self.metric]


_TITLES: dict[str, str] = {
    "psnr_db": "paired PSNR",
    "snr_db": "paired SNR",
    "agreement_percent": "token agreement",
    "chamfer_db": "Chamfer distance",
}


class Latency(_Part, frozen=True, kw_only=True):
    """One invocation of the interpreter, milliseconds, median."""

    value: float
    how: Literal["measured", "estimated"]
    where: str
    """The machine, runtime and threads that the figure holds for."""
    instructions: Count | None = None
    """Counted under the device's CPU model, where the latency is estimated from them."""
    bound: Literal["compute", "memory"] | None = None
    """What most of an estimated latency goes into."""
    at_least: bool = False
    """Whether it is a lower bound: no source tells how many instructions a cycle the device's kernels complete."""
    error: float | None = None
    """Of an estimate: how far estimates lay from the clock's figures where both are at hand, median, as a share."""


class Ram(_Part, frozen=True, kw_only=True):
    """What the model takes at most: the process less an interpreter that holds none."""

    peak_bytes: Count
    how: Literal["measured", "estimated"]
    """``estimated``: planned from the flatbuffer, tensor by tensor."""
    limit_bytes: Count
    """What it was held against: the board's, or what the user allowed."""


class Candidate(_Part, frozen=True, kw_only=True):
    """What `auto` tried, and why it was kept or left."""

    recipe: RecipeName
    form: FormName = "as converted"
    pruned: Share = 0.0
    """Of the multiplications, as it was asked for."""
    removed: Share | None = None
    """What came of it, where that is not what was asked for."""
    healed: bool = False
    """Whether it learnt in fake int8."""
    bytes: Count | None = None
    fidelity: float | None = None
    latency_ms: float | None = None
    cycles: float | None = None
    """Of the device's processor, where its clock is not known."""
    peak_ram_bytes: Count | None = None
    pareto: bool = False
    """Whether no other is as fast, as faithful and as small."""
    chosen: bool = False
    verdict: str


class OnnxForm(_Part, frozen=True, kw_only=True):
    """The float generator as ONNX, for accelerators that compile it where they are."""

    file: str
    opset: Count
    golden: Golden
    """What the float form makes, with room for an engine that computes in float16."""


class Provenance(_Part, frozen=True, kw_only=True):
    """Where the bundle came from."""

    source: str
    source_sha256: Sha256
    framework: str
    tools: dict[str, str]
    """Package: version."""
    licence: str | None = None


class Manifest(_Part, frozen=True, kw_only=True):
    """Everything that a bundle says of itself."""

    format: Literal[1]
    name: Name
    version: Count
    """Monotonic: seconds since 1970 when the bundle was made, unless stated."""
    spec: GeneratorSpec
    profile: str
    target: TargetName
    runtimes: tuple[Runtime, ...]
    """What the model was checked against, operator by operator."""
    threads: Annotated[int, msgspec.Meta(ge=1, le=64)]
    model: Model
    files: dict[str, FileEntry]
    golden: Golden
    recipe: RecipeRecord
    fidelity: Fidelity
    latency_ms: Latency | None = None
    """None where instructions were counted for a device whose clock is not known."""
    ram: Ram | None = None
    candidates: tuple[Candidate, ...] = ()
    edgetpu: EdgeTpu | None = None
    onnx: OnnxForm | None = None
    provenance: Provenance
