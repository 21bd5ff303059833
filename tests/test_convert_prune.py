"""`--prune` takes channels out, heals what is left, and the bundle tells all that it takes to do it again."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from planning import digits, scaled, students_of, thin

from edge_aigc.bundle import read_bundle, read_manifest
from edge_aigc.cli import run
from edge_aigc.cli.prune_options import AUTO_RATIOS
from edge_aigc.converters.curve import curve
from edge_aigc.converters.distill import Course
from edge_aigc.converters.distill.schedule import steps_in
from edge_aigc.converters.order import Order, PruneOrder
from edge_aigc.converters.plans import masks_of
from edge_aigc.converters.sources.load import load
from edge_aigc.converters.sources.source import Wish
from edge_aigc.errors import ConversionError
from edge_aigc.generator import Generator
from edge_aigc.manifest import RecipeRecord

LIMIT_MS = 5.0
"""Of the digits, which take 11.6 by the price list."""
POEMS = Path(__file__).parents[1] / "examples" / "poems"


def convert(capfd, *arguments):
    code = run(["convert", "--profile", "host", "--json", *map(str, arguments)])
    printed = capfd.readouterr()
    return code, json.loads(printed.out) if printed.out else {}, printed.err


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGE_AIGC_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


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
    kept = sorted(path.name for path in cache.rglob("*") if path.is_file())
    assert [name[-12:] for name in kept] == [kept[0][-12:], "plan.json", "student.tflite"[-12:]]
    assert kept[0].endswith("-float32.npz")
    # Asked again it has nothing left to learn; told by the bundle alone it learns the same.
    for name, words in {"again": arguments, "like": ("--like", tmp_path / "first.aigc")}.items():
        code, *_ = convert(capfd, *words, "-o", tmp_path / f"{name}.aigc")
        assert code == 0
        other = read_bundle(tmp_path / f"{name}.aigc")
        assert other.manifest.recipe.pruning == first.manifest.recipe.pruning
        same = first.content["model.tflite"] == other.content["model.tflite"]
        assert same or name == "again"  # timed anew, it may take another form


def test_the_poem_model_writes_with_less_of_its_memory_and_is_made_again(capfd, tmp_path):
    import keras

    bundle, poems = tmp_path / "poems.aigc", (POEMS / "poems.keras", "--spec", POEMS / "poems.toml")
    words = ("--prune", "0.6", "--distill-minutes", "0.03", "--recipe", "float32", "--min-fidelity", "20")
    keras.utils.clear_session()  # as in processes of their own: names of layers begin anew
    code, _, said = convert(capfd, *poems, *words, "-o", bundle, "--report", tmp_path / "report.html")
    assert code == 0, said
    made = read_bundle(bundle)
    pruning, (_, memory) = made.manifest.recipe.pruning, made.manifest.spec.inputs
    assert pruning.removed == pytest.approx(0.6, abs=0.01)
    assert pruning.healing.after > pruning.healing.before + 5
    (kept,) = (masks_of(pruning)[group.name].sum() for group in pruning.groups if group.units == 256)
    assert memory.shape == made.manifest.spec.outputs[1].shape == (1, kept)
    assert kept < 230
    assert Generator(made).proof.vectors == 4
    assert run(["generate", str(bundle), "--prompt", "春", "--seed", "3", "-o", str(tmp_path / "poem.txt")]) == 0
    assert len((tmp_path / "poem.txt").read_text()) > 20
    capfd.readouterr()
    keras.utils.clear_session()
    code, *_ = convert(capfd, poems[0], "--like", bundle, "-o", tmp_path / "again.aigc")
    assert code == 0
    again = read_bundle(tmp_path / "again.aigc")
    assert again.content["model.tflite"] == made.content["model.tflite"]
    assert again.content["golden.npz"] == made.content["golden.npz"]


def test_the_curve_compares_what_the_bundle_would_hold():
    bench, students = digits(Order(prune=PruneOrder(ratios=(0.5,), distill_minutes=0)))
    points = {point.method: point for point in curve(bench, students, students.variants(), students._place)}
    assert points["whole"].fidelity.value > 60
    assert 10 < points["magnitude"].fidelity.value + 3 < points["repaired"].fidelity.value
    assert points["repaired"].cost.latency_ms < points["whole"].cost.latency_ms
    assert points["whole"].sample.dtype == np.uint8


def test_a_latency_is_reached_by_removing_what_it_takes():
    bench, students = digits(Order(prune=PruneOrder(to_latency_ms=LIMIT_MS, distill_minutes=0)))
    whole, student = students.variants()
    assert whole is bench.whole
    took, takes = (students._priced(variant.normalized[0]) for variant in (whole, student))
    assert took > LIMIT_MS >= takes > 0.8 * LIMIT_MS


def test_a_model_that_is_fast_enough_stays_whole():
    bench, students = digits(Order(prune=PruneOrder(to_latency_ms=1e6, distill_minutes=0)))
    assert students.variants() == [bench.whole]


def test_a_plan_of_a_faster_place_is_made_anew():
    order = Order(prune=PruneOrder(to_latency_ms=LIMIT_MS, distill_minutes=0.001))
    students = [digits(order, slower=slower)[1] for slower in (1.0, 1.2)]
    first, second = (one._fast(LIMIT_MS)[1] for one in students)
    slow = students[1]._priced
    assert slow(second.normalized[0]) <= LIMIT_MS < slow(first.normalized[0])


def test_what_cannot_be_had_is_left_out_of_a_choice_and_refused_where_it_was_named(tmp_path):
    source = load(scaled(tmp_path), Wish())  # of its sixteen channels a quarter stays
    outputs = [{"name": fact.name, "media": "raw"} for fact in source.outputs]
    fields = {"inputs": [{"name": "latent", "prior": "normal"}], "outputs": outputs}
    some = PruneOrder(ratios=(0.0, 0.25, 0.95), any_of_them=True, distill_minutes=0)
    _, students = students_of(source, fields, Order(prune=some))
    assert [variant.pruning and variant.pruning.asked for variant in students.variants()] == [None, 0.25]
    (left,) = students.left_out
    assert left.pruned == 0.95
    assert "cannot be removed" in left.refused
    named = PruneOrder(ratios=(0.95,), distill_minutes=0)
    with pytest.raises(ConversionError, match="cannot be removed"):
        students_of(source, fields, Order(prune=named))[1].variants()


def test_a_share_that_was_missed_is_told_with_what_was_asked_what_came_of_it_and_why(capfd, tmp_path):
    options = ("--distill-minutes", "0", "--recipe", "float32", "--min-fidelity", "1", "-o", tmp_path)
    spec = tmp_path / "scaled.toml"
    spec.write_text(
        'name = "scaled"\n[[inputs]]\nname = "latent"\nprior = "normal"\n[[outputs]]\nname = "image"\nmedia = "raw"\n'
    )
    code, printed, told = convert(capfd, scaled(tmp_path), "--spec", spec, "--prune", "0.28", *options)
    assert code == 0, told
    (entry,) = printed["bundles"]
    pruning = entry["pruning"]  # a sixteenth of the multiplications is the least that can go
    assert pruning["asked"] == 0.28
    assert pruning["removed"] in (0.25, 0.3125)
    assert pruning["coarsest"]["share"] == pytest.approx(1 / 16)
    assert {candidate["removed"] for candidate in entry["candidates"]} == {pruning["removed"]}
    words = f"28.0% of the multiplications were asked for and {pruning['removed']:.1%} are removed"
    assert f"{words}: channels are that coarse, one of {pruning['coarsest']['group']!r} makes up 6.2%" in told
    assert f"pruned 28% (got {pruning['removed']:.1%})" in told
    assert run(["inspect", entry["path"]]) == 0
    assert words in capfd.readouterr().out


def test_a_whole_model_healed_for_int8_is_made_again_from_its_record(tmp_path):
    source, recipes = load(scaled(tmp_path), Wish()), ("float32", "int8")
    outputs = [{"name": fact.name, "media": "raw"} for fact in source.outputs]
    fields = {"inputs": [{"name": "latent", "prior": "normal"}], "outputs": outputs}
    bench, students = students_of(source, fields, Order(), recipes=recipes)
    assert bench.whole.normalized[1]
    healed = students._teaching.taught(students._uncut(), Course(steps=50, batch=4, fake="int8"), None)
    record = RecipeRecord(name="int8", asked="auto", pruning=healed.pruning)
    (again,) = students_of(source, fields, Order(like=record), recipes=recipes)[1].variants()
    assert again.pruning == healed.pruning
    assert again.flatbuffer == healed.flatbuffer


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--prune", "75"), "For 75 % give 0.75"),
        (("--prune", "-0.1"), "is not between 0 and 0.95"),
        (("--prune", "much"), "no share of the multiplications"),
        (("--prune", "0.5", "--prune-to-latency", "3"), "both say how much to remove"),
        (("--prune-to-latency", "nan"), "not a finite number"),
        (("--zeros", "1.5"), "no share of the weights"),
        (("--distill-minutes", "-1"), "-1"),
    ],
)
def test_what_cannot_be_pruned_is_told_before_anything_is_loaded(capfd, words, told):
    code = run(["convert", "--profile", "host", *words])
    assert code == 2
    assert told in capfd.readouterr().err


@pytest.mark.parametrize("words", [("--prune", "0.5"), ("--prune-to-latency", "3"), ("--distill-minutes", "1")])
def test_a_cache_that_cannot_be_written_is_told_before_anything_is_loaded(capfd, tmp_path, monkeypatch, words):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("EDGE_AIGC_CACHE", str(tmp_path / "file"))
    code, printed, told = convert(capfd, *words, "no-such-model.keras")
    assert code == 1
    assert printed["error"]["code"] == "file"
    assert f"Cannot write {tmp_path / 'file'}" in told
    assert "EDGE_AIGC_CACHE" in printed["error"]["remedy"]


def test_what_learns_nothing_needs_no_cache(capfd, tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("EDGE_AIGC_CACHE", str(tmp_path / "file"))
    code, _, told = convert(capfd, "--prune", "0.5", "--distill-minutes", "0", "no-such-model.keras")
    assert code == 1
    assert "no-such-model.keras" in told


def test_an_interruption_tells_that_nothing_was_written(capfd, tmp_path, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("edge_aigc.converters.pipeline.convert", interrupted)
    code, printed, told = convert(capfd, "-o", tmp_path / "none.aigc")
    assert code == 130
    assert printed == {}
    assert told.rstrip().splitlines()[-1] == "edge-aigc: Interrupted: nothing was written."
    assert not list(tmp_path.iterdir())


def test_the_help_tells_when_minutes_are_exceeded_and_where_training_is_kept(capfd):
    assert run(["convert", "--help"]) == 0
    told = " ".join(capfd.readouterr().out.split())
    assert f"at least {steps_in(0, 1)} steps are taken" in told
    assert "the folder EDGE_AIGC_CACHE, by default edge-aigc in $XDG_CACHE_HOME or ~/.cache" in told


def test_what_was_left_out_stands_in_the_table_with_its_reason(capfd, tmp_path):
    (tmp_path / "spec.toml").write_text(
        '[[inputs]]\nname = "latent"\nprior = "normal"\n[[outputs]]\nname = "image"\nmedia = "raw"\n'
    )
    code, printed, told = convert(
        capfd,
        *(thin(tmp_path), "--spec", tmp_path / "spec.toml", "--recipe", "float32", "-o", tmp_path / "thin.aigc"),
        *("--prune", "auto", "--distill-minutes", "0", "--zeros", "0.9", "--meter", "here"),
    )
    assert code == 0, told
    candidates = printed["bundles"][0]["candidates"]
    left = {(entry["pruned"], entry["verdict"]) for entry in candidates if entry.get("bytes") is None}
    assert {pruned for pruned, _ in left} == {0.0, *AUTO_RATIOS}
    assert all(verdict.startswith("left out: ") for _, verdict in left)
    assert any("Zeros in kernels gain nothing" in verdict for _, verdict in left)
    for pruned, verdict in left:
        assert verdict in told
        assert not pruned or f"pruned {pruned:.0%}" in told
    assert {(entry.pruned, entry.verdict) for entry in read_manifest(tmp_path / "thin.aigc").candidates} >= left


def test_zeros_in_kernels_are_refused_with_what_was_measured(capfd, tmp_path):
    code, printed, _ = convert(capfd, "--zeros", "0.9", "-o", tmp_path / "none.aigc")
    assert code == 1
    assert "Zeros in kernels gain nothing" in printed["error"]["message"]
    assert "thousand instructions" in printed["error"]["message"]
    assert "--prune 0.75" in printed["error"]["remedy"]
    assert not list(tmp_path.glob("*.aigc"))
