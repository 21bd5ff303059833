"""`--prune` takes channels out, heals what is left, and the bundle tells all that it takes to do it again."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from edge_aigc.bundle import read_bundle, read_manifest
from edge_aigc.cli import run
from edge_aigc.converters.costs.work import price
from edge_aigc.converters.models import DIGITS, DIGITS_SPEC
from edge_aigc.converters.order import Order, PruneOrder
from edge_aigc.converters.plans import masks_of
from edge_aigc.converters.sources.load import load
from edge_aigc.converters.sources.source import Wish
from edge_aigc.converters.specification import Statement, complete
from edge_aigc.converters.students import Students, Target
from edge_aigc.converters.workbench import Workbench
from edge_aigc.cost import Cost
from edge_aigc.devices.catalog import find_profile
from edge_aigc.errors import FileError
from edge_aigc.prune_record import CutGroup, Pruning
from edge_aigc.spec import parse_toml


def convert(capfd, *arguments):
    code = run(["convert", "--profile", "host", "--json", *map(str, arguments)])
    printed = capfd.readouterr()
    return code, json.loads(printed.out) if printed.out else {}, printed.err


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGE_AIGC_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


class Priced:
    """A `CostMeter` whose milliseconds are millions of `price`: the same on every machine, loaded or not."""

    shortlist = 4

    def measure(self, flatbuffers, *, threads):
        del threads
        return {
            name: Cost(latency_ms=price(one) / 1e6, spread_ms=0.0, how="estimated", where="a price list")
            for name, one in flatbuffers.items()
        }


def digits(order):
    source = load(DIGITS, Wish())
    stated = Statement(file=parse_toml(DIGITS_SPEC.read_bytes(), origin="digits.toml"))
    bench = Workbench(source, complete(source.inputs, source.outputs, stated, default_name="digits"), order)
    profile = find_profile("rpi4")
    target = Target(profile=profile, recipes=("float32",), meter=Priced(), int8_borders=False)
    return bench, Students(bench, target, lambda _: None)


def test_what_is_pruned_is_smaller_by_what_was_asked_and_its_curve_is_in_the_report(capfd, tmp_path):
    code, printed, _ = convert(
        capfd,
        *("--prune", "0,0.5", "--distill-minutes", "0", "--recipe", "float32", "--min-fidelity", "15"),
        *("-o", tmp_path, "--report", tmp_path / "report.html"),
    )
    assert code == 0
    (entry,) = printed["bundles"]
    assert {candidate["pruned"] for candidate in entry["candidates"]} == {0.0, 0.5}
    manifest = read_manifest(Path(entry["path"]))
    pruning = manifest.recipe.pruning
    assert pruning.removed == pytest.approx(0.5, abs=0.03)
    assert pruning.repaired
    assert pruning.healing is None
    before, after = pruning.multiplications
    assert after == pytest.approx(before * (1 - pruning.removed))
    for group, mask in zip(pruning.groups, masks_of(pruning).values(), strict=True):
        assert group.units == len(mask)
        assert 0 < mask.sum() < group.units
    page = (tmp_path / "report.html").read_text()
    assert "<h3>Pruning</h3>" in page
    assert "smallest weights cut" in page
    assert page.count("<figcaption>whole</figcaption>") == 1
    assert run(["inspect", entry["path"]]) == 0
    assert "pruned by" in capfd.readouterr().out


@pytest.mark.heavy
def test_what_learnt_is_better_than_what_was_only_repaired_and_is_made_again_byte_by_byte(capfd, cache, tmp_path):
    arguments = ("--prune", "0.75", "--distill-minutes", "0.2", "--recipe", "float32", "--min-fidelity", "5")
    code, *_ = convert(capfd, *arguments, "-o", tmp_path / "first.aigc")
    assert code == 0
    first = read_bundle(tmp_path / "first.aigc")
    healing = first.manifest.recipe.pruning.healing
    assert healing.after > healing.before
    kept = sorted(path.name for path in cache.rglob("students/*/*"))
    assert kept == ["distilled.npz", "plan.json"]
    # Asked again it has nothing left to learn; told by the bundle alone it learns the same.
    for name, words in {"again": arguments, "like": ("--like", tmp_path / "first.aigc")}.items():
        code, *_ = convert(capfd, *words, "-o", tmp_path / f"{name}.aigc")
        assert code == 0
        other = read_bundle(tmp_path / f"{name}.aigc")
        assert other.manifest.recipe.pruning == first.manifest.recipe.pruning
        same = first.content["model.tflite"] == other.content["model.tflite"]
        assert same or name == "again"  # timed anew, it may take another form


def test_a_latency_is_reached_by_removing_what_it_takes():
    bench, students = digits(Order(prune=PruneOrder(to_latency_ms=6.0, distill_minutes=0)))
    whole, student = students.variants()
    assert whole is bench.whole
    assert price(whole.flatbuffer) / 1e6 > 6.0
    assert 5.0 < price(student.flatbuffer) / 1e6 <= 6.0


def test_a_model_that_is_fast_enough_stays_whole():
    bench, students = digits(Order(prune=PruneOrder(to_latency_ms=1e6, distill_minutes=0)))
    assert students.variants() == [bench.whole]


def test_a_plan_that_was_damaged_is_refused_with_its_folder(cache):
    order = Order(prune=PruneOrder(ratios=(0.5,), distill_minutes=0.02))
    digits(order)[1].variants()
    (plan,) = cache.rglob("plan.json")
    plan.write_text("{")
    with pytest.raises(FileError, match=r"plan\.json is no plan") as caught:
        digits(order)[1].variants()
    assert str(plan.parent) in caught.value.remedy


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--prune", "75"), "For 75 % give 0.75"),
        (("--prune", "-0.1"), "is not between 0 and 0.95"),
        (("--prune", "much"), "no share of the multiplications"),
        (("--prune", "0.5", "--prune-to-latency", "3"), "both say how much to remove"),
        (("--prune-to-latency", "nan"), "not a finite number"),
        (("--distill-minutes", "-1"), "-1"),
    ],
)
def test_what_cannot_be_pruned_is_told_before_anything_is_loaded(capfd, words, told):
    code = run(["convert", "--profile", "host", *words])
    assert code == 2
    assert told in capfd.readouterr().err


def test_masks_come_back_from_the_record_as_they_were():
    mask = np.array([True, False, True, True, False, False, True, True, True, False])
    group = CutGroup(name="a", units=10, kept=np.packbits(mask).tobytes().hex())
    pruning = Pruning(asked=0.5, removed=0.5, multiplications=(2, 1), groups=(group,), repaired=True)
    np.testing.assert_array_equal(masks_of(pruning)["a"], mask)
