"""What is promised decides what is chosen; what cannot be kept is refused with the nearest miss."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge_aigc.bundle import read_manifest
from edge_aigc.cli import run
from edge_aigc.errors import PromiseError


def convert(capfd, *arguments):
    code = run(["convert", "--profile", "host", "--json", *map(str, arguments)])
    printed = capfd.readouterr()
    return code, json.loads(printed.out), printed.err


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("promises")


@pytest.mark.heavy
def test_three_sets_of_promises_pick_three_bundles(capfd, folder):
    chosen = {}
    for name, promises in {
        "nothing": (),
        "a good picture": ("--min-fidelity", "60"),
        "the best picture in time": ("--max-latency", "1000"),
    }.items():
        code, printed, _ = convert(capfd, *promises, "-o", folder / name.replace(" ", "-"))
        assert code == 0
        (entry,) = printed["bundles"]
        chosen[name] = read_manifest(Path(entry["path"]))
        assert sum(candidate["chosen"] for candidate in entry["candidates"]) == 1
        assert any(candidate["pareto"] for candidate in entry["candidates"])
    assert len({manifest.files["model.tflite"].sha256 for manifest in chosen.values()}) == 3
    assert chosen["a good picture"].fidelity.value >= 60
    best = chosen["the best picture in time"]
    assert best.fidelity.value == max(entry.fidelity for entry in best.candidates if entry.fidelity is not None)
    assert chosen["nothing"].latency_ms.value < best.latency_ms.value


def test_an_impossible_set_exits_3_with_the_nearest_miss_and_writes_nothing(capfd, folder):
    code, printed, words = convert(
        capfd, "--max-size", "1kB", "--min-fidelity", "60", "--recipe", "float16", "-o", folder / "none"
    )
    error = printed["error"]
    assert (code, error["code"]) == (PromiseError.exit_code, "promise")
    assert "the nearest, float16" in error["message"]
    assert "where 1,000 B were asked for" in error["message"]
    assert "`--max-size` to" in error["remedy"]
    assert not (folder / "none").exists()
    rows = [row.split() for row in words.splitlines() if row.startswith("  float16")]
    assert len(rows) >= 2, words  # all that was tried, each with what it reaches and why it was left
    assert all("over 1,000 B" in " ".join(row) for row in rows)


@pytest.mark.parametrize(
    "words",
    [
        *[("--max-latency", word) for word in ("0", "-1", "nan", "inf")],
        *[("--max-size", word) for word in ("much", "0", "0MB", "-3MB", "nan")],
        *[("--max-ram", word) for word in ("0", "-3MB")],
        *[("--min-fidelity", word) for word in ("nan", "-inf", "-5", "100.1")],
        ("--timeout", "nan"),
    ],
)
def test_promises_that_make_no_sense_are_misuse(capfd, words):
    code, printed, _ = convert(capfd, *words)
    assert (code, printed["error"]["code"]) == (2, "usage")
    assert words[0] in printed["error"]["message"]
