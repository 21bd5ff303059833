"""Step graphs of PyTorch modules: they give what the whole module gives."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from edge_aigc.errors import ConversionError, SourceError

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.heavy
torch = pytest.importorskip("torch", reason="the extra `torch` is not installed")

TOKENS, WIDTH, STEPS = 40, 16, 20


def tokens(count: int = STEPS) -> Any:
    return torch.from_numpy(np.random.default_rng(3).integers(TOKENS, size=(1, count)))


def mask(size: int) -> Any:
    return torch.nn.Transformer.generate_square_subsequent_mask(size)


class Recurrent(torch.nn.Module):
    """As tutorials write it: the state goes in and out of `forward`."""

    def __init__(self, kind: str, **options: Any) -> None:
        super().__init__()
        self.embedding = torch.nn.Embedding(TOKENS, WIDTH)
        self.memory = getattr(torch.nn, kind)(WIDTH, 12, num_layers=2, batch_first=True, **options)
        self.head = torch.nn.Linear(12, TOKENS)

    def forward(self, given: Any, state: Any = None) -> Any:
        out, state = self.memory(self.embedding(given), state)
        return self.head(out), state


class Transformer(torch.nn.Module):
    """`nn.TransformerEncoder` over tokens with learnt or sinusoidal places."""

    def __init__(self, *, learnt: bool, norm_first: bool) -> None:
        super().__init__()
        self.learnt = learnt
        self.embedding, self.places = torch.nn.Embedding(TOKENS, WIDTH), torch.nn.Embedding(64, WIDTH)
        angles = torch.arange(64)[:, None] * torch.exp(torch.arange(0, WIDTH, 2) * (-math.log(10_000.0) / WIDTH))
        self.register_buffer("waves", torch.cat([angles.sin(), angles.cos()], dim=1)[None])
        layer = torch.nn.TransformerEncoderLayer(WIDTH, 4, 32, batch_first=True, norm_first=norm_first)
        self.blocks = torch.nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = torch.nn.Linear(WIDTH, TOKENS)

    def forward(self, given: Any) -> Any:
        length = given.shape[1]
        x = self.embedding(given)
        x = x + (self.places(torch.arange(length)) if self.learnt else self.waves[:, :length])
        return self.head(self.blocks(x, mask=mask(length), is_causal=True))


class Bare(torch.nn.Module):
    """Attention as a function, as small GPTs write it."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = torch.nn.Embedding(TOKENS, WIDTH)
        self.places = torch.nn.Parameter(torch.randn(64, WIDTH))
        self.three, self.head = torch.nn.Linear(WIDTH, 3 * WIDTH), torch.nn.Linear(WIDTH, TOKENS)

    def forward(self, given: Any) -> Any:
        length = given.shape[1]
        x = self.embedding(given) + self.places[:length]
        query, key, value = (
            part.view(1, length, 4, WIDTH // 4).transpose(1, 2) for part in self.three(x).split(WIDTH, dim=2)
        )
        mixed = torch.nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        return self.head(x + mixed.transpose(1, 2).reshape(1, length, WIDTH))


MODELS: dict[str, Callable[[], Any]] = {
    "GRU": lambda: Recurrent("GRU"),
    "LSTM": lambda: Recurrent("LSTM"),
    "LSTM without biases": lambda: Recurrent("LSTM", bias=False),
    "RNN": lambda: Recurrent("RNN", nonlinearity="relu"),
    "learnt places, norms before": lambda: Transformer(learnt=True, norm_first=True),
    "learnt places, norms after": lambda: Transformer(learnt=True, norm_first=False),
    "sinusoidal places, norms before": lambda: Transformer(learnt=False, norm_first=True),
    "sinusoidal places, norms after": lambda: Transformer(learnt=False, norm_first=False),
    "bare attention": Bare,
}


def looped(model: Any, **wanted: Any) -> Any:
    from edge_aigc.converters.loops.torch import looped as made
    from edge_aigc.converters.loops.wanted import Wanted

    return made(model, Wanted(**wanted))


@pytest.mark.parametrize("name", MODELS)
def test_step_by_step_it_gives_what_the_whole_module_gives(name: str):
    torch.manual_seed(1)
    model = MODELS[name]().eval()
    with torch.no_grad():
        made = model(tokens())
        whole = (made[0] if isinstance(made, tuple) else made)[0].numpy()
        step = looped(model, context=STEPS)
        left = step.examples[1:]
        rows = []
        for token in tokens()[0]:
            logits, *left = step.module(token.reshape(1, 1), *left)
            rows.append(logits.reshape(-1).numpy())
        again = model(tokens())
    assert np.abs(np.stack(rows) - whole).max() <= 1e-5 * np.ptp(whole)
    assert step.outputs[1:] == tuple(f"{name}_next" for name in step.inputs[1:])
    assert torch.equal((again[0] if isinstance(again, tuple) else again)[0], torch.from_numpy(whole))


@pytest.mark.parametrize("name", MODELS)
def test_a_step_can_be_exported(name: str):
    step = looped(MODELS[name]().eval(), context=8)
    program = torch.export.export(step.module, step.examples, strict=False)
    made = program.module()(*step.examples)
    expected = step.module(*step.examples)
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(made, expected, strict=True))


def small_gpt() -> Any:
    """Return what `package.module:function` names."""
    torch.manual_seed(1)
    return Bare()


def small_rnn() -> Any:
    """Return what `package.module:function` names."""
    torch.manual_seed(1)
    return Recurrent("LSTM")


@pytest.mark.parametrize("function", [small_gpt, small_rnn])
def test_the_flatbuffer_of_a_step_gives_what_the_whole_module_gives(function: Callable[[], Any]):
    from edge_aigc.converters.sources.load import load
    from edge_aigc.interpreter import Interpreter

    source = load(f"{__name__}:{function.__name__}", adapt=lambda module: looped(module, context=STEPS))
    with torch.no_grad():
        made = function().eval()(tokens())
    whole = (made[0] if isinstance(made, tuple) else made)[0].numpy()
    interpreter = Interpreter(source.flatbuffer)
    left = [np.zeros(fact.shape, fact.dtype) for fact in source.inputs[1:]]
    rows = []
    for token in tokens()[0]:
        logits, *left = interpreter.run([np.full((1, 1), int(token), np.int32), *left])
        rows.append(logits.reshape(-1))
    assert np.abs(np.stack(rows) - whole).max() <= 1e-5 * np.ptp(whole)
    assert [fact.name for fact in source.outputs[1:]] == [f"{fact.name}_next" for fact in source.inputs[1:]]


class TestRefusals:
    def test_a_layer_that_reads_both_ways(self):
        model = Recurrent("GRU", bidirectional=True)
        model.head = torch.nn.Linear(24, TOKENS)
        with pytest.raises(ConversionError, match="'memory' reads both ways"):
            looped(model)

    def test_an_attention_that_looks_at_the_future(self):
        class Looking(Transformer):
            def forward(self, given: Any) -> Any:
                return self.head(self.blocks(self.embedding(given)))

        with pytest.raises(ConversionError, match="looks at the future"):
            looped(Looking(learnt=True, norm_first=True))

    def test_a_past_that_nobody_knows_of_is_found_by_comparing(self):
        class Summing(Recurrent):
            def forward(self, given: Any) -> Any:
                return self.head(self.embedding(given).cumsum(dim=1)[..., :12])

        with pytest.raises(ConversionError, match="differ by"):
            looped(Summing("GRU"))

    def test_a_module_that_takes_no_tokens(self):
        with pytest.raises(SourceError, match="cannot be called with tokens"):
            looped(torch.nn.Conv2d(3, 3, 3))
