"""Forms of one generator, tried: made, run on the inputs that verify, compared with the source."""

from __future__ import annotations

import functools
import hashlib
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge_aigc.converters import calibrate
from edge_aigc.converters.comparison import Comparison
from edge_aigc.converters.fidelity import as_psnr
from edge_aigc.converters.forms import Former, random_inputs
from edge_aigc.converters.ir import write
from edge_aigc.converters.loops.own_states import OwnStates
from edge_aigc.converters.loops.rollouts import texts_of
from edge_aigc.converters.pixels import in_pixels, with_pixels
from edge_aigc.converters.quantize import Aim, quantize
from edge_aigc.converters.quantizer import calibration as quantizer
from edge_aigc.converters.recipes import NAMED
from edge_aigc.converters.samples import Samples
from edge_aigc.converters.variants import Form, Variant
from edge_aigc.errors import SpecError
from edge_aigc.golden import Vector, pack_vectors
from edge_aigc.interpreter import Interpreter
from edge_aigc.manifest import Calibration, FormName, RecipeRecord

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from PIL.Image import Image

    from edge_aigc.converters.order import Order
    from edge_aigc.converters.sources.source import Source
    from edge_aigc.converters.trials import Trial
    from edge_aigc.profile import RecipeName
    from edge_aigc.spec import GeneratorSpec

Array: TypeAlias = NDArray[Any]

_GOLDEN_MOST = 4
_GOLDEN_LIMIT_BYTES = 256 << 10


_GROWTH: Mapping[FormName, float | None] = {"rewritten": None, "compact": 1.05}
"""The most that the bytes of a place may become of what they were; Winograd's constant weights are 1.8 to 4 times."""


