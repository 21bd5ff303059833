"""Seeds to the inputs that a student is taught on: drawn from the priors, cropped from pictures, or read in texts."""

from __future__ import annotations

import functools
import math
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edge_aigc.converters.calibrate import sample_inputs
from edge_aigc.converters.distill.lessons import HELD_OUT_FIRST_SEED, first_of
from edge_aigc.converters.distill.pictures import drawn_picture
from edge_aigc.converters.loops.rollouts import MOST_STEPS, named_run, rollout
from edge_aigc.interpreter import Interpreter
from edge_aigc.priors import random_words
from edge_aigc.vocabulary import parse_vocabulary

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edge_aigc.converters.distill.lessons import Draw
    from edge_aigc.converters.sources.source import Source
    from edge_aigc.loop import Step
    from edge_aigc.spec import GeneratorSpec

Array: TypeAlias = NDArray[Any]

_DRAWN_PX = 256
"""Side of a drawn picture, at least; a sample is a crop of it."""
_CROPS = 16
"""Samples in a row from one drawn picture: as many 64x64 crops as lie beside each other in it."""
_STEPS = 8
"""Samples in a row from one text."""
_PASSAGE = 8
"""Steps of a passage. Half the poem model learnt more in 45 s from 8 steps at a time (82.9 % of its tokens were the
whole model's) than from 1 (80.4 %), 16 (81.2 %) or 48 (81.0 %), whose steps back through time cost more."""
_REDUCED = 4.0
"""Given pictures are reduced by up to this much: small crops of large photographs show little but blur."""
_GIVEN = 0.5
"""Share of samples from given pictures, if there are any; the rest is drawn and keeps the student general. A quarter of
ESRGAN x2, taught for 1,500 steps from nothing, made of photographs that it never saw 33.4 dB if photographs alone had
taught it, 39.7 dB if drawn pictures had: those hold more edges."""
_HELD_OUT_EVERY = 8
"""Of given pictures one in so many judges, if there are as many. Where pictures are given they alone judge: they are
what the generator will see. Drawn ones beside them called a student of ESRGAN x2 better (at a quarter fewer
multiplications) that was worse on photographs."""


def draw_of(
    source: Source, spec: GeneratorSpec, *, pictures: Sequence[Image.Image] = (), assets: Mapping[str, bytes] = {}
) -> Draw:
    """Return how seeds become the inputs of a source's graph.

    Args:
        source: Its inputs' order counts; of a loop its own texts are read.
        spec: The generator.
        pictures: That it may be taught on, never those that verify; none means drawn ones alone.
        assets: Files beside the model, the vocabulary among them.
    """
    names = [fact.name for fact in source.inputs]
    if spec.loop is not None:
        texts = _Texts(source, spec, assets)
        return texts.passages if spec.loop.state else texts.draw
    chosen = _Pictures(spec, pictures) if spec.pictures else None

    def draw(first_seed: int, count: int) -> list[list[Array]]:
        samples = []
        for seed in range(first_seed, first_seed + count):
            shown = [] if chosen is None else [chosen.of(seed)]
            (inputs,) = sample_inputs(spec, shown, first_seed=seed, count=1)
            samples.append([inputs[name] for name in names])
        return samples

    return draw


def passage_steps(spec: GeneratorSpec) -> int:
    """Return how many steps a passage has that teaches.

    Args:
        spec: Of a step graph.
    """
    assert spec.loop is not None
    return min(_PASSAGE, spec.loop.context or _PASSAGE)


def text_of(seed: int) -> tuple[int, int]:
    """Return the seed of the text that a seed's step is from, and which of the steps it is.

    Texts are counted from where the run of seeds begins, so that they never leave it: 2**43 // 8 would be 2**40, the
    first text that verifies.
    """
    first = first_of(seed)
    text, place = divmod(seed - first, _STEPS)
    return first + text, place


