"""What earlier runs cut is found again; what is damaged is cut anew; records come back as they were."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from disks import small_disk
from planning import small

from edge_aigc.converters.distill.checkpoint import load
from edge_aigc.converters.order import PruneOrder
from edge_aigc.converters.plans import masks_of
from edge_aigc.errors import FileError
from edge_aigc.prune_record import CutGroup, Pruning


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGE_AIGC_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.parametrize(
    ("file", "damage", "words"),
    [
        ("plan.json", lambda content: b"{" + content, "is no plan"),
        ("plan.json", lambda content: content.replace(b'"kept":"', b'"kept":"00'), "bits for"),
        ("student.tflite", lambda content: content[: len(content) // 2], "is damaged"),
        ("student.tflite", lambda _: bytes(1000), "its 1,000 B are not those of the plan"),
        ("student.tflite", None, "is missing"),
    ],
    ids=["no plan", "too many bits", "truncated", "garbage", "missing"],
)
def test_a_plan_that_was_damaged_is_told_once_and_made_anew(cache, tmp_path, file, damage, words):
    students, noted = small(tmp_path, PruneOrder(ratios=(0.5,), distill_minutes=0.001), note=[])
    cut = students._planned("ratio 0.5", 0.5, lambda: students._by_ratio(0.5))
    (path,) = cache.rglob(file)
    if damage is None:
        path.unlink()
    else:
        path.write_bytes(damage(path.read_bytes()))
    for _ in range(2):
        again = students._planned("ratio 0.5", 0.5, lambda: students._by_ratio(0.5))
        assert again == cut
    (told,) = noted
    assert "cut anew" in told
    assert str(path) in told
    assert words in told


def test_a_plan_that_cannot_be_kept_is_told_and_the_student_learns(tmp_path, monkeypatch):
    students, noted = small(tmp_path, PruneOrder(ratios=(0.5,), distill_minutes=0.001), note=[])
    with small_disk(tmp_path / "small") as disk:
        monkeypatch.setenv("EDGE_AIGC_CACHE", str(disk))
        (disk / "full").write_bytes(bytes(60 << 10))
        (student,) = students.variants()
        assert [path.name for path in disk.rglob("*") if path.is_file()] == ["full"]
    assert student.pruning.healing.steps == 50
    plan, training = noted
    for words, what in ((plan, "the student that was cut is not kept"), (training, "what it reaches is not kept")):
        assert what in words
        assert "EDGE_AIGC_CACHE" in words


def test_a_record_with_too_few_bits_is_refused():
    group = CutGroup(name="a", units=10, kept="ab")
    with pytest.raises(FileError, match="8 bits for 10 units"):
        masks_of(Pruning(asked=0.5, removed=0.5, multiplications=(2, 1), groups=(group,), repaired=True))


def test_masks_come_back_from_the_record_as_they_were():
    mask = np.array([True, False, True, True, False, False, True, True, True, False])
    group = CutGroup(name="a", units=10, kept=np.packbits(mask).tobytes().hex())
    pruning = Pruning(asked=0.5, removed=0.5, multiplications=(2, 1), groups=(group,), repaired=True)
    np.testing.assert_array_equal(masks_of(pruning)["a"], mask)


@pytest.mark.heavy
def test_a_conversion_that_is_interrupted_tells_what_is_kept_and_goes_on_with_it(cache, tmp_path):
    arguments = ["--profile", "host", "--prune", "0.5", "--distill-minutes", "0.5", "--recipe", "float32"]
    arguments += ["--min-fidelity", "5", "-o", str(tmp_path / "done.aigc")]
    command = [sys.executable, "-c", "from edge_aigc.cli import main; main()", "convert", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as interrupted:
        while not list(cache.rglob("*.npz")) and interrupted.poll() is None:
            time.sleep(0.1)
        interrupted.send_signal(signal.SIGINT)
        printed, told = interrupted.communicate(timeout=60)
    assert interrupted.returncode == 130, told
    assert printed == ""
    kept = re.search(r"host: Interrupted: the training is kept as it was after ([\d,]+) of ([\d,]+) steps", told)
    done, steps = (int(figure.replace(",", "")) for figure in kept.groups())
    assert 0 < done < steps
    assert told.rstrip().endswith("edge-aigc: Interrupted: nothing was written.")
    (checkpoint,) = cache.rglob("*.npz")
    assert load(checkpoint).done == done
    again = subprocess.run(command, capture_output=True, text=True, check=True)
    assert f"distilled, {steps:,} steps" in again.stderr
    assert "Interrupted" not in again.stderr
