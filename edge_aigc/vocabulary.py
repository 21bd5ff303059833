"""The tokens of a text generator: an asset of its bundle.

A JSON file; `kind` says how text becomes tokens:

- ``characters``: every character is a token of its own, and text is cut nowhere else.

A tokenizer of byte pairs would be one more kind beside it, `BytePairs` with its merges in order; what
reads vocabularies asks only for `encode` and `decode`.

>>> vocabulary = parse_vocabulary(b'{"kind": "characters", "tokens": ["<start>", "<stop>", "a", "b"],'
...                               b' "start": 0, "stop": 1}', origin="vocabulary.json")
>>> vocabulary.encode("ab"), vocabulary.decode([3, 2])
([2, 3], 'ba')

Imports no NumPy.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Annotated

import msgspec

from edge_aigc.errors import BundleError, InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_aigc.bundle import Bundle

VOCABULARY_LIMIT_BYTES = 16 << 20
"""Of the file; those of the largest models in use take some 10 MB."""
_SHOWN = 5

Number = Annotated[int, msgspec.Meta(ge=0)]


class _Kind(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    pass


class Characters(_Kind, frozen=True, kw_only=True, tag="characters", dict=True):
    """A token a character."""

    tokens: Annotated[tuple[str, ...], msgspec.Meta(min_length=2, max_length=1 << 24)]
    """By number: its character, or a name in angle brackets for a token without text."""
    start: Number | None = None
    """Token that every text begins with; it has no text and is never picked."""
    stop: Number | None = None
    """Token that ends a text when it is picked; it has no text."""

    def __post_init__(self) -> None:
        """Refuse what the types cannot say; msgspec turns the error into its own."""
        for name, number in (("start", self.start), ("stop", self.stop)):
            if number is not None and number >= len(self.tokens):
                raise ValueError(f"{name} is token {number}, and there are {len(self.tokens)}")
        plain = [text for number, text in enumerate(self.tokens) if number not in self.silent]
        wrong = [text for text in plain if len(text) != 1]
        if wrong:
            raise ValueError(f"the token {wrong[0]!r} is not one character")
        if len(set(plain)) != len(plain):
            raise ValueError("a character is there twice")

    @property
    def silent(self) -> frozenset[int]:
        """Tokens that have no text."""
        return frozenset(number for number in (self.start, self.stop) if number is not None)

    @functools.cached_property
    def _numbers(self) -> dict[str, int]:
        return {text: number for number, text in enumerate(self.tokens) if number not in self.silent}

    def encode(self, text: str) -> list[int]:
        """Return the tokens of a text.

        Raises:
            InputError: It holds characters that the model has never seen.
        """
        unknown = [character for character in dict.fromkeys(text) if character not in self._numbers]
        if unknown:
            shown = ", ".join(f"{character!r} (U+{ord(character):04X})" for character in unknown[:_SHOWN])
            rest = f" and {len(unknown) - _SHOWN} more" if len(unknown) > _SHOWN else ""
            raise InputError(
                f"The prompt has characters that this model does not know: {shown}{rest}.",
                remedy=f"Write it with the {len(self._numbers):,} that it knows, "
                f"such as {''.join(list(self._numbers)[-_SHOWN:])}.",
            )
        return [self._numbers[character] for character in text]

    def decode(self, numbers: Sequence[int]) -> str:
        """Return the text of tokens; those without text leave nothing."""
        return "".join(self.tokens[number] for number in numbers if number not in self.silent)


Vocabulary = Characters
"""Every kind there is."""


def parse_vocabulary(content: bytes, *, origin: str, size: int | None = None) -> Vocabulary:
    """Read a vocabulary.

    Args:
        content: JSON, UTF-8.
        origin: Where it came from, for messages.
        size: How many tokens the model has; None takes any number.

    Raises:
        BundleError: It is not a vocabulary, or not of that size.
    """
    remedy = 'Write JSON such as {"kind": "characters", "tokens": ["<stop>", "a", "b"], "stop": 0}.'
    try:
        vocabulary = msgspec.json.decode(content, type=Vocabulary)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise BundleError(f"{origin} is not a vocabulary: {exc}.", remedy=remedy) from exc
    if size is not None and len(vocabulary.tokens) != size:
        raise BundleError(
            f"{origin} lists {len(vocabulary.tokens):,} tokens; the model gives scores for {size:,}.",
            remedy="Give the vocabulary that the model was trained with.",
        )
    return vocabulary


def vocabulary_in(bundle: Bundle) -> Vocabulary:
    """Return the vocabulary of a bundle whose generator writes text.

    Raises:
        BundleError: It is not there, or not one of that model.
    """
    tokens = bundle.manifest.spec.tokens
    content = bundle.content.get(tokens.vocabulary)
    if content is None:
        raise BundleError(
            f"{bundle.manifest.name} names the vocabulary {tokens.vocabulary!r} but does not hold it.",
            remedy="Make the bundle again with `edge-aigc convert`.",
        )
    return parse_vocabulary(content, origin=tokens.vocabulary, size=tokens.size)
