"""Profiles: one file each, found by name; every test with a `name` here runs on every device, the user's too."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from edge_aigc.cli import run
from edge_aigc.devices import catalog
from edge_aigc.devices.catalog import find_profile, profile_names, stated_fields
from edge_aigc.errors import ProfileError
from edge_aigc.profile import DeviceProfile, decode_profile, facts, merged, parse_profile

CHOICES = {"name", "title", "extends", "target", "auto_recipes", "threads"}
"""Names, and choices of ours; every other key is a fact and has a source."""
FILES = tuple(name for name in profile_names() if name != "host")
ROOT = Path(__file__).parent.parent

MINE = b"""
name = "mine"
extends = "rpi4"
title = "My board"
[cpu]
core = "Cortex-A76"
cores = 2
qemu = "cortex-a76"
isa = ["fp16", "dotprod"]
[memory]
ram_bytes = 1_000_000_000
[sources]
"cpu" = "its data sheet"
"memory" = "its data sheet"
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv(catalog.FOLDERS_VARIABLE, str(tmp_path))
    return tmp_path


def test_twelve_boards_and_more_ship():
    assert len(FILES) >= 12


@pytest.mark.parametrize("name", FILES)
def test_every_fact_that_a_file_states_has_its_source_there(name):
    fields = stated_fields(name)
    sources = fields.get("sources", {})
    stated = [fact for fact in facts(fields) if fact.partition(".")[0] not in CHOICES]
    unsourced = [fact for fact in stated if not any(fact == key or fact.startswith(f"{key}.") for key in sources)]
    assert not unsourced
    assert all(len(source) > 3 for source in sources.values())


@pytest.mark.parametrize("name", FILES)
def test_every_source_is_of_something_stated(name):
    fields = stated_fields(name)
    for key in fields.get("sources", {}):
        assert any(fact == key or fact.startswith(f"{key}.") for fact in facts(fields)), key


@pytest.mark.parametrize("name", profile_names())
def test_every_profile_can_be_converted_for_and_emulated(name):
    profile = find_profile(name)
    assert profile.name == name
    assert profile.cpu.qemu
    assert 0 < profile.ram_for_us_bytes <= profile.memory.ram_bytes
    assert all(profile.release(runtime) for runtime in profile.runtimes)
    assert (profile.target == "edgetpu") == (profile.accelerator is not None and profile.accelerator.kind == "edgetpu")


@pytest.mark.parametrize("name", profile_names())
def test_a_board_whose_python_is_too_old_says_so(name, capsys):
    profile = find_profile(name)
    assert run(["profiles", name]) == 0
    assert ("convert-only" in capsys.readouterr().out) == profile.convert_only


@pytest.mark.parametrize("name", profile_names())
def test_every_profile_is_shown_whole(name, capsys):
    assert run(["profiles", name, "--json"]) == 0
    shown = msgspec.json.decode(capsys.readouterr().out, type=DeviceProfile)
    assert shown == find_profile(name)
    assert run(["profiles", name]) == 0
    words = capsys.readouterr().out
    assert shown.title in words
    assert shown.cpu.core in words
    assert all(source in words for source in shown.sources.values())


def test_the_list_names_every_board(capsys):
    assert run(["profiles"]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in profile_names())


def test_a_damaged_file_of_the_users_hides_no_other_board(folder, capsys):
    (folder / "mine.toml").write_bytes(MINE)
    (folder / "damaged.toml").write_bytes(MINE.replace(b'"mine"', b'"damaged"').replace(b'"rpi4"', b'"rpi9"'))
    assert run(["profiles"]) == 0
    printed = capsys.readouterr()
    assert "mine" in printed.out
    assert "rpi4" in printed.out
    assert "damaged.toml extends 'rpi9'" in printed.err


def test_old_systems_are_convert_only():
    only = {name for name in FILES if find_profile(name).convert_only}
    assert {"coral-dev-board", "coral-dev-board-mini", "jetson-nano", "jetson-xavier-nx"} <= only
    assert not only & {"rpi4", "rpi5", "jetson-orin-nano"}


@pytest.mark.parametrize(("wrong", "right"), [("rpi", "rpi4"), ("coralusb", "coral-usb"), ("jetson-nanoo", "jetson")])
def test_an_unknown_name_gets_the_nearest(wrong, right):
    with pytest.raises(ProfileError, match="Did you mean") as caught:
        find_profile(wrong)
    assert right in caught.value.remedy


def test_a_name_like_no_other_gets_the_list_and_the_folder():
    with pytest.raises(ProfileError, match="rpi4") as caught:
        find_profile("toaster")
    assert str(catalog.user_folders()[0]) in caught.value.remedy


def test_a_name_cannot_leave_the_folder():
    with pytest.raises(ProfileError):
        find_profile("../profiles/rpi4")


