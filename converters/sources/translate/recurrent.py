"""GRU and LSTM, written out step by step: a flatbuffer's own loops are several times slower."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from edge_aigc.converters.sources.translate.cuts import cut
from edge_aigc.converters.sources.translate.elementwise import add, mul, number, sub, unary
from edge_aigc.converters.sources.translate.laid import Array, Laid
from edge_aigc.converters.sources.translate.products import product
from edge_aigc.converters.sources.translate.shapes import dropped, reshaped
from edge_aigc.converters.sources.translate.translation import Held, Operator, Translation, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from edge_aigc.converters.sources.translate.translation import Handler

_LONGEST = 256
"""Steps that are written out; each is several operators in the file."""
_DEFAULTS = {"GRU": ("sigmoid", "tanh"), "LSTM": ("sigmoid", "tanh", "tanh"), "RNN": ("tanh",)}
State: TypeAlias = "tuple[Held, ...]"


def _steps(t: Translation, op: Operator) -> tuple[list[Laid], bool]:
    x = op.tensor(0)
    batch_first = bool(op.attributes.get("layout", 0))
    axis = 1 if batch_first else 0
    length = x.shape[axis]
    if length > _LONGEST:
        raise op.refusal(f"over {length} steps (at most {_LONGEST})")
    if x.shape[1 - axis] != 1:
        raise op.refusal(f"over a batch of {x.shape[1 - axis]}")
    return [dropped(cut(t, x, axis, step, 1), [axis]) for step in range(length)], batch_first


def _recurrent(kind: str, states: int) -> Handler:
    def translate(t: Translation, op: Operator) -> list[Held]:
        _check(op, kind)
        steps, batch_first = _steps(t, op)
        hidden = op.constant(2).shape[-1]
        direction = _word(op.attributes.get("direction", "forward"))
        ways = {"forward": (1,), "reverse": (-1,), "bidirectional": (1, -1)}[direction]
        made = [_one_way(t, op, kind, steps[::way], index) for index, way in enumerate(ways)]
        rows = []
        for step in range(len(steps)):
            parts = [outs[::way][step] for (outs, _), way in zip(made, ways, strict=True)]
            rows.append(_joined(t, parts, 1) if len(parts) > 1 else parts[0])
        # [steps, ways * hidden]; ONNX wants [steps, ways, batch, hidden] or [batch, steps, ways, hidden].
        every = _joined(t, rows, 0) if len(rows) > 1 else rows[0]
        shape = (1, len(steps), len(ways), hidden) if batch_first else (len(steps), len(ways), 1, hidden)
        finals: list[Held] = []
        for state in range(states):
            last = [_laid(state_of[state]) for _, state_of in made]
            joined = _joined(t, last, 0) if len(last) > 1 else last[0]
            finals.append(reshaped(t, joined, (1, len(ways), hidden) if batch_first else (len(ways), 1, hidden)))
        return [reshaped(t, every, shape), *finals][: len(op.outputs)]

    return translate


def _one_way(t: Translation, op: Operator, kind: str, steps: list[Laid], way: int) -> tuple[list[Laid], State]:
    w, r = plain(op.constant(1))[way], plain(op.constant(2))[way]
    bias = op.optional(3)
    b = np.zeros(2 * len(w), np.float32) if bias is None else plain(bias)[way]
    state = _first(t, op, kind, way, r.shape[-1])
    cell: Callable[..., State] = {"GRU": _gru, "LSTM": _lstm, "RNN": _rnn}[kind]
    outs = []
    for step in steps:
        state = cell(t, op, step, state, (w, r, b[: len(w)], b[len(w) :]))
        outs.append(_laid(state[0]))
    return outs, state


def _first(t: Translation, op: Operator, kind: str, way: int, hidden: int) -> tuple[Held, ...]:
    places = (5, 6) if kind == "LSTM" else (5,)
    state: list[Held] = []
    for place in places:
        given = op.given(place)
        if given is None:
            state.append(np.zeros((1, hidden), np.float32))
        elif isinstance(given, np.ndarray):
            state.append(plain(given)[way].reshape(1, hidden))
        else:
            axis = 1 if op.attributes.get("layout", 0) else 0
            state.append(reshaped(t, cut(t, given, axis, way, 1), (1, hidden)))
    return tuple(state)


def _gru(t: Translation, op: Operator, x: Laid, state: State, weights: tuple[Array, ...]) -> State:
    """Return H' = (1 - z) * n + z * H: ONNX, GRU; gates in the order z, r, n."""
    w, r, wb, rb = weights
    h, size = state[0], r.shape[-1]
    late = bool(op.attributes.get("linear_before_reset", 0))
    gates = _linear(t, x, w, wb)
    turned = _linear(t, h, r, rb) if late else _linear(t, h, r[: 2 * size], rb[: 2 * size])
    z, reset = (
        unary(t, add(t, _gate(t, gates, index, size), _gate(t, turned, index, size)), "LOGISTIC") for index in (0, 1)
    )
    inner = (
        mul(t, reset, _gate(t, turned, 2, size))
        if late
        else _linear(t, mul(t, reset, h), r[2 * size :], rb[2 * size :])
    )
    new = unary(t, add(t, _gate(t, gates, 2, size), inner), "TANH")
    return (add(t, mul(t, sub(t, number(1.0), z), new), mul(t, z, h)),)