class _Pictures:
    """A picture for each seed, as large as the inputs are."""

    def __init__(self, spec: GeneratorSpec, given: Sequence[Image.Image]) -> None:
        self._height = max(tensor.shape[1] for tensor in spec.pictures)
        self._width = max(tensor.shape[2] for tensor in spec.pictures)
        apart = len(given) >= _HELD_OUT_EVERY
        self._judging = [one for place, one in enumerate(given) if not apart or place % _HELD_OUT_EVERY == 0]
        self._teaching = [one for place, one in enumerate(given) if not apart or place % _HELD_OUT_EVERY]

    def of(self, seed: int) -> Image.Image:
        """Return a seed's picture."""
        given = self._judging if seed >= HELD_OUT_FIRST_SEED else self._teaching
        chance, which, reduced, down, right = random_words(seed, "distill/picture", 5) * 2.0**-64
        share = 1.0 if seed >= HELD_OUT_FIRST_SEED else _GIVEN
        if not given or chance >= share:
            canvas = _canvas(seed // _CROPS, max(_DRAWN_PX, self._height), max(_DRAWN_PX, self._width))
            return self._crop(canvas, 1.0, (down, right))
        picture = given[int(which * len(given))]
        most = min(_REDUCED, picture.height / self._height, picture.width / self._width)
        return self._crop(picture, math.exp(reduced * math.log(max(1.0, most))), (down, right))

    def _crop(self, picture: Image.Image, reduced: float, at: tuple[float, float]) -> Image.Image:
        height, width = int(self._height * reduced), int(self._width * reduced)
        top, left = int(at[0] * (picture.height - height + 1)), int(at[1] * (picture.width - width + 1))
        part = picture.crop((left, top, left + width, top + height))
        return part.resize((self._width, self._height), Image.Resampling.BOX)


class _Texts:
    """Steps of texts that the source writes."""

    def __init__(self, source: Source, spec: GeneratorSpec, assets: Mapping[str, bytes]) -> None:
        self._names = [fact.name for fact in source.inputs]
        self._spec, name = spec, spec.tokens.vocabulary
        self._vocabulary = parse_vocabulary(assets[name], origin=name, size=spec.tokens.size)
        outputs = [fact.name for fact in source.outputs]
        self._run = named_run(Interpreter(source.flatbuffer).run, self._names, outputs)

    def draw(self, first_seed: int, count: int) -> list[list[Array]]:
        """Return steps that are spread over texts, some of each."""
        samples: list[list[Array]] = []
        for seed in range(first_seed, first_seed + count):
            text, place = text_of(seed)
            if not samples or place == 0:
                steps = self._steps(text)
            samples.append([np.array(steps[place].inputs[name]) for name in self._names])
        return samples

    def passages(self, first_seed: int, count: int) -> list[list[Array]]:
        """Return passages of texts, several of each; those that judge are whole texts from their beginning."""
        samples: list[list[Array]] = []
        for seed in range(first_seed, first_seed + count):
            if seed >= HELD_OUT_FIRST_SEED:
                samples.append(self._passage(self._written(seed)))
                continue
            text, place = text_of(seed)
            if not samples or place == 0:
                written = self._written(text)
            steps = passage_steps(self._spec)
            begin = place * (len(written) - steps) // (_STEPS - 1)
            samples.append(self._passage(written[begin : begin + steps]))
        return samples

    def _passage(self, steps: Sequence[Step]) -> list[Array]:
        """Return what steps take: of a state what the first of them does."""
        loop = self._spec.loop
        assert loop is not None
        return [
            np.array(steps[0].inputs[name])
            if name in loop.state
            else np.stack([np.asarray(step.inputs[name]) for step in steps])
            for name in self._names
        ]

    def _written(self, text: int) -> list[Step]:
        span = _span(self._spec)
        return list(islice(rollout(self._spec, self._vocabulary, self._run, seed=text, steps=span), span))

    def _steps(self, text: int) -> list[Step]:
        written = self._written(text)
        phase = text % max(1, _span(self._spec) // _STEPS)
        return [written[min(len(written) - 1, place * len(written) // _STEPS + phase)] for place in range(_STEPS)]


def _span(spec: GeneratorSpec) -> int:
    """Return how many steps of a text are read."""
    assert spec.loop is not None
    return max(_STEPS, min(MOST_STEPS, spec.loop.context or MOST_STEPS, spec.loop.length))


@functools.lru_cache(maxsize=4)
def _canvas(number: int, height: int, width: int) -> Image.Image:
    return drawn_picture(number, (height, width))