def test_a_board_of_the_users_is_one_file(folder):
    (folder / "mine.toml").write_bytes(MINE)
    assert "mine" in profile_names()
    profile = find_profile("mine")
    assert (profile.cpu.core, profile.memory.ram_bytes) == ("Cortex-A76", 1_000_000_000)
    assert profile.images == find_profile("rpi4").images
    assert (profile.cpu.soc, profile.cpu.clock_hz) == (None, None)


def test_a_board_without_a_name_has_its_files(folder):
    (folder / "mine.toml").write_bytes(MINE.replace(b'name = "mine"', b""))
    assert find_profile("mine").name == "mine"
    (folder / "my board.toml").write_bytes(MINE.replace(b'name = "mine"', b""))
    with pytest.raises(ProfileError, match="name"):
        find_profile("my board")


def test_every_parametrised_test_runs_on_a_new_board(folder):
    (folder / "mine.toml").write_bytes(MINE)
    command = [sys.executable, "-m", "pytest", "-q", "-rA", "-p", "no:cacheprovider", str(Path(__file__)), "-k", "mine"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("PASSED") >= 5
    assert "test_every_profile_can_be_converted_for_and_emulated[mine]" in done.stdout


def test_a_users_board_cannot_take_the_place_of_one_that_ships(folder):
    (folder / "rpi4.toml").write_bytes(MINE.replace(b'"mine"', b'"rpi4"'))
    with pytest.raises(ProfileError, match="name of another") as caught:
        find_profile("rpi4")
    assert 'extends = "rpi4"' in caught.value.remedy


@pytest.mark.parametrize(
    ("base", "words"),
    [
        ('"nowhere"', "not there"),
        ('"mine"', "circle"),
        ('"other"', "circle"),
        ('["rpi4"]', "not there"),
        ("4", "not there"),
    ],
)
def test_extending_what_is_not_there_or_itself_is_refused(folder, base, words):
    (folder / "mine.toml").write_bytes(MINE.replace(b'"rpi4"', base.encode()))
    (folder / "other.toml").write_bytes(MINE.replace(b'"mine"', b'"other"').replace(b'"rpi4"', b'"mine"'))
    with pytest.raises(ProfileError, match=words):
        find_profile("mine")


def test_a_file_that_calls_itself_otherwise_is_refused(folder):
    (folder / "yours.toml").write_bytes(MINE)
    with pytest.raises(ProfileError, match="calls itself 'mine'"):
        find_profile("yours")


def test_the_folder_is_the_systems_unless_stated(monkeypatch, tmp_path):
    monkeypatch.delenv(catalog.FOLDERS_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert catalog.user_folders() == (tmp_path / "edge-aigc" / "profiles",)


def test_a_table_is_replaced_whole_and_its_sources_with_it():
    base = {"cpu": {"core": "a", "cores": 2}, "title": "A", "sources": {"cpu.core": "book", "title": "cover"}}
    changes = {"extends": "a", "cpu": {"core": "b"}, "sources": {"cpu": "leaflet"}}
    assert merged(base, changes) == {
        "cpu": {"core": "b"},
        "title": "A",
        "sources": {"title": "cover", "cpu": "leaflet"},
    }


def test_this_machine_is_a_board_too():
    host = find_profile("host")
    assert host.cpu.cores == os.cpu_count()
    assert host.runtimes[0] == "litert"
    assert host.memory.ram_bytes > 1 << 30
    assert not host.convert_only


MINIMAL = b"""
name = "x"
title = "X"
target = "xnnpack"
runtimes = ["litert"]
recipes = ["int8"]
auto_recipes = ["int8"]
[cpu]
core = "Cortex-A72"
cores = 4
[memory]
ram_bytes = 1_000_000
[[images]]
name = "Some Linux"
python = "3.11"
glibc = "2.36"
wheels = { litert = "2.3.0" }
"""


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (b'recipes = ["int8"]\n', b"", "recipes"),
        (b'target = "xnnpack"', b'target = "abacus"', "abacus"),
        (b'auto_recipes = ["int8"]', b'auto_recipes = ["float32"]', "not among its recipes"),
        (b"[memory]", b"[memory]\nram = 1", "unknown field `ram`"),
        (b"[memory]", b"[memory", "cannot be read"),
        (b"1_000_000", b"0", "memory.ram_bytes"),
        (b"1_000_000", b"1_000_000\nfor_us_bytes = 1_000_001", "1,000,001 B of 1,000,000 B"),
        (b'{ litert = "2.3.0" }', b"{}", "none of its images has a wheel"),
        (b'"3.11"', b'"three"', "images"),
    ],
)
def test_a_wrong_profile_is_refused_by_key(old, new, words):
    assert parse_profile(decode_profile(MINIMAL, origin="x.toml"), origin="x.toml").threads == 1
    with pytest.raises(ProfileError) as caught:
        parse_profile(decode_profile(MINIMAL.replace(old, new, 1), origin="x.toml"), origin="x.toml")
    assert words in str(caught.value)