def _lstm(t: Translation, _: Operator, x: Laid, state: State, weights: tuple[Array, ...]) -> State:
    """Return H, C: ONNX, LSTM; gates in the order input, output, forget, cell."""
    w, r, wb, rb = weights
    h, c = state
    size = r.shape[-1]
    total = add(t, _linear(t, x, w, wb + rb), _linear(t, h, r, np.zeros_like(rb)))
    i, o, f = (unary(t, _laid(_gate(t, total, index, size)), "LOGISTIC") for index in (0, 1, 2))
    new = unary(t, _laid(_gate(t, total, 3, size)), "TANH")
    c = add(t, mul(t, f, c), mul(t, i, new))
    return mul(t, o, unary(t, c, "TANH")), c


def _rnn(t: Translation, _: Operator, x: Laid, state: State, weights: tuple[Array, ...]) -> State:
    w, r, wb, rb = weights
    return (unary(t, add(t, _linear(t, x, w, wb + rb), _linear(t, state[0], r, np.zeros_like(rb))), "TANH"),)


def _laid(held: Held) -> Laid:
    assert isinstance(held, Laid), "a state that no step made"
    return held


def _linear(t: Translation, x: Held, weights: Array, bias: Array) -> Held:
    if isinstance(x, np.ndarray):
        return x @ weights.T + bias
    return product(t, x, weights, bias)


def _gate(t: Translation, gates: Held, index: int, size: int) -> Held:
    if isinstance(gates, np.ndarray):
        return gates[:, index * size : (index + 1) * size]
    return cut(t, gates, 1, index * size, size)


def _joined(t: Translation, parts: list[Laid], axis: int) -> Laid:
    plainly = [t.plainly(part) for part in parts]
    made = t.build.concatenate([part.value for part in plainly], axis)
    return Laid(made, (0, 1), made.shape)


def _check(op: Operator, kind: str) -> None:
    used = [_word(name).lower() for name in op.attributes.get("activations", ())]
    wanted = list(_DEFAULTS[kind])
    if used and used[: len(wanted)] * (len(used) // len(wanted)) != wanted * (len(used) // len(wanted)):
        raise op.refusal(f"with the activations {', '.join(used)}")
    if op.attributes.get("clip") or op.attributes.get("input_forget") or op.given(7) is not None:
        raise op.refusal("with peepholes, clipping or coupled gates")


def _word(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


OPERATORS: Mapping[str, Handler] = {
    "GRU": _recurrent("GRU", 1),
    "LSTM": _recurrent("LSTM", 2),
    "RNN": _recurrent("RNN", 1),
}
