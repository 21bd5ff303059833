"""`doctor` as a whole, on disks and bundles with planted faults: found, mended by its command, found no more."""

from __future__ import annotations

import errno
import os
import subprocess
import threading
from pathlib import Path

import pytest
from bundles import bundle_with_wrong_goldens
from click.testing import CliRunner
from disks import small_disk
from doctors import NOWHERE, doctor, mend

from edge_aigc.cli.doctor import command as verb
from edge_aigc.devices.doctor import disk
from edge_aigc.devices.doctor.patient import Patient
from edge_aigc.finding import Finding, as_root, gather


def test_a_healthy_board_has_no_problem(on_board):
    seen = on_board("--profile", "coral-usb")
    assert seen.code == 0
    assert not seen.problems
    assert {"runtime", "broker", "edgetpu", "edgetpu-library", "clock", "throttled", "memory", "disk"} <= {
        entry["id"] for entry in seen.findings if entry["severity"] == "ok"
    }


# Disks.


def test_a_full_disk_is_found_and_left(on_board, tmp_path):
    with small_disk(tmp_path / "small") as place:
        env = {"TMPDIR": str(place)}
        seen = on_board(env=env)
        assert set(seen.problems) == {"disk-full"}
        assert not on_board(env=env, before=seen["disk-full"]["remedy"]).problems


def test_a_cache_without_room_is_found_and_moved(on_board, tmp_path):
    with small_disk(tmp_path / "small") as place:
        env = {"EDGE_AIGC_CACHE": str(place / "cache")}
        seen = on_board(env=env)
        assert set(seen.problems) == {"disk-full"}
        assert "65,536 B" in seen["disk-full"]["message"]
        assert not on_board(env=env, before=seen["disk-full"]["remedy"]).problems


@pytest.mark.parametrize(
    ("folder", "remedy"),
    [
        ("/tmp", "chmod 1777 /tmp"),  # noqa: S108 - it is the folder that must stay everybody's
        ("/nowhere/of ours", "install -d -o ada '/nowhere/of ours'"),
    ],
)
def test_a_folder_that_is_not_ours_alone_is_never_given_away(monkeypatch, folder, remedy):
    monkeypatch.setattr(disk, "_refusal", lambda _: errno.EACCES)
    place = disk.Place(what="cache", folder=Path(folder), variable="EDGE_AIGC_CACHE", need_bytes=1)
    monkeypatch.setattr(disk, "places", lambda **_: (place,))
    (finding,) = disk.check(Patient(user="ada"))
    assert finding.id == "disk-forbidden"
    assert finding.remedy == as_root(remedy)


def test_a_disk_that_is_read_only_is_found_and_opened(on_board, tmp_path):
    place = tmp_path / "card"
    place.mkdir()
    line = ["mount", "-t", "tmpfs", "-o", "ro,size=64m", "none", str(place)]
    if subprocess.run(line, capture_output=True, check=False).returncode:
        pytest.skip("mounting a file system needs root")
    try:
        env = {"EDGE_AIGC_CACHE": str(place)}
        seen = on_board(env=env)
        assert set(seen.problems) == {"disk-readonly"}
        mend(seen["disk-readonly"]["remedy"])
        assert not on_board(env=env).problems
    finally:
        subprocess.run(["umount", str(place)], check=True)


# Bundles.


def test_a_bundle_is_proven(on_board, tiny):
    seen = on_board(tiny)
    assert seen.code == 0
    assert "proves itself on ai-edge-litert" in seen["bundle"]["message"]


def test_a_bundle_that_does_not_prove_itself_is_found(on_board, tmp_path):
    seen = on_board(bundle_with_wrong_goldens(tmp_path))
    assert set(seen.problems) == {"bundle"}


# The examination itself.


def test_an_empty_machine_is_unknown_and_no_crash(tmp_path):
    seen = doctor("--role", "device", "--root", tmp_path, "--broker", NOWHERE, "--profile", "coral-usb")
    assert set(seen.problems) == {"broker-absent", "edgetpu-absent", "edgetpu-library"}
    assert "Unknown" in seen["memory"]["message"]
    assert "Unknown" in seen["clock"]["message"]


def test_nonsense_in_the_systems_files_is_no_crash(on_board, healthy):
    for path in healthy.rglob("*"):
        if path.is_file() and path.suffix not in {".1", ".rules"}:
            path.write_bytes(os.urandom(64))
    seen = on_board()
    assert seen.findings


def test_a_check_that_hangs_is_left_behind():
    released = threading.Event()

    def slow():
        released.wait(60)
        return []

    findings = gather({"slow": slow, "good": list}, limit_s=0.2)
    released.set()
    assert [(finding.id, finding.message) for finding in findings] == [("slow", "Unknown: no answer in 0.2 s.")]


def test_a_check_that_fails_in_its_own_way_is_a_note():
    def slow():
        raise subprocess.TimeoutExpired("qemu-aarch64", 4)

    (finding,) = gather({"slow": slow}, limit_s=5)
    assert (finding.id, finding.severity) == ("slow", "note")
    assert "TimeoutExpired" in finding.message


def test_problems_stand_first():
    def found(severity):
        return Finding(id=severity, severity=severity, message="")

    findings = gather({"a": lambda: [found("ok"), found("note")], "b": lambda: [found("problem")]}, limit_s=5)
    assert [finding.id for finding in findings] == ["problem", "note", "ok"]


def test_a_person_reads_the_remedy_below_the_finding(healthy):
    words = CliRunner().invoke(verb, ["--role", "device", "--root", str(healthy), "--broker", NOWHERE])
    assert words.exit_code == 0  # the verb's own return value becomes the exit code in `run`
    first, second, *_ = words.output.splitlines()
    assert first.startswith("problem broker-absent ")
    assert second.strip().startswith("$ ")
