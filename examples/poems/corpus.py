"""The poems of Debian's package fortunes-zh as tokens: read, cut to stanzas, numbered by character."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

FORTUNES = Path("/usr/share/games/fortunes")
FILES = ("tang300", "song100")
PACKAGE = "fortunes-zh"

START, STOP = 0, 1
"""Token before the first character and after the last one; both have no text."""
_SPECIAL = ("<start>", "<stop>")
_COLOURS = re.compile("\x1b\\[[0-9;]*m")
# Lines of regular verse: every half of five, or every half of seven characters.
_MARKS = "\uff0c\u3002\uff01\uff1f\uff1b\uff1a"
_REGULAR = re.compile(f"^(?:(?:[\u4e00-\u9fff]{{5}}[{_MARKS}])+|(?:[\u4e00-\u9fff]{{7}}[{_MARKS}])+)$")
_MOST_LINES = 8
"""Longer poems are cut: eight couplets fill a small net's memory."""

Tokens = NDArray[np.int32]


class CorpusError(Exception):
    """The poems are not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    """Poems, each a tuple of lines, and the characters that they are written in."""

    poems: tuple[tuple[str, ...], ...]
    characters: tuple[str, ...]
    """The vocabulary: two tokens without text, then every character in order of its code."""

    def encode(self, text: str) -> list[int]:
        """Return the tokens of a text that is written in the corpus's characters."""
        numbers = {character: number for number, character in enumerate(self.characters)}
        return [numbers[character] for character in text]


def read_corpus(folder: Path = FORTUNES) -> Corpus:
    """Read the poems in regular verse.

    Raises:
        CorpusError: A file is missing.
    """
    poems = []
    for name in FILES:
        try:
            text = (folder / name).read_text("utf-8")
        except OSError as exc:
            raise CorpusError(f"{exc}. Install the poems: `sudo apt-get install {PACKAGE}`.") from exc
        poems += [poem for entry in _COLOURS.sub("", text).split("\n%\n") for poem in _stanzas(entry)]
    letters = sorted({character for poem in poems for character in "\n".join(poem)} | {"\n"})
    return Corpus(poems=tuple(poems), characters=(*_SPECIAL, *letters))


def examples(corpus: Corpus, length: int) -> Tokens:
    """Return training examples of `length` + 1 tokens, filled up with STOP, shape ``(n, length + 1)``.

    Every couplet begins an example, not the first alone: openings are what a prompt asks for, and few.
    """
    rows = []
    for poem in corpus.poems:
        for first in range(len(poem)):
            tokens = [START, *corpus.encode("\n".join(poem[first:])), STOP][: length + 1]
            rows.append(tokens + [STOP] * (length + 1 - len(tokens)))
    return np.array(rows, dtype=np.int32)


def write_vocabulary(corpus: Corpus, path: Path) -> None:
    """Write the vocabulary as edge-aigc reads it."""
    fields = {"kind": "characters", "tokens": corpus.characters, "start": START, "stop": STOP}
    path.write_text(json.dumps(fields, ensure_ascii=False) + "\n", "utf-8")


def _stanzas(entry: str) -> list[tuple[str, ...]]:
    lines = [line.strip().replace("?", "\uff1f") for line in entry.splitlines()]
    verse = tuple(line for line in lines if _REGULAR.match(line))
    return [verse[first : first + _MOST_LINES] for first in range(0, len(verse), _MOST_LINES)]
