"""`edge-aigc inspect --groups`: what pruning can remove, told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from bundles import tiny_bundle

from edge_aigc.bundle import read_bundle, write_bundle
from edge_aigc.cli import run
from edge_aigc.converters.ir import constant, write
from edge_aigc.converters.models import DIGITS
from tests.pruning import conv
from tests.rewriting import graph_of

POEMS = Path(__file__).parents[1] / "examples" / "poems"


@pytest.fixture
def flatbuffer(tmp_path):
    """A picture net of two convolutions in a file."""
    rng = np.random.default_rng(0)
    graph = graph_of((1, 4, 4, 3), lambda build, x: conv(build, conv(build, x, rng, 8), rng, 3))
    (tmp_path / "net.tflite").write_bytes(write(graph))
    return tmp_path / "net.tflite"


def _printed(capfd: Any, *arguments: object) -> dict[str, Any]:
    assert run([*map(str, arguments), "--json"]) == 0
    found: dict[str, Any] = json.loads(capfd.readouterr().out)
    return found


def test_a_flatbuffers_groups_are_told_with_what_they_hold(capfd, flatbuffer):
    found = _printed(capfd, "inspect", flatbuffer, "--groups")
    assert found["multiplications"] == 16 * 9 * (3 * 8 + 8 * 3)
    free, kept = found["groups"]
    assert (free["units"], free["refused"], free["multiplications"]) == (8, "", found["multiplications"])
    assert [(member["axis"], member["role"]) for member in free["members"]] == [
        (0, "makes"), (3, "activation"), (0, "beside"), (3, "takes"),
    ]  # fmt: skip
    assert kept["refused"] == "'y' is an output of the graph"
    assert run(["inspect", str(flatbuffer), "--groups"]) == 0
    words = capfd.readouterr().out
    assert "1 of 2 groups of channels can be cut" in words
    assert "stays whole, for 'y' is an output of the graph" in words


def test_weights_that_several_operators_read_are_told_once(capfd, tmp_path):
    rng = np.random.default_rng(0)
    kernel = constant(rng.normal(size=(8, 3, 3, 8)).astype(np.float32), "kernel")

    def make(build, x):
        y = conv(build, x, rng, 8)
        for _ in range(3):
            y = build.conv_2d(y, kernel, padding="SAME", activation="RELU")
        return conv(build, y, rng, 3)

    (tmp_path / "net.tflite").write_bytes(write(graph_of((1, 4, 4, 3), make)))
    free, _ = _printed(capfd, "inspect", tmp_path / "net.tflite", "--groups")["groups"]
    held = [(member["axis"], member["role"]) for member in free["members"] if member["name"] == "kernel"]
    assert held == [(0, "makes"), (3, "takes")]
    assert len(free["producers"]) == 4


def test_a_model_of_another_framework_is_loaded_as_convert_loads_it(capfd):
    found = _printed(capfd, "inspect", DIGITS, "--groups")
    assert [(group["units"], bool(group["refused"])) for group in found["groups"]] == [
        (48, False), (96, False), (56, False), (32, False), (1, True),
    ]  # fmt: skip


def test_of_a_model_that_writes_the_step_is_told(capfd):
    found = _printed(capfd, "inspect", POEMS / "poems.keras", "--groups", "--spec", POEMS / "poems.toml")
    refused = [group["refused"] for group in found["groups"]]
    assert refused == ["", "", "", "'logits' is an output of the graph"]
    states = [member["name"] for member in found["groups"][0]["members"] if member["role"] == "state"]
    assert states == ["memory_state0", "memory_state0_next"]
    assert found["groups"][0]["units"] == 256


def test_a_bundle_is_told_of_only_where_its_weights_are_not_rounded(capfd, tmp_path):
    bundle = tiny_bundle(tmp_path)
    code = run(["inspect", str(bundle), "--groups"])
    printed = capfd.readouterr()
    assert code == 0, printed.err
    assert "groups of channels can be cut" in printed.out
    held = read_bundle(bundle)
    rounded = msgspec.structs.replace(held.manifest.recipe, name="int8")
    write_bundle(bundle, msgspec.structs.replace(held.manifest, recipe=rounded), held.content)
    assert run(["inspect", str(bundle), "--groups"]) == 1
    assert "holds int8, and channels are cut from floats" in capfd.readouterr().err


def test_what_says_how_a_model_is_loaded_belongs_to_groups(capfd, flatbuffer):
    assert run(["inspect", str(flatbuffer), "--input-size", "8x8"]) == 2
    assert "Give it with `--groups`" in capfd.readouterr().err
