"""Specifications with a loop: what is refused, and with which words."""

from __future__ import annotations

import msgspec
import pytest

from edge_aigc.errors import SpecError
from edge_aigc.priors import draw
from edge_aigc.spec import GeneratorSpec, parse_spec

POEMS = """
name = "poems"
family = "autoregressive"
[[inputs]]
name = "tokens"
prior = "tokens"
shape = [1, 1]
size = 50
[[inputs]]
name = "memory"
prior = "constant"
shape = [1, 8]
[[outputs]]
name = "logits"
media = "text"
shape = [1, 1, 50]
[[outputs]]
name = "memory_next"
media = "raw"
shape = [1, 8]
[loop]
state = {memory = "memory_next"}
temperature = 0.8
"""


def test_a_specification_with_a_loop_survives_json():
    spec = parse_spec(POEMS.encode(), origin="poems.toml")
    assert spec.fed == {"tokens", "memory"}
    assert msgspec.json.decode(msgspec.json.encode(spec), type=GeneratorSpec) == spec


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('family = "autoregressive"', 'family = "gan"', "the family 'gan' has no loop"),
        ('[loop]\nstate = {memory = "memory_next"}\ntemperature = 0.8', "", "needs a \\[loop\\]"),
        ('prior = "tokens"\nshape = [1, 1]\nsize = 50', 'prior = "normal"\nshape = [1, 1]', "one input whose prior is"),
        ('media = "text"', 'media = "raw"', "first output whose media is 'text'"),
        ('state = {memory = "memory_next"}', "", "either a state or a window"),
        ("temperature = 0.8", "window = 4", "either a state or a window"),
        ('{memory = "memory_next"}', '{mind = "memory_next"}', "the input 'mind', which is not there"),
        ('{memory = "memory_next"}', '{memory = "next"}', "the output 'next', which is not there"),
        ('media = "raw"\nshape = [1, 8]', 'media = "raw"\nshape = [1, 9]', "has the shape \\[1, 8\\], but"),
        ('prior = "constant"', 'prior = "normal"', "the value that it begins with"),
        ('name = "memory"', 'name = "prompt"', "every text generator takes"),
        ("shape = [1, 1]", "shape = [1, 2]", "feeds 1 tokens at a time"),
        ("shape = [1, 1, 50]", "shape = [1, 1, 51]", "logits of 50 tokens"),
        ("temperature = 0.8", "temperature = -1.0", "temperature"),
        ("temperature = 0.8", "top_p = 0.0", "top_p"),
        ("temperature = 0.8", "length = 2000", "more than its longest 1024"),
        ("temperature = 0.8", "longest = 100000", "longest"),
        ("size = 50", "size = 1", ">= 2"),
        ("size = 50", 'size = 50\ndtype = "float32"', "regex"),
        ("size = 50", 'size = 50\nvocabulary = "../../etc/passwd"', "regex"),
    ],
)
def test_a_loop_that_does_not_fit_is_refused_in_words(old: str, new: str, words: str):
    text = POEMS.replace(old, new)
    assert text != POEMS
    with pytest.raises(SpecError, match=words):
        parse_spec(text.encode(), origin="poems.toml")


def test_a_text_without_a_loop_is_refused():
    text = POEMS.partition("[loop]")[0].replace("autoregressive", "other")
    with pytest.raises(SpecError, match="needs a \\[loop\\]"):
        parse_spec(text.encode(), origin="poems.toml")


def test_tokens_are_drawn_from_all_there_are():
    spec = parse_spec(POEMS.encode(), origin="poems.toml")
    drawn = [int(draw(spec, seed=seed)["tokens"][0, 0]) for seed in range(400)]
    assert set(drawn) <= set(range(50))
    assert len(set(drawn)) > 45
    assert drawn[:4] == [int(draw(spec, seed=seed)["tokens"][0, 0]) for seed in range(4)]
