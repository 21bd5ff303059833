"""PyTorch modules of sequences as step graphs and windows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_aigc.converters.loops.keras import CHECKED_STEPS, require_alike
from edge_aigc.converters.loops.states import WINDOW_REMEDY
from edge_aigc.converters.loops.torch_steps import TorchStates, stepping
from edge_aigc.errors import ConversionError, EdgeAigcError, SourceError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_aigc.converters.loops.wanted import Wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class Looped:
    """A module that a loop can run, and what goes in and out of it."""

    module: Any
    """Called with `examples`, it returns a tuple."""
    examples: tuple[Any, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def looped(model: Any, wanted: Wanted) -> Looped:
    """Return a module that a loop can run, made of one of a sequence.

    Args:
        model: `torch.nn.Module`: tokens ``(1, time)``, int64, to logits ``(1, time, tokens)`` or ``(1, tokens)``, alone
            or first among others.
        wanted: State or window, and how large.

    Raises:
        SourceError: It is not a model of a sequence.
        ConversionError: A module cannot be run by steps, or the steps do not give what the whole model gives.
    """
    import torch

    model = model.eval()
    with torch.no_grad():
        if wanted.window is not None:
            tokens = torch.zeros(1, wanted.window, dtype=torch.int64)
            _logits(model, tokens)
            return Looped(module=_whole(model), examples=(tokens,), inputs=("tokens",), outputs=("logits",))
        context = wanted.context or wanted.usual_context
        step = _stepped(model, context)
        _check_steps(model, step, min(CHECKED_STEPS, context))
    return step


def _logits(model: Any, tokens: Any) -> Any:
    """Return a module's first output.

    Raises:
        SourceError: It takes no tokens, or gives no logits.
    """
    import torch

    try:
        made = model(tokens)
    # The module is the user's own: it may raise anything.
    except Exception as exc:
        if isinstance(exc, EdgeAigcError):
            raise
        raise SourceError(
            f"The module cannot be called with tokens of shape {list(tokens.shape)}: {type(exc).__name__}: {exc}.",
            remedy="A module that writes takes tokens (batch, time), int64, and gives logits (batch, time, tokens).",
        ) from exc
    logits = made[0] if isinstance(made, tuple | list) else made
    if not isinstance(logits, torch.Tensor) or logits.dim() not in {2, 3}:
        raise SourceError(
            "The module's first output is no tensor of logits (batch, time, tokens) or (batch, tokens).",
            remedy="Return the logits first.",
        )
    return logits


def _whole(model: Any) -> Any:
    import torch

    class Whole(torch.nn.Module):  # type: ignore[misc]
        """The module as it is, its logits alone."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, tokens: Any) -> tuple[Any]:
            return (_logits(self.model, tokens),)

    return Whole().eval()


def _stepped(model: Any, context: int) -> Looped:
    """Build the step; a first one with zeros tells which states there are."""
    import torch

    token = torch.zeros(1, 1, dtype=torch.int64)
    states = TorchStates(context=context)
    with stepping(model, states):
        _logits(model, token)
    names = tuple(states.left)

    class Step(torch.nn.Module):  # type: ignore[misc]
        """One step of the module."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, token: Any, *given: Any) -> tuple[Any, ...]:
            left = TorchStates(dict(zip(names, given, strict=True)), context=context)
            with stepping(self.model, left):
                logits = _logits(self.model, token)
            return (logits, *(left.left[name] for name in names))

    return Looped(
        module=Step().eval(),
        examples=(token, *(torch.zeros_like(left) for left in states.left.values())),
        inputs=("tokens", *names),
        outputs=("logits", *(f"{name}_next" for name in names)),
    )


def _check_steps(model: Any, step: Looped, count: int) -> None:
    import torch

    size = _logits(model, torch.zeros(1, 1, dtype=torch.int64)).shape[-1]
    tokens = torch.from_numpy(np.random.default_rng(0).integers(1, size, size=(1, count)))
    try:
        whole = _logits(model, tokens)
    except SourceError as exc:
        raise ConversionError(f"{exc.message} It takes one token alone.", remedy=WINDOW_REMEDY) from exc
    left: Sequence[Any] = step.examples[1:]
    rows = []
    for index in range(count):
        made, *left = step.module(tokens[:, index : index + 1], *left)
        rows.append(made.reshape(-1))
    found = torch.stack(rows)
    expected = whole.reshape(-1, size)
    require_alike(found[-len(expected) :].numpy(), expected.numpy())
