"""What the compiler made, read by the public schema."""

from __future__ import annotations

import random

import pytest
from bundles import DATA
from edgetpu_files import PAIRS, compiled_like, coral_model

from edge_aigc.converters.describe import describe
from edge_aigc.converters.targets.edgetpu import packages, precheck
from edge_aigc.errors import ConversionError


@pytest.mark.parametrize("name", PAIRS)
def test_every_compiled_model_is_read(name):
    (package,) = packages(coral_model(f"{name}_edgetpu"))
    assert package.min_runtime in {12, 13}
    run, cache = package.executables
    assert (run.kind, cache.kind) == ("runs with cached parameters", "caches parameters")
    assert run.token == cache.token != 0
    assert run.chip == "beagle"
    assert run.batch == 1
    assert run.estimated_cycles == 0
    assert package.instruction_bytes == run.instruction_bytes > 0
    assert package.inputs
    assert package.outputs


def test_the_lstm_streams_what_does_not_stay_and_keeps_its_states():
    (package,) = packages(coral_model("keras_lstm_mnist_ptq_edgetpu"))
    assert (package.cached_bytes, package.streamed_bytes, package.instruction_bytes) == (43_968, 576, 60_864)
    assert [(layer.shape, layer.dtype) for layer in package.inputs] == [
        ((1, 28, 28), "uint8"),
        ((1, 1, 20), "int8"),
        ((1, 1, 20), "int16"),
    ]
    assert [layer.bytes for layer in package.outputs] == [16, 24, 40]


def test_a_model_that_is_not_compiled_holds_none():
    assert packages(coral_model("keras_lstm_mnist_ptq")) == ()


def test_what_the_schema_says_is_what_is_read():
    content = compiled_like((DATA / "tiny.tflite").read_bytes(), cached_bytes=777, instruction_bytes=99, min_runtime=13)
    (package,) = packages(content)
    assert (package.cached_bytes, package.instruction_bytes, package.min_runtime) == (777, 99, 13)
    assert package.compiler == "cl/384591198"
    assert package.inputs[0].name == "latent"
    assert package.inputs[0].dtype == "int8"


def damaged(content, seed):
    """Cut or overwrite, anywhere and where the tables are."""
    dice = random.Random(seed)  # noqa: S311 - the same damage every time
    broken = bytearray(content[: dice.randrange(len(content))] if seed % 3 == 0 else content)
    for _ in range(dice.choice((1, 2, 8, 64))):
        place = dice.choice((dice.randrange(len(broken) + 1), dice.randrange(6000), len(broken) - dice.randrange(6000)))
        if 0 <= place < len(broken):
            broken[place] = dice.choice((0, 127, 128, 255, dice.randrange(256)))
    return bytes(broken)


def refuses(read, content):
    try:
        read(content)
    except ConversionError:
        return True
    return False


@pytest.mark.parametrize("name", ["keras_lstm_mnist_ptq_edgetpu", "keras_lstm_mnist_ptq", "split_concat_edgetpu"])
@pytest.mark.parametrize("read", [packages, precheck, describe])
def test_damaged_files_are_refused_or_read_and_nothing_else(name, read):
    content = coral_model(name)
    assert sum(refuses(read, damaged(content, seed)) for seed in range(150)) > 30


def test_an_unknown_package_is_named():
    content = bytearray(compiled_like((DATA / "tiny.tflite").read_bytes()))
    place = content.find(b"DWN1")
    content[place : place + 4] = b"DWN9"
    with pytest.raises(ConversionError, match="begins with b'DWN9'"):
        packages(bytes(content))