class Workbench:
    """The source's own outputs, made once, and everything that forms of it are compared on.

    Attributes:
        source: Its flatbuffer fits `spec`; what its reference makes fits `made_spec`.
        spec: Of the float flatbuffer.
        made_spec: Of the bundle: pictures are pixels there.
    """

    def __init__(self, source: Source, spec: GeneratorSpec, order: Order) -> None:
        """Draw the inputs that calibrate, verify and prove; pictures become pixels."""
        ended = in_pixels(source, spec, order)
        self.source, self.spec, self.order = ended.source, ended.spec, order
        self.pixels, self.made_spec = ended.pixels, ended.made
        self._pictures = _pictures(spec, order)
        held_out = self._pictures.verify if self._pictures else ()
        self.verify = self._samples(held_out, calibrate.VERIFY_FIRST_SEED, calibrate.VERIFY_SAMPLES)
        self._golden = self._samples(held_out, calibrate.GOLDEN_FIRST_SEED, _golden_count(spec))
        self._calibrations: dict[bytes, quantizer.Calibration] = {}
        self._made: dict[tuple[bytes, RecipeName, bool, bool], bytes] = {}

    @functools.cached_property
    def _references(self) -> list[list[Array]]:
        """The source's own outputs; made when the first form is compared, as some are too large to get that far."""
        return self.source.reference(self.verify.inputs)

    @property
    def states(self) -> Mapping[str, str]:
        """Return by name of an input the output that feeds it at the next step; none but in a step graph."""
        return {} if self.spec.loop is None else self.spec.loop.state

    def spec_of(self, flatbuffer: bytes) -> GeneratorSpec:
        """Return the specification of a form, whose states may have fewer places."""
        form = Interpreter(flatbuffer)
        facts = (*self.source.inputs, *self.source.outputs)
        shapes = {fact.name: info.shape for fact, info in zip(facts, (*form.inputs, *form.outputs), strict=True)}
        states = {*self.states, *self.states.values()}

        def fitting(tensors: Sequence[Any]) -> tuple[Any, ...]:
            return tuple(
                msgspec.structs.replace(one, shape=shapes[one.name]) if one.name in states else one for one in tensors
            )

        spec = self.made_spec
        return msgspec.structs.replace(spec, inputs=fitting(spec.inputs), outputs=fitting(spec.outputs))

    @functools.cached_property
    def whole(self) -> Variant:
        """Return the model with every channel."""
        return Variant(flatbuffer=self.source.flatbuffer)

    def forms(self, former: Former, variant: Variant) -> list[Form]:
        """Return a float graph in its cheapest forms, where they differ from how it is.

        Args:
            former: Of the target and the recipe.
            variant: The source, or what was left of it.
        """
        graph, changed = variant.normalized
        found: list[Form] = []
        for name, growth in _GROWTH.items():
            decisions, rewrites = former.decide(graph, growth=growth)
            flatbuffer = write(former.apply(graph, decisions))
            if (changed or decisions) and all(flatbuffer != form.flatbuffer for form in [variant.plain, *found]):
                found.append(Form(name=name, flatbuffer=flatbuffer, rewrites=rewrites, pruning=variant.pruning))
        return found

    def replayed(self, former: Former, record: RecipeRecord, variant: Variant) -> Form:
        """Return the float form that a record tells of; nothing is measured.

        Args:
            former: Knows the rewrites.
            record: Of another bundle of this generator.
            variant: What the record's forms are of.
        """
        if record.form == "as converted":
            return variant.plain
        graph, _ = variant.normalized
        decisions = {entry.key: entry.steps for entry in record.rewrites}
        flatbuffer = write(former.apply(graph, decisions))
        return Form(name=record.form, flatbuffer=flatbuffer, rewrites=record.rewrites, pruning=variant.pruning)

    def made(self, recipe: RecipeName, form: Form, *, int8_borders: bool, older_kernels: bool = False) -> bytes:
        """Return a form of the generator in a recipe's types; made once."""
        digest = hashlib.sha256(form.flatbuffer).digest()
        key = (digest, recipe, int8_borders and recipe == "int8", older_kernels)
        if key not in self._made:
            if NAMED[recipe].calibrated and digest not in self._calibrations:
                self._calibrations[digest] = quantizer.Calibration(
                    form.flatbuffer, [list(inputs) for inputs in self._calibrating(Interpreter(form.flatbuffer))]
                )
            quantized = quantize(
                form.flatbuffer,
                recipe,
                calibration=self._calibrations.get(digest, ()),
                int8_borders=int8_borders,
                older_kernels=older_kernels,
                aim=Aim(
                    ranges=tuple(output.range for output in self.spec.outputs),
                    minimum_db=as_psnr(self.spec.primary, self.order.min_fidelity),
                ),
            )
            self._made[key] = with_pixels(quantized, self.pixels)
        return self._made[key]

    def comparison(self, flatbuffer: bytes) -> Comparison:
        """Return the comparison of a form with the source, ready to be run here or elsewhere."""
        return Comparison(
            flatbuffer=flatbuffer,
            samples=self.verify,
            references=self._references,
            outputs=self.made_spec.outputs,
            minimum=self.order.min_fidelity,
            on_pictures=self._pictures is not None,
        )

    def record(self, chosen: Trial) -> RecipeRecord:
        """Return what it takes to make the same bytes again."""
        calibration = None
        if NAMED[chosen.recipe].calibrated or chosen.pruning is not None:
            calibration = Calibration(
                source="pictures" if self._pictures else "prior",
                samples=calibrate.CALIBRATE_SAMPLES,
                first_seed=calibrate.CALIBRATE_FIRST_SEED,
                pictures_sha256=self.pictures_sha256,
            )
        return RecipeRecord(
            name=chosen.recipe,
            asked=self.order.recipe,
            input_size=self.order.input_size,
            older_kernels=chosen.older_kernels,
            calibration=calibration,
            form=chosen.form,
            rewrites=chosen.rewrites,
            pruning=chosen.pruning,
            pixels={one.name: one.stated for one in self.pixels},
        )

    @property
    def teaching_pictures(self) -> tuple[Image, ...]:
        """Return the pictures that may be learnt from; none of them verifies."""
        return self._pictures.calibrate if self._pictures else ()

    @property
    def pictures_sha256(self) -> tuple[str, ...]:
        """Return the hashes of their files."""
        return self._pictures.sha256 if self._pictures else ()

    @property
    def calibration(self) -> Sequence[Sequence[Array]]:
        """Return the inputs that calibrate, score and repair, each in the flatbuffer's order."""
        return self._calibrating.inputs

    @functools.cached_property
    def _calibrating(self) -> Samples:
        return self._samples(self.teaching_pictures, calibrate.CALIBRATE_FIRST_SEED, calibrate.CALIBRATE_SAMPLES)

    def _samples(self, pictures: Sequence[Image], first_seed: int, count: int) -> Samples:
        inputs, outputs = (tuple(fact.name for fact in side) for side in (self.source.inputs, self.source.outputs))
        if self.spec.loop is None:
            drawn = calibrate.sample_inputs(self.spec, pictures, first_seed=first_seed, count=count)
            return Samples(inputs=[[one[name] for name in inputs] for one in drawn])
        texts = texts_of(self.source, self.spec, self.order.assets, first_seed=first_seed, count=count)
        lasts = [[text.last[name] for name in inputs] for text in texts]
        if not self.states:
            return Samples(inputs=lasts)
        return Samples(inputs=lasts, texts=texts, own=OwnStates(spec=self.spec, inputs=inputs, outputs=outputs))

    def golden(self, flatbuffer: bytes) -> tuple[tuple[int, ...], bytes]:
        """Return the seeds of a form's golden vectors and their file."""
        form = Interpreter(flatbuffer)
        taken, made = ([fact.name for fact in side] for side in (self.source.inputs, self.source.outputs))
        vectors = [
            Vector(
                seed=calibrate.GOLDEN_FIRST_SEED + index,
                inputs=dict(zip(taken, inputs, strict=True)),
                outputs=dict(zip(made, form.run(list(inputs)), strict=True)),
            )
            for index, inputs in enumerate(self._golden(form))
        ]
        return tuple(vector.seed for vector in vectors), pack_vectors(vectors)


def lowered(flatbuffer: bytes, recipe: RecipeName) -> bytes:
    """Return a small net in a recipe's types, with ranges of random inputs: it is only measured."""
    samples = random_inputs(flatbuffer, 2) if NAMED[recipe].calibrated else []
    aim = Aim(minimum_db=0.0, cuts=("min-max",))
    return quantize(flatbuffer, recipe, calibration=samples, int8_borders=True, aim=aim)


def _golden_count(spec: GeneratorSpec) -> int:
    """Return how many vectors stay within 256 KiB; at least one."""
    numbers = sum(int(np.prod(tensor.shape)) for tensor in (*spec.inputs, *spec.outputs))
    return max(1, min(_GOLDEN_MOST, _GOLDEN_LIMIT_BYTES // (4 * numbers)))


def _pictures(spec: GeneratorSpec, order: Order) -> calibrate.Pictures | None:
    if not spec.pictures:
        if order.pictures is not None:
            raise SpecError(
                f"{spec.name} takes no picture, so there is nothing to do with `--calibration`.",
                remedy="Leave it out: this generator is calibrated on its own priors.",
            )
        return None
    if order.pictures is None:
        first = spec.pictures[0]
        raise SpecError(
            f"The input {first.name!r} is a picture, and pictures are needed to verify the conversion.",
            remedy="Give a folder of pictures like those that the model will see: `--calibration DIR`.",
        )
    smallest = max(t.shape[1] for t in spec.pictures), max(t.shape[2] for t in spec.pictures)
    return calibrate.read_pictures(order.pictures, smallest)
