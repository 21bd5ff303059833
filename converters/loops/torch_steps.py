"""PyTorch modules that look along time, run one step at a time.

Given:   y[1..t] = module(x[1..t])
Result:  y[t], state[t] = step(x[t], state[t-1])

While `stepping` is in force the modules within a model that look along time keep what they need of the past in states;
all others see a sequence of one step and do as ever.
"""

from __future__ import annotations

import contextlib
import functools
from typing import TYPE_CHECKING, Any

from edge_aigc.converters.loops.states import UNSEEN, WINDOW_REMEDY, States, cut_at_one
from edge_aigc.errors import ConversionError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


class TorchStates(States):
    """The states of one step of a PyTorch module."""

    calls = 0
    """Of attention that is no module."""

    @functools.cached_property
    def position(self) -> Any:
        """The number of steps before this one, shape ``(1,)``."""
        import torch

        position = self.take("position", lambda: torch.zeros(1, dtype=torch.int32))
        self.left["position"] = position + 1
        return position

    @functools.cached_property
    def unseen(self) -> Any:
        """What is added to the scores of a cache, shape ``(1, 1, 1, context)``: 0 where it holds something."""
        import torch

        seen = self.take("seen", lambda: torch.zeros(1, self.context))
        self.left["seen"] = torch.cat([seen[:, 1:], torch.ones(1, 1)], dim=1)
        return ((self.left["seen"] - 1.0) * UNSEEN).reshape(1, 1, 1, self.context)

    def shifted(self, name: str, newest: Any) -> Any:
        """Return a cache, shape ``(1, heads, context, size)``, after the newest entry has come in last."""
        import torch

        heads, size = newest.shape[1], newest.shape[3]
        cache = self.take(name, lambda: torch.zeros(1, heads, self.context, size))
        self.left[name] = torch.cat([cache[:, :, 1:], newest], dim=2)
        return self.left[name]

    def attend(self, name: str, query: Any, key: Any, value: Any, scale: float | None = None) -> Any:
        """Return causal attention over all steps so far; all tensors have the shape ``(1, heads, 1, size)``."""
        keys, values = self.shifted(f"{name}_keys", key), self.shifted(f"{name}_values", value)
        heads, kept = query.shape[1], keys.shape[1]
        # Of grouped queries several share a head of keys.
        grouped = query.reshape(1, kept, heads // kept, query.shape[3])
        scores = (grouped * (scale or query.shape[3] ** -0.5)) @ keys.transpose(2, 3)
        return ((scores + self.unseen).softmax(dim=-1) @ values).reshape(1, heads, 1, values.shape[3])


@contextlib.contextmanager
def stepping(model: Any, states: TorchStates) -> Iterator[None]:
    """Run the modules of a model one step at a time, for the length of a `with`.

    Raises:
        ConversionError: One looks at the future, or cannot be run by steps.
    """
    import torch

    changed: list[Any] = []
    fast = torch.backends.mha.get_fastpath_enabled()
    # The fast path of a transformer's layers goes past their attention.
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        for name, module in model.named_modules():
            step = _step_of(name, module)
            if step is not None:
                module.__dict__["forward"] = functools.partial(step, module, states, name.replace(".", "_") or "model")
                changed.append(module)
        with _functions(model, states):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        for module in changed:
            del module.__dict__["forward"]


def _functions(model: Any, states: TorchStates) -> Any:
    """Return what sees functions called that no module wraps: positions counted or cut, attention."""
    import torch

    kept = {id(tensor) for tensor in (*model.buffers(), *model.parameters())}

    class Functions(torch.overrides.TorchFunctionMode):  # type: ignore[misc]
        def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            kwargs = kwargs or {}
            if function is torch.nn.functional.scaled_dot_product_attention:
                return _bare_attention(states, *args, **kwargs)
            if function is torch.Tensor.__getitem__ and id(args[0]) in kept:
                return _cut(states, *args)
            made = function(*args, **kwargs)
            if function is torch.arange and tuple(made.shape) == (1,):
                return made + states.position.to(made.dtype)
            return made

    return Functions()


def _cut(states: TorchStates, table: Any, index: Any) -> Any:
    """Cut a table of the model's at the step's place, where the model cuts it at the length of its sequence, 1."""
    cut = cut_at_one(index, table.shape)
    if cut is None:
        return table[index]
    axis, rest = cut
    return table.index_select(axis, states.position.long())[rest]


def _bare_attention(states: TorchStates, *args: Any, **kwargs: Any) -> Any:
    """Attention that a model calls as a function."""
    names = ("query", "key", "value", "attn_mask", "dropout_p", "is_causal", "scale", "enable_gqa")
    said = {**dict(zip(names, args, strict=False)), **kwargs}
    if not said.get("is_causal") and said.get("attn_mask") is None:
        raise _future("scaled_dot_product_attention", "is_causal=True")
    states.calls += 1
    return states.attend(f"attention{states.calls}", said["query"], said["key"], said["value"], said.get("scale"))


def _step_of(name: str, module: Any) -> Callable[..., Any] | None:
    """Return how a module is run by steps; None: as ever."""
    from torch import nn

    if isinstance(module, nn.GRU | nn.LSTM | nn.RNN):
        return _recurrent
    if isinstance(module, nn.MultiheadAttention):
        return _attention
    if isinstance(module, nn.Conv1d) and tuple(module.kernel_size) != (1,):
        raise ConversionError(f"The convolution {name!r} cannot be run by steps.", remedy=WINDOW_REMEDY)
    return None


def _recurrent(module: Any, states: TorchStates, name: str, sequence: Any, _: Any = None) -> Any:
    """GRU, LSTM and RNN, all their layers: the cell, called once. What they are given to begin with is left out."""
    import torch

    if module.bidirectional or getattr(module, "proj_size", 0):
        reason = "reads both ways" if module.bidirectional else "projects its state"
        raise ConversionError(f"The layer {name!r} {reason}: it cannot be run by steps.", remedy=WINDOW_REMEDY)
    cell = _CELLS[module.mode]
    parts = ("hidden", "cell")[: 2 if module.mode == "LSTM" else 1]
    x = sequence.reshape(1, -1)
    lefts = []
    for layer in range(module.num_layers):
        names = [f"{name}_{part}{layer}" for part in parts]
        taken = [states.take(state, lambda: torch.zeros(1, module.hidden_size)) for state in names]
        x, *left = cell(taken, *_products(module, layer, x, taken[0]))
        states.left |= dict(zip(names, left, strict=True))
        lefts.append(left)
    stacked = tuple(torch.stack(part) for part in zip(*lefts, strict=True))
    return x.reshape(1, 1, -1), stacked if module.mode == "LSTM" else stacked[0]


def _products(module: Any, layer: int, x: Any, hidden: Any) -> list[Any]:
    """Return what the input and the state weigh in every gate."""
    from torch.nn import functional

    biased = module.bias
    return [
        functional.linear(
            values,
            getattr(module, f"weight_{side}_l{layer}"),
            getattr(module, f"bias_{side}_l{layer}") if biased else None,
        )
        for side, values in (("ih", x), ("hh", hidden))
    ]


def _gru(taken: list[Any], of_input: Any, of_state: Any) -> tuple[Any, Any]:
    (hidden,) = taken
    (reset_i, update_i, new_i), (reset_h, update_h, new_h) = of_input.chunk(3, dim=1), of_state.chunk(3, dim=1)
    reset, update = (reset_i + reset_h).sigmoid(), (update_i + update_h).sigmoid()
    new = (new_i + reset * new_h).tanh()
    left = (1.0 - update) * new + update * hidden
    return left, left


def _lstm(taken: list[Any], of_input: Any, of_state: Any) -> tuple[Any, Any, Any]:
    _hidden, cell = taken
    enter, forget, new, leave = (of_input + of_state).chunk(4, dim=1)
    left = forget.sigmoid() * cell + enter.sigmoid() * new.tanh()
    hidden = leave.sigmoid() * left.tanh()
    return hidden, hidden, left


def _tanh(_: list[Any], of_input: Any, of_state: Any) -> tuple[Any, Any]:
    left = (of_input + of_state).tanh()
    return left, left


def _relu(_: list[Any], of_input: Any, of_state: Any) -> tuple[Any, Any]:
    left = (of_input + of_state).relu()
    return left, left


_CELLS: Mapping[str, Callable[..., Any]] = {"GRU": _gru, "LSTM": _lstm, "RNN_TANH": _tanh, "RNN_RELU": _relu}
"""By a module's mode: state, and what input and state weigh in the gates, to the output and the next state."""


def _attention(module: Any, states: TorchStates, name: str, *args: Any, **kwargs: Any) -> Any:
    """Causal self-attention over a cache of keys and values that the newest ones shift through."""
    from torch.nn import functional

    names = (
        "query",
        "key",
        "value",
        "key_padding_mask",
        "need_weights",
        "attn_mask",
        "average_attn_weights",
        "is_causal",
    )
    said = {**dict(zip(names, args, strict=False)), **kwargs}
    if not said.get("is_causal") and said.get("attn_mask") is None:
        raise _future(name, "attn_mask=…, is_causal=True")
    if module.bias_k is not None or module.add_zero_attn or said["key"].numel() != module.kdim:
        raise ConversionError(f"The attention {name!r} cannot be run by steps.", remedy=WINDOW_REMEDY)
    weights = (
        module.in_proj_weight.chunk(3)
        if module.in_proj_weight is not None
        else (module.q_proj_weight, module.k_proj_weight, module.v_proj_weight)
    )
    biases = (None,) * 3 if module.in_proj_bias is None else module.in_proj_bias.chunk(3)
    query, key, value = (
        functional.linear(said[side].reshape(1, -1), weight, bias).reshape(1, module.num_heads, 1, -1)
        for side, weight, bias in zip(("query", "key", "value"), weights, biases, strict=True)
    )
    mixed = states.attend(name, query, key, value).reshape(1, 1, -1)
    return module.out_proj(mixed), None


def _future(name: str, remedy: str) -> ConversionError:
    return ConversionError(
        f"The attention {name!r} looks at the future, which a model that writes has not.",
        remedy=f"Call it with `{remedy}`, and train the model so.",
    )
