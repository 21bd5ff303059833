"""Instructions counted under a CPU model; QEMU's user mode and a C compiler are what the machine needs."""

from __future__ import annotations

from pathlib import Path

import pytest
from bundles import DATA

from edge_aigc.devices.emulate.counting import EmulatedCounter
from edge_aigc.devices.emulate.here import Here
from edge_aigc.devices.emulate.plugin import plugin_for, qemu_release
from edge_aigc.errors import BundleError, EmulationError

MODELS = {name: (DATA / f"{name}.tflite").read_bytes() for name in ("tiny", "negative")}


def test_counts_are_the_same_every_time_and_in_any_company():
    together = EmulatedCounter(Here(), "litert").count(MODELS)
    alone = EmulatedCounter(Here(), "litert").count({"tiny": MODELS["tiny"]})
    assert together["tiny"] > together["negative"] > 0
    assert abs(together["tiny"] - alone["tiny"]) <= 200  # the allocator's state; of 9,000 and more


def test_what_the_runtime_refuses_is_named():
    with pytest.raises(BundleError) as caught:
        EmulatedCounter(Here(), "litert").count({**MODELS, "broken": MODELS["tiny"][:400]})
    assert "'broken'" in caught.value.message


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
    from edge_aigc.devices.emulate import marked

    assert f"UINT64_C({marked._MAGIC:#x})" in source
    assert "START = 1, STOP = 2" in source
    for number in marked._GETPPID.values():
        assert str(number) in source
