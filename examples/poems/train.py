"""Train the poems model: a GRU that writes Chinese verse character by character, in minutes on two cores."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
from corpus import FORTUNES, START, STOP, Corpus, CorpusError, Tokens, examples, read_corpus, write_vocabulary
from keras import layers, ops

WIDTH = 80
"""Of a character's vector, on the way in and on the way out: the two tables are most of the file."""
UNITS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How long and how fast to train."""

    epochs: int = 20
    batch_size: int = 32
    length: int = 80
    """Tokens of an example."""
    rate: float = 3e-3
    dropout: float = 0.5
    held_out: float = 0.05
    """Share of the poems that the loss is told of, and nothing is learnt from."""
    seed: int = 0


def build(vocabulary: int, dropout: float = 0.0) -> Any:
    """Tokens ``(n, time)`` to logits of the next token ``(n, time, vocabulary)``."""
    tokens = keras.Input((None,), dtype="int32", name="tokens")
    x = layers.Embedding(vocabulary, WIDTH, name="embedding")(tokens)
    x = layers.Dropout(dropout, name="drop_in")(x)
    x = layers.GRU(UNITS, return_sequences=True, name="memory")(x)
    x = layers.Dropout(dropout, name="drop_out")(x)
    x = layers.Dense(WIDTH, name="narrow")(x)
    logits = layers.Dense(vocabulary, name="logits")(x)
    return keras.Model(tokens, logits, name="poems")


def train(corpus: Corpus, plan: Plan, checkpoint: Path | None = None) -> Any:
    """Train, going on from ``checkpoint`` if there is one, and return the model.

    Args:
        corpus: The poems.
        plan: How long and how fast.
        checkpoint: A folder that the state is kept in; None keeps none.
    """
    keras.utils.set_random_seed(plan.seed)
    learnt, held_out = _divided(corpus, plan)
    model = build(len(corpus.characters), plan.dropout)
    steps = plan.epochs * -(-len(learnt) // plan.batch_size)
    rate = keras.optimizers.schedules.CosineDecay(plan.rate, steps)
    model.compile(keras.optimizers.AdamW(rate, weight_decay=0.02, clipnorm=1.0), loss=_loss)
    callbacks = [keras.callbacks.BackupAndRestore(checkpoint, delete_checkpoint=False)] if checkpoint else []
    model.fit(
        learnt[:, :-1],
        learnt[:, 1:],
        batch_size=plan.batch_size,
        epochs=plan.epochs,
        validation_data=(held_out[:, :-1], held_out[:, 1:]),
        callbacks=callbacks,
        verbose=2,
    )
    plain = build(len(corpus.characters))
    plain.set_weights(model.get_weights()[: len(plain.weights)])
    return plain


def _divided(corpus: Corpus, plan: Plan) -> tuple[Tokens, Tokens]:
    order = np.random.default_rng(plan.seed).permutation(len(corpus.poems))
    count = max(1, round(plan.held_out * len(order)))
    sides = (order[count:], order[:count])
    learnt, held_out = (
        Corpus(poems=tuple(corpus.poems[index] for index in side), characters=corpus.characters) for side in sides
    )
    return examples(learnt, plan.length), examples(held_out, plan.length)


def _loss(wanted: Any, logits: Any) -> Any:
    """Cross-entropy of a token, up to the first STOP."""
    each = ops.sparse_categorical_crossentropy(wanted, logits, from_logits=True)
    before = ops.cumsum(ops.cast(ops.equal(wanted, STOP), "float32"), axis=1) - ops.cast(
        ops.equal(wanted, STOP), "float32"
    )
    counts = ops.cast(ops.equal(before, 0.0), "float32")
    return ops.sum(each * counts) / ops.sum(counts)


def main(arguments: list[str] | None = None) -> int:
    """Train and save the model and its vocabulary."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fortunes", type=Path, default=FORTUNES, help="folder of the files tang300 and song100")
    parser.add_argument("--output", type=Path, default=Path("poems.keras"))
    parser.add_argument("--vocabulary", type=Path, default=Path("vocabulary.json"))
    parser.add_argument("--checkpoint", type=Path, help="folder to keep the state in, and to go on from")
    parser.add_argument("--epochs", type=int, default=Plan().epochs)
    parser.add_argument("--seed", type=int, default=Plan().seed)
    options = parser.parse_args(arguments)
    try:
        corpus = read_corpus(options.fortunes)
    except CorpusError as exc:
        print(exc, file=sys.stderr)
        return 1
    model = train(corpus, Plan(epochs=options.epochs, seed=options.seed), options.checkpoint)
    model.save(options.output)
    write_vocabulary(corpus, options.vocabulary)
    print(f"{options.output}  {options.output.stat().st_size:,} B, {len(corpus.characters):,} tokens, start {START}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
