"""The loop of an autoregressive generator, as a specification states it.

A model in a loop gives scores for the next token (its logits). The runtime picks one, feeds it back and
goes on: the loop and the sampling are never in the graph. What the model has read comes to it in one of
two ways:

- ``state``: a *step graph* takes one token and the state that it left at the last step;
- ``window``: the model reads the last N tokens again, every time.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

import msgspec

from edge_aigc.tensors import Dimension, Input, Name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_aigc.tensors import Tensor

LENGTH_LIMIT = 1 << 16
"""Tokens of one text at most, whatever a specification says: a loop must not run for ever."""
TEMPERATURE_LIMIT = 100.0
"""Above it every token is as likely as any other."""
TEXT_CONTROLS = ("prompt", "temperature", "top_k", "top_p", "length")
"""What a person may set, beside the model's own controls."""

Length = Annotated[int, msgspec.Meta(ge=1, le=LENGTH_LIMIT)]
Temperature = Annotated[float, msgspec.Meta(ge=0, le=TEMPERATURE_LIMIT)]
TopK = Annotated[int, msgspec.Meta(ge=0, le=1 << 24)]
TopP = Annotated[float, msgspec.Meta(gt=0, le=1)]
Ending = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


class Tokens(Input, frozen=True, kw_only=True, tag="tokens"):
    """Numbers of tokens: what was read and written so far."""

    dtype: Annotated[str, msgspec.Meta(pattern="^int(32|64)$")] = "int32"  # type: ignore[assignment]
    size: Annotated[int, msgspec.Meta(ge=2, le=1 << 24)]
    """How many tokens there are."""
    vocabulary: Name = "vocabulary.json"
    """The file in the bundle that says what they are: see `edge_aigc.vocabulary`."""


class Loop(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How an autoregressive model is run."""

    state: dict[Name, Name] = {}
    """Step graph: by the name of an input the output that feeds it at the next step. What the first step takes
    is the input's `constant`."""
    window: Dimension | None = None
    """Tokens that the model reads at once, where it keeps no state."""
    context: Length | None = None
    """Most tokens of a text, where the state has room for so many; None: no end."""
    temperature: Temperature = 1.0
    """Scores are divided by it; 0 always takes the likeliest token."""
    top_k: TopK = 0
    """Only so many of the likeliest tokens; 0: all."""
    top_p: TopP = 1.0
    """Only the likeliest tokens that together have this probability."""
    length: Length = 128
    """Tokens written after the prompt, at most."""
    longest: Length = 1024
    """What the control `length` may be, and tokens of a prompt, at most."""
    stop: Annotated[tuple[Ending, ...], msgspec.Meta(max_length=16)] = ()
    """A text ends before the first of these."""


def check_loop(loop: Loop | None, family: str, inputs: Sequence[Input], outputs: Sequence[Tensor], media: str) -> None:
    """Refuse a loop that does not fit the tensors.

    Args:
        loop: None where the specification has none.
        family: Of the generator.
        inputs: All of them.
        outputs: All of them; the first holds the logits.
        media: Of the first output.

    Raises:
        ValueError: It does not, with the reason.
    """
    tokens = [tensor for tensor in inputs if isinstance(tensor, Tokens)]
    if loop is None:
        if family == "autoregressive" or media == "text" or tokens:
            raise ValueError("an autoregressive generator needs a [loop]")
        return
    if family != "autoregressive":
        raise ValueError(f"the family {family!r} has no loop: 'autoregressive' has one")
    if len(tokens) != 1 or media != "text":
        raise ValueError("a loop needs one input whose prior is 'tokens', and a first output whose media is 'text'")
    if bool(loop.state) == (loop.window is not None):
        raise ValueError("a loop has either a state or a window")
    if loop.length > loop.longest:
        raise ValueError(f"the loop's length {loop.length} is more than its longest {loop.longest}")
    reserved = [tensor.name for tensor in inputs if tensor.name in TEXT_CONTROLS]
    if reserved:
        raise ValueError(f"an input cannot be named {reserved[0]!r}, which every text generator takes")
    _check_tokens(loop, tokens[0], outputs[0])
    _check_state(loop, {t.name: t for t in inputs}, {t.name: t for t in outputs[1:]})


def _check_tokens(loop: Loop, tokens: Tokens, logits: Tensor) -> None:
    read = loop.window or 1
    if math.prod(tokens.shape) != read:
        raise ValueError(f"{tokens.name!r} has the shape {list(tokens.shape)}; this loop feeds {read} tokens at a time")
    if logits.shape[-1] != tokens.size or math.prod(logits.shape) not in {tokens.size, read * tokens.size}:
        raise ValueError(
            f"{logits.name!r} has the shape {list(logits.shape)}; logits of {tokens.size} tokens were expected"
        )


def _check_state(loop: Loop, inputs: dict[str, Input], outputs: dict[str, Tensor]) -> None:
    for taken, made in loop.state.items():
        if taken not in inputs or made not in outputs:
            missing = f"input {taken!r}" if taken not in inputs else f"output {made!r}"
            raise ValueError(f"the loop's state names the {missing}, which is not there")
        if inputs[taken].shape != outputs[made].shape:
            raise ValueError(
                f"the state {taken!r} has the shape {list(inputs[taken].shape)}, but {made!r}, which feeds it, "
                f"{list(outputs[made].shape)}"
            )
        if inputs[taken].__struct_config__.tag != "constant":
            raise ValueError(f"the state {taken!r} needs the prior 'constant': the value that it begins with")
    if len(set(loop.state.values())) != len(loop.state):
        raise ValueError("one output feeds two states")
