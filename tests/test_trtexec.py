"""trtexec's recorded words, and the command that it is given."""

from __future__ import annotations

from pathlib import Path

import pytest
from boards import LOGS
from leftovers import gone
from sshd import script

from edge_aigc.devices.tensorrt.log import device_in, failure, passed, seconds_in, version_in
from edge_aigc.devices.tensorrt.trtexec import Trtexec, build, command, find_trtexec
from edge_aigc.errors import ConversionError, RuntimeMissingError, UsageError

ONNX, ENGINE = Path("/b/model.onnx"), Path("/b/model.plan")


def log(name):
    return (LOGS / f"{name}.log").read_text(encoding="utf-8")


def told(*version, precision="float16"):
    """Return the options that a trtexec of this version is given."""
    words = command(Trtexec(path=Path("trtexec"), version=version), ONNX, ENGINE, precision)
    assert words[:3] == ["trtexec", "--onnx=/b/model.onnx", "--saveEngine=/b/model.plan"]
    return words[3:]


@pytest.mark.parametrize(
    ("name", "version", "device", "seconds"),
    [
        ("8.2-nano-passed", (8, 2, 1), "NVIDIA Tegra X1", 184.708),
        ("8.5-orin-nano-passed", (8, 5, 2), "unknown", 0.0),
        ("8.6-passed", (8, 6, 11), "unknown", 28.6839),
    ],
)
def test_a_log_that_passed_says_what_it_was_built_on(name, version, device, seconds):
    assert passed(log(name))
    assert (version_in(log(name)), device_in(log(name)), seconds_in(log(name))) == (version, device, seconds)


def test_versions_from_10_on_have_six_digits():
    words = log("10.16-orin-nx")
    assert version_in(words) == (10, 16, 2)
    assert device_in(words) == "Orin"
    assert not passed(words)


def test_a_version_that_is_not_stated_is_before_8():
    assert version_in(log("7-passed")) == (0, 0, 0)
    assert version_in("usage: something else") is None


@pytest.mark.parametrize(
    ("name", "message", "remedy"),
    [
        ("10.3-failed-build", "Cask convolution isConsistent check failed", "The CPU serves"),
        ("10.3-failed-options", "Unknown option: --explicitBatch", "Report this"),
        ("10.3-failed-parse", "the operator Tile (/Tile_output_0): [6] Invalid Node - /Tile ITensor", "newer JetPack"),
        ("8.2-failed-parse", "Identity (onnx::QuantizeLinear_491): [6] Invalid Node - Identity_0", "newer JetPack"),
        ("8.6-failed-parse", "Scale coefficients must all be positive", "The CPU serves"),
        ("8.4-failed-cuda", "Builder creation failed", "The CPU serves"),
        ("10.3-failed-memory", "Memory ran out while the engine was built", "add swap"),
    ],
)
def test_a_log_that_failed_gives_the_reason_and_a_remedy(name, message, remedy):
    assert not passed(log(name))
    error = failure(1, log(name))
    assert message in error.message
    assert remedy in error.remedy
    assert "Engine set up failed" not in error.message


def test_a_full_disk_is_told_from_a_failed_build():
    # SMP_RETVAL_IF_FALSE in sampleEngines.cpp, TensorRT 8.2 to 10.x.
    error = failure(1, "[07/14/2023-11:55:14] [E] Saving engine to file failed.\n&&&& FAILED TensorRT.trtexec")
    assert "could not save it" in error.message
    assert "space" in error.remedy


def test_a_signal_is_named():
    assert "SIGKILL" in failure(-9, log("8.2-nano-passed")).message


def test_silence_is_told_as_such():
    assert "it said nothing" in failure(1, "").message


def test_a_nano_computes_in_fp16_with_more_workspace_than_its_default_and_never_int8():
    assert told(8, 2, 1) == ["--fp16", "--workspace=256", "--buildOnly"]


@pytest.mark.parametrize(
    ("version", "options"),
    [
        ((8, 5, 2), ["--fp16", "--buildOnly"]),
        ((8, 6, 2), ["--fp16", "--skipInference"]),
        ((10, 3, 0), ["--fp16", "--skipInference"]),
    ],
)
def test_options_are_those_of_the_version(version, options):
    assert told(*version) == options
    assert told(*version, precision="float32") == options[1:]


def test_tensorrt_11_takes_its_types_from_the_model():
    with pytest.raises(UsageError, match=r"TensorRT 11\.1\.0 takes types") as caught:
        told(11, 1, 0)
    assert "--precision float32" in caught.value.remedy
    assert told(11, 1, 0, precision="float32") == ["--skipInference"]


def program(folder, says):
    path = folder / "trtexec"
    path.write_text(f"#!/bin/sh\ncat <<'E'\n{says}\nE\n")
    path.chmod(0o755)
    return path


def test_its_version_is_asked_for(tmp_path):
    found = find_trtexec(program(tmp_path, log("8.5-orin-nano-passed").splitlines()[0]))
    assert found.version == (8, 5, 2)
    assert found.release == "8.5.2"


def test_one_that_is_too_old_is_refused(tmp_path):
    with pytest.raises(RuntimeMissingError, match=r"older than 8\.0") as caught:
        find_trtexec(program(tmp_path, log("7-passed").splitlines()[0]))
    assert "JetPack 4.6" in caught.value.remedy


def test_another_program_is_refused(tmp_path):
    with pytest.raises(RuntimeMissingError, match="does not say that it is trtexec"):
        find_trtexec(program(tmp_path, "hello"))


def test_one_that_does_not_start_is_refused(tmp_path):
    path = tmp_path / "trtexec"
    path.write_bytes(b"\x7fELF of another processor")
    path.chmod(0o755)
    with pytest.raises(RuntimeMissingError, match="does not start"):
        find_trtexec(path)


def test_none_at_all_names_the_package(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("edge_aigc.devices.tensorrt.trtexec.JETPACK", tmp_path / "absent")
    with pytest.raises(RuntimeMissingError, match="There is no trtexec on PATH") as caught:
        find_trtexec()
    assert "apt-get install libnvinfer-bin" in caught.value.remedy
    with pytest.raises(RuntimeMissingError, match="There is no trtexec at"):
        find_trtexec(tmp_path / "here")


def test_what_it_started_goes_with_it_when_its_time_is_over(tmp_path):
    pid = tmp_path / "pid"
    # The program itself is gone; what it started holds its output open.
    stuck = script(tmp_path / "trtexec", f"sleep 600 & echo $! >{pid}")
    with pytest.raises(ConversionError, match=r"did not end within 1 s\. Allow it more with `--time-limit"):
        build([str(stuck)], tmp_path / "engine", limit_s=1, tell=lambda _: None)
    assert gone(pid)
