"""Instructions counted under a CPU model; QEMU's user mode and a C compiler are what the machine needs."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from bundles import DATA

from edge_aigc.devices.catalog import find_profile
from edge_aigc.devices.emulate import marked, remembered
from edge_aigc.devices.emulate.counting import EmulatedCounter, count_in
from edge_aigc.devices.emulate.here import Here
from edge_aigc.devices.emulate.plugin import plugin_for, qemu_release
from edge_aigc.errors import BundleError, EmulationError

MODELS = {name: (DATA / f"{name}.tflite").read_bytes() for name in ("tiny", "negative")}
NOISE = 500
"""Instructions: where the allocator and Python's caches happen to stand."""


def counted_here(models, **options):
    return count_in(Here(), models, qemu=Here().qemu, runtime="litert", **options)


def test_a_loop_of_known_length_is_counted_to_a_few_instructions(tmp_path):
    program, counts = tmp_path / "loop", tmp_path / "counts"
    subprocess.run(["cc", "-O2", "-Wl,-z,now", "-o", str(program), str(DATA / "loop.c")], check=True)
    plugin = f"{plugin_for(Here().qemu)},counts={counts}"
    subprocess.run([Here().qemu, "-plugin", plugin, str(program)], check=True)
    sections = dict(tuple(map(int, line.split())) for line in counts.read_text(encoding="ascii").splitlines())
    assert sections.keys() == {0, 1, 2}
    # Two instructions a turn; the rest is the C library's way into and out of the markers.
    assert 2_000_000 < sections[1] < 2_000_030
    # A getppid of somebody else's begins and ends nothing, with other arguments or our own left in the registers.
    assert 0 < sections[2] - sections[1] < 60


def test_counts_are_the_same_every_time_and_in_any_company():
    together = counted_here(MODELS)
    alone = counted_here({"tiny": MODELS["tiny"]})
    assert together["tiny"] > together["negative"] > 0
    assert abs(together["tiny"] - alone["tiny"]) <= NOISE


def test_what_the_runtime_refuses_is_named():
    with pytest.raises(BundleError) as caught:
        counted_here({**MODELS, "broken": MODELS["tiny"][:400]})
    assert "'broken'" in caught.value.message


def test_a_guest_that_dies_is_an_error_with_its_status():
    class Dying(Here):
        def run(self, arguments, **options):
            return super().run(["-c", "import os; os.abort()", *arguments], **options)

    with pytest.raises(EmulationError) as caught:
        count_in(Dying(), MODELS, qemu=Here().qemu, runtime="litert")
    assert "status -6 after it began 0 of 2" in caught.value.message


def test_what_was_counted_once_is_remembered(monkeypatch, tmp_path):
    monkeypatch.setenv("EDGE_AIGC_CACHE", str(tmp_path))
    told: list[str] = []
    counter = EmulatedCounter(find_profile("host"), tell=told.append)
    first = counter.count({"one": MODELS["tiny"], "same": MODELS["tiny"]})
    assert first["one"] == first["same"]
    assert [words.split(" on ")[0] for words in told] == ["counting 1 models", "counted 1 of 1 models"]
    assert EmulatedCounter(find_profile("host"), tell=told.append).count({"again": MODELS["tiny"]}) == {
        "again": first["one"]
    }
    assert len(told) == 2


def test_a_damaged_memory_is_counted_again(monkeypatch, tmp_path):
    monkeypatch.setenv("EDGE_AIGC_CACHE", str(tmp_path))
    remembered.remember("a place", {"key": 7})
    assert remembered.recall("a place") == {"key": 7}
    assert remembered.recall("A  PLACE") == {}  # the same file's name, another place
    (file,) = tmp_path.glob("counts/*")
    file.write_bytes(file.read_bytes()[:-9])
    assert remembered.recall("a place") == {}


def test_the_plugin_is_built_once(monkeypatch, tmp_path):
    monkeypatch.setenv("EDGE_AIGC_CACHE", str(tmp_path))
    first = plugin_for(Here().qemu)
    monkeypatch.setenv("CC", "false")
    assert plugin_for(Here().qemu) == first


def test_a_machine_without_compiler_is_told_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setenv("EDGE_AIGC_CACHE", str(tmp_path))
    monkeypatch.setenv("CC", str(tmp_path / "no-compiler"))
    with pytest.raises(EmulationError) as caught:
        plugin_for(Here().qemu)
    assert "apt-get install gcc" in caught.value.remedy
    assert list(tmp_path.glob("plugins/*")) == []


def test_a_missing_qemu_and_one_without_plugins_are_told_apart(tmp_path):
    with pytest.raises(EmulationError) as caught:
        plugin_for("qemu-of-no-machine")
    assert "not installed" in caught.value.message
    static = tmp_path / "qemu-static"
    static.write_text("#!/bin/sh\necho 'qemu-aarch64 version 7.2.22'\n", encoding="ascii")
    static.chmod(0o755)
    with pytest.raises(EmulationError) as caught:
        qemu_release(str(static))
    assert "no plugins" in caught.value.message


def test_the_markers_of_script_and_plugin_are_the_same():
    source = (Path(plugin_for.__code__.co_filename).parent / "count.c").read_text(encoding="utf-8")
    assert f"UINT64_C({marked._MAGIC:#x})" in source
    assert "START = 1, STOP = 2" in source
    for number in marked._GETPPID.values():
        assert str(number) in source
