"""Small Keras models of sequences: recurrent, attentive, convolutional, and some that cannot be run by steps."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers, ops

TOKENS, WIDTH = 40, 16
MOST = 48
"""Positions that the transformers have learnt."""


@keras.saving.register_keras_serializable("sequence_nets")
class Placed(layers.Layer):
    """Tokens to vectors that tell where they are, as tutorials write it."""

    def __init__(self, *, learnt: bool, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.learnt = learnt
        self.tokens = layers.Embedding(TOKENS, WIDTH)
        self.places = layers.Embedding(MOST, WIDTH)

    def build(self, shape: Any) -> None:
        self.tokens.build(shape)
        self.places.build(shape)

    def call(self, tokens: Any) -> Any:
        places = ops.arange(0, ops.shape(tokens)[1])
        if self.learnt:
            return self.tokens(tokens) + self.places(places)
        rates = ops.exp(ops.cast(ops.arange(0, WIDTH, 2), "float32") * (-np.log(10_000.0) / WIDTH))
        angles = ops.cast(places, "float32")[:, None] * rates[None]
        return self.tokens(tokens) + ops.concatenate([ops.sin(angles), ops.cos(angles)], axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "learnt": self.learnt}


@keras.saving.register_keras_serializable("sequence_nets")
class Told(layers.Layer):
    """A layer that is told where its sequence begins, as those of keras-hub are."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.places = self.add_weight(shape=(MOST, WIDTH), initializer="random_normal")

    def call(self, x: Any, start_index: Any = 0) -> Any:
        return x + ops.slice(self.places, (start_index, 0), (ops.shape(x)[1], WIDTH))


@keras.saving.register_keras_serializable("sequence_nets")
class Cut(layers.Layer):
    """A layer that cuts its table of places at the length of what comes."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.places = self.add_weight(shape=(MOST, WIDTH), initializer="random_normal")

    def call(self, x: Any) -> Any:
        return x + self.places[None, : x.shape[1]]


@keras.saving.register_keras_serializable("sequence_nets")
class Block(layers.Layer):
    """A transformer's block, norms before or after."""

    def __init__(self, *, before: bool, grouped: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.before, self.grouped = before, grouped
        if grouped:
            self.attention = layers.GroupQueryAttention(WIDTH // 4, 4, 2)
        else:
            self.attention = layers.MultiHeadAttention(4, WIDTH // 4)
        self.norms = [layers.LayerNormalization(epsilon=1e-5) for _ in range(2)]
        self.wide, self.narrow = layers.Dense(4 * WIDTH, activation="gelu"), layers.Dense(WIDTH)

    def build(self, shape: Any) -> None:
        self.attention.build(shape, shape)
        for norm in self.norms:
            norm.build(shape)
        self.wide.build(shape)
        self.narrow.build((*shape[:-1], 4 * WIDTH))

    def call(self, x: Any) -> Any:
        if self.before:
            y = self.norms[0](x)
            x = x + self.attention(y, y, use_causal_mask=True)
            return x + self.narrow(self.wide(self.norms[1](x)))
        x = self.norms[0](x + self.attention(x, x, use_causal_mask=True))
        return self.norms[1](x + self.narrow(self.wide(x)))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "before": self.before, "grouped": self.grouped}


def recurrent(*stack: Any, softmax: bool = False, last: bool = False) -> keras.Model:
    """Recurrent layers, one above the other."""
    tokens = keras.Input((None,), dtype="int32", name="tokens")
    x = layers.Embedding(TOKENS, WIDTH)(tokens)
    for layer in stack:
        x = layer(x)
    if last:
        x = x[:, -1]
    return _spread(keras.Model(tokens, layers.Dense(TOKENS, activation="softmax" if softmax else None)(x)))


def transformer(*, learnt: bool, before: bool, grouped: bool = False, time: int | None = None) -> keras.Model:
    """Two blocks over tokens with places."""
    tokens = keras.Input((time,), dtype="int32", name="tokens")
    x = Placed(learnt=learnt)(tokens)
    for _ in range(2):
        x = Block(before=before, grouped=grouped)(x)
    return _spread(keras.Model(tokens, layers.Dense(TOKENS)(x)))


def told(places: type[layers.Layer] = Told, time: int | None = None) -> keras.Model:
    """A block over tokens whose places a layer is told."""
    tokens = keras.Input((time,), dtype="int32", name="tokens")
    x = Block(before=True)(places()(layers.Embedding(TOKENS, WIDTH)(tokens)))
    return _spread(keras.Model(tokens, layers.Dense(TOKENS)(x)))


def around(*stack: Any) -> keras.Model:
    """Any layers between an embedding and the logits."""
    return recurrent(*stack)


def _spread(model: keras.Model) -> keras.Model:
    """Give every weight something to do: biases and scales begin at 0 and 1."""
    dice = np.random.default_rng(1)
    for weight in model.weights:
        if weight.dtype == "float32":
            weight.assign(weight + 0.1 * dice.standard_normal(weight.shape).astype(np.float32))
    return model
