"""Small teachers, their students, and seeds for them: what distilling is tried on."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from edge_aigc.converters.distill import Course, Distilled, distill
from edge_aigc.converters.ir import Builder, Graph, Value
from edge_aigc.converters.prune.cut import cut
from edge_aigc.converters.prune.groups import channel_groups
from edge_aigc.priors import random_words, standard_normal
from edge_aigc.spec import Output

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from edge_aigc.converters.distill.lessons import Draw

LATENT = 8
PICTURE = Output(name="image", media="image", shape=(1, 16, 16, 1), range=(-1.0, 1.0))
SOUND = Output(name="sound", media="audio", shape=(1, 512), range=(-1.0, 1.0), sample_rate=8000)
LOGITS = Output(name="logits", media="text", shape=(1, 12))
POINTS = Output(name="cloud", media="points", shape=(1, 24, 3), range=(-1.0, 1.0))


def painter(width: int = 12) -> Graph:
    """A latent to a 16x16 picture: a dense layer, a convolution, a transposed one."""
    graph, x, build, weights = _begun()
    x = build.fully_connected(x, weights(8 * 8 * width, LATENT), activation="RELU")
    x = build.reshape(x, (1, 8, 8, width))
    x = build.conv_2d(x, weights(width, 3, 3, width), weights(width), padding="SAME", activation="RELU")
    kernel = weights(1, 4, 4, width)
    x = build.transpose_conv(x, kernel, np.zeros(1, np.float32), (16, 16), stride=(2, 2), padding="SAME")
    return _ended(graph, build.unary("TANH", x, name="image"))


def singer(width: int = 12) -> Graph:
    """A latent to 512 samples of sound: two transposed convolutions along time."""
    graph, x, build, weights = _begun()
    x = build.fully_connected(x, weights(32 * width, LATENT), activation="RELU")
    x = build.reshape(x, (1, 1, 32, width))
    x = build.transpose_conv(x, weights(width, 1, 8, width), None, (1, 128), stride=(1, 4), padding="SAME")
    x = build.activate(x, "RELU")
    x = build.transpose_conv(x, weights(1, 1, 8, width), None, (1, 512), stride=(1, 4), padding="SAME")
    return _ended(graph, build.unary("TANH", build.reshape(x, (1, 512)), name="sound"))


def writer(width: int = 32) -> Graph:
    """A latent that stands for what was read, to the logits of twelve tokens."""
    graph, x, build, weights = _begun()
    x = build.fully_connected(x, weights(width, LATENT), weights(width), activation="RELU")
    x = build.fully_connected(x, 4 * weights(width, width), weights(width), activation="RELU")
    return _ended(graph, build.fully_connected(x, 4 * weights(12, width)))


def sculptor(width: int = 32) -> Graph:
    """A latent to 24 points."""
    graph, x, build, weights = _begun()
    x = build.fully_connected(x, weights(width, LATENT), weights(width), activation="RELU")
    x = build.unary("TANH", build.fully_connected(x, weights(72, width)))
    return _ended(graph, build.reshape(x, (1, 24, 3)))


def halved(graph: Graph) -> tuple[Graph, dict[str, NDArray[np.bool_]]]:
    """The graph with every other unit of each group, and what was kept."""
    groups = [group for group in channel_groups(graph) if not group.refused]
    keep = {group.name: np.arange(group.units) % 2 == 0 for group in groups}
    return cut(graph, keep), keep


def draw(first_seed: int, count: int) -> list[list[NDArray[np.float32]]]:
    """Latents."""
    seeds = range(first_seed, first_seed + count)
    return [[standard_normal(random_words(seed, "latent", LATENT)).astype(np.float32)[None]] for seed in seeds]


def taught(
    teacher: Graph,
    output: Output,
    course: Course,
    *,
    checkpoint: Path | None = None,
    inputs: Draw = draw,
    tell: Callable[[str], None] = lambda _: None,
    note: Callable[[str], None] = lambda _: None,
) -> Distilled:
    """Half of a teacher, taught by it."""
    return distill(teacher, halved(teacher)[0], inputs, [output], course, checkpoint=checkpoint, tell=tell, note=note)


def weights_of(graph: Graph) -> list[NDArray[np.float32]]:
    """All float constants, in the graph's order."""
    read = (value for node in graph.nodes for value in node.inputs)
    return [value.data for value in read if value is not None and value.data is not None and value.dtype == "FLOAT32"]


def _begun() -> tuple[Graph, Value, Builder, Callable[..., NDArray[np.float32]]]:
    random = np.random.default_rng(5)
    x = Value(name="latent", shape=(1, LATENT))
    graph = Graph(inputs=[x], outputs=[], nodes=[], input_names=["latent"], output_names=["out"])

    def weights(*shape: int) -> NDArray[np.float32]:
        fan_in = max(1, int(np.prod(shape[1:])))
        return (random.standard_normal(shape) / np.sqrt(fan_in)).astype(np.float32)

    return graph, x, Builder(graph), weights


def _ended(graph: Graph, output: Value) -> Graph:
    graph.outputs = [output]
    return graph


def main(arguments: Sequence[str]) -> None:
    """Teach the painter's half in a process that may be killed; a line for each look, the weights at the end."""
    checkpoint, result = map(Path, arguments)
    done = taught(painter(), PICTURE, KILLED, checkpoint=checkpoint, tell=lambda words: print(words, flush=True))  # noqa: T201 - its result
    np.savez(result, *weights_of(done.graph))


KILLED = Course(steps=400, looks=40, patience=40, batch=16)

if __name__ == "__main__":
    main(sys.argv[1:])
