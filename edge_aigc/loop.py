"""The loop of a text generator: a token in, scores out, one picked, again."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge_aigc.errors import InputError
from edge_aigc.sampling import noise, pick

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from edge_aigc.loop_spec import Loop
    from edge_aigc.spec import GeneratorSpec
    from edge_aigc.text_controls import TextOrder
    from edge_aigc.vocabulary import Vocabulary

Array: TypeAlias = NDArray[np.generic]
Run: TypeAlias = "Callable[[Mapping[str, Array]], Mapping[str, Array]]"
"""Inputs to outputs, both by the specification's names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One invocation within a loop."""

    inputs: Mapping[str, Array]
    outputs: Mapping[str, Array]
    scores: Array
    """Logits of the token that comes next, shape ``(tokens,)``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A text, and what it took."""

    text: str
    """The prompt and what was written after it."""
    tokens: tuple[int, ...]
    """Those picked, without a stop token."""
    steps: int
    """Invocations: the prompt's tokens too."""
    invoke_ms: float
    """All of them together."""


class Reader:
    """A model that has read some tokens, and reads more."""

    def __init__(self, spec: GeneratorSpec, run: Run, given: Mapping[str, Array]) -> None:
        """Begin with nothing read.

        Args:
            spec: With a loop.
            run: The model.
            given: All inputs at the first step; those that the loop does not feed stay.
        """
        assert spec.loop is not None
        self._run, self._loop, self._tokens, self._logits = run, spec.loop, spec.tokens, spec.primary
        self._scores_everywhere = int(np.prod(spec.primary.shape)) != spec.tokens.size
        self._inputs = dict(given)
        self._read: list[int] = []
        self.invoke_ms = 0.0
        self.steps = 0

    def read(self, token: int) -> Step:
        """Return what the model makes of one token more.

        Raises:
            BundleError: The runtime failed.
        """
        self._read.append(token)
        inputs = self._inputs | {self._tokens.name: self._fed()}
        begun = time.perf_counter()
        outputs = self._run(inputs)
        self.invoke_ms += (time.perf_counter() - begun) * 1e3
        self.steps += 1
        self._inputs |= {taken: outputs[made] for taken, made in self._loop.state.items()}
        return Step(inputs=inputs, outputs=outputs, scores=self._scores(outputs[self._logits.name]))

    def _fed(self) -> Array:
        tensor = self._tokens
        if self._loop.window is None:
            return np.full(tensor.shape, self._read[-1], dtype=tensor.dtype)
        del self._read[: -self._loop.window]
        # A model with scores at every token looks only back: what fills the rest of the window is not looked at.
        # One with scores at the end alone has them at the last place.
        room = [self._read[0]] * (self._loop.window - len(self._read))
        window = self._read + room if self._scores_everywhere else room + self._read
        return np.array(window, dtype=tensor.dtype).reshape(tensor.shape)

    def _scores(self, logits: Array) -> Array:
        rows = logits.reshape(-1, self._tokens.size)
        scores: Array = rows[len(self._read) - 1 if len(rows) > 1 else 0]
        return scores


def opening(vocabulary: Vocabulary, prompt: str) -> list[int]:
    """Return the tokens that a text begins with.

    Raises:
        InputError: The model does not know a character, or there is nothing to begin with.
    """
    tokens = vocabulary.encode(prompt)
    if vocabulary.start is not None:
        return [vocabulary.start, *tokens]
    if not tokens:
        raise InputError(
            "This model goes on from a text, and none was given.", remedy="Give one with the control `prompt`."
        )
    return tokens


def write(
    spec: GeneratorSpec, vocabulary: Vocabulary, run: Run, given: Mapping[str, Array], order: TextOrder, *, seed: int
) -> Written:
    """Write one text.

    It ends with the vocabulary's stop token, before one of the loop's `stop`, after `length` tokens, or when the
    context is full, whichever comes first.

    Args:
        spec: With a loop.
        vocabulary: Its tokens.
        run: The model.
        given: All inputs of the first step, of which the loop feeds some.
        order: Prompt and sampling.
        seed: Of the sampling.

    Raises:
        InputError: The prompt cannot be read.
        BundleError: The runtime failed, or gave scores that are not numbers.
    """
    assert spec.loop is not None
    opened = opening(vocabulary, order.prompt)
    _check_room(spec.loop, len(opened))
    reader = Reader(spec, run, given)
    step = [reader.read(token) for token in opened][-1]
    barred = _barred(vocabulary)
    tokens: list[int] = []
    text = ""
    room = order.length if spec.loop.context is None else min(order.length, spec.loop.context - len(opened) + 1)
    for word in noise(seed, spec.tokens.name, order.length)[:room]:
        token = pick(step.scores, int(word), order, barred)
        if token == vocabulary.stop:
            break
        tokens.append(token)
        text += vocabulary.decode([token])
        end = _end(text, spec.loop.stop)
        if end is not None:
            text = text[:end]
            break
        if len(tokens) < room:
            step = reader.read(token)
    return Written(text=order.prompt + text, tokens=tuple(tokens), steps=reader.steps, invoke_ms=reader.invoke_ms)


def _barred(vocabulary: Vocabulary) -> frozenset[int]:
    return frozenset() if vocabulary.start is None else frozenset((vocabulary.start,))


def _end(text: str, stops: Sequence[str]) -> int | None:
    found = [place for place in (text.find(stop) for stop in stops) if place >= 0]
    return min(found) if found else None


def _check_room(loop: Loop, opened: int) -> None:
    if loop.context is not None and opened > loop.context:
        raise InputError(
            f"The prompt has {opened:,} tokens; this model keeps {loop.context:,} in mind.",
            remedy="Give a shorter one.",
        )
