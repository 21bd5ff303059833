"""Inputs of single steps, reached by the model's own texts.

A state of zeros and a token of chance tell little about a model in a loop: ranges, golden vectors and fidelity come
from steps that it takes while it writes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edge_aigc.interpreter import Interpreter
from edge_aigc.loop import Reader, opening
from edge_aigc.priors import draw, random_words
from edge_aigc.sampling import noise, pick
from edge_aigc.text_controls import text_order
from edge_aigc.vocabulary import parse_vocabulary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from edge_aigc.converters.sources.source import Source
    from edge_aigc.loop import Array, Run, Step
    from edge_aigc.spec import GeneratorSpec
    from edge_aigc.vocabulary import Vocabulary

MOST_STEPS = 48
"""Of one rollout: some four lines of verse; states change most at the beginning."""


def rollout(
    spec: GeneratorSpec, vocabulary: Vocabulary, run: Run, *, seed: int, steps: int, given: Mapping[str, Array] = {}
) -> Iterator[Step]:
    """Yield the steps of one text as the model writes it, with the loop's own settings.

    It goes on after a stop token, with a new text in its mind, so that any number of steps can be had.

    Args:
        spec: With a loop.
        vocabulary: Its tokens.
        run: The model.
        seed: Of the sampling, and of inputs that the loop does not feed.
        steps: How many at most; a full context ends it as well.
        given: Arrays for inputs that have no prior.
    """
    assert spec.loop is not None
    order = text_order(spec.loop, {})
    reader = Reader(spec, run, draw(spec, seed=seed, pictures=given))
    tokens = opening(vocabulary, "") if vocabulary.start is not None else [_any(spec, seed)]
    limit = steps if spec.loop.context is None else min(steps, spec.loop.context)
    barred = frozenset(() if vocabulary.start is None else (vocabulary.start,))
    words = noise(seed, spec.tokens.name, limit)
    for index in range(limit):
        step = reader.read(tokens[index])
        yield step
        if index + 1 == len(tokens):
            token = pick(step.scores, int(words[index]), order, barred)
            tokens.append(tokens[0] if token == vocabulary.stop else token)


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A text up to one of its steps, as its source reads it."""

    given: Mapping[str, Array]
    """All that its first step takes but for states."""
    tokens: tuple[int, ...]
    """Of all steps; only a step graph reads them one by one."""
    last: Mapping[str, Array]
    """All that its last step takes, with the source's states."""


def sampled_texts(spec: GeneratorSpec, vocabulary: Vocabulary, run: Run, *, first_seed: int, count: int) -> list[Text]:
    """Return a text for each seed.

    Args:
        spec: With a loop.
        vocabulary: Its tokens.
        run: The model.
        first_seed: The seeds are consecutive from here.
        count: How many; their last steps are spread evenly, from the first one of a text to the last.
    """
    loop = spec.loop
    assert loop is not None
    span = min(MOST_STEPS, loop.context or MOST_STEPS, loop.length)
    texts = []
    for index in range(count):
        place = (index * span) // count if count > 1 else span // 2
        steps = list(rollout(spec, vocabulary, run, seed=first_seed + index, steps=place + 1))
        texts.append(
            Text(
                given={name: values for name, values in steps[0].inputs.items() if name not in loop.state},
                tokens=tuple(int(np.ravel(step.inputs[spec.tokens.name])[-1]) for step in steps),
                last=dict(steps[-1].inputs),
            )
        )
    return texts


def sampled_steps(
    spec: GeneratorSpec, vocabulary: Vocabulary, run: Run, *, first_seed: int, count: int
) -> list[dict[str, Array]]:
    """Return the inputs of single steps, one from the text of each seed: the last of `sampled_texts`."""
    texts = sampled_texts(spec, vocabulary, run, first_seed=first_seed, count=count)
    return [dict(text.last) for text in texts]


def texts_of(
    source: Source, spec: GeneratorSpec, assets: Mapping[str, bytes], *, first_seed: int, count: int
) -> list[Text]:
    """Return a text of a source for each seed.

    Args:
        source: A step graph or a window.
        spec: With a loop.
        assets: Files beside the model, the vocabulary among them.
        first_seed: The seeds are consecutive from here.
        count: How many.
    """
    name = spec.tokens.vocabulary
    run = named_run(
        Interpreter(source.flatbuffer).run,
        [fact.name for fact in source.inputs],
        [fact.name for fact in source.outputs],
    )
    vocabulary = parse_vocabulary(assets[name], origin=name, size=spec.tokens.size)
    return sampled_texts(spec, vocabulary, run, first_seed=first_seed, count=count)


def named_run(run: Callable[[list[Array]], list[Array]], inputs: list[str], outputs: list[str]) -> Run:
    """Return a function from inputs to outputs by name, of one that takes them in order."""

    def by_name(given: Mapping[str, Array]) -> dict[str, Array]:
        return dict(zip(outputs, run([given[name] for name in inputs]), strict=True))

    return by_name


def _any(spec: GeneratorSpec, seed: int) -> int:
    return (int(random_words(seed, f"{spec.tokens.name}/opening", 1)[0]) * spec.tokens.size) >> 64
