"""What `convert` chooses by, and the memory that it promises."""

from __future__ import annotations

import json
import re

import nets
import pytest

from edge_aigc.bundle import read_manifest
from edge_aigc.cli import run

GAN = ("--prior", "latent=normal", "--classes", "kind=a,b,c")


@pytest.fixture(scope="module")
def gan(tmp_path_factory):
    return nets.gan(tmp_path_factory.mktemp("gan"))


@pytest.fixture(scope="module")
def vast(tmp_path_factory):
    return nets.vast(tmp_path_factory.mktemp("vast"))


@pytest.fixture
def no_emulation(tmp_path, monkeypatch):
    """A machine where no board was ever emulated."""
    monkeypatch.setenv("EDGE_AIGC_CACHE", str(tmp_path / "cache"))


def convert(capfd, *arguments):
    """Run the verb in this process; return the exit code, what --json printed, and the words."""
    code = run(["convert", *map(str, arguments), "--json"])
    out, err = capfd.readouterr()
    return code, json.loads(out), err


def test_what_needs_more_memory_than_a_zero_2_w_has_is_refused_with_the_number(capfd, tmp_path, vast):
    flags = ("--prior", "latent=normal", "--profile", "rpi-zero2w", "--runtime", "litert", "-o", tmp_path / "out")
    code, printed, _ = convert(capfd, vast, *flags)
    assert code == 3
    assert printed["error"]["code"] == "promise"
    needed = [int(number.replace(",", "")) for number in re.findall(r"needs ([\d,]+) B", printed["error"]["message"])]
    assert len(needed) == 5  # every recipe
    assert all(384_000_000 < number < 4_000_000_000 for number in needed)
    assert "384,000,000 B are left for it" in printed["error"]["message"]
    assert "--max-ram" in printed["error"]["remedy"]
    assert not (tmp_path / "out").exists()


def test_less_memory_than_the_board_has_can_be_asked_for_and_more_allowed(capfd, tmp_path, gan):
    flags = (gan, *GAN, "--profile", "rpi-zero2w", "--meter", "here", "-o", tmp_path / "out")
    code, printed, _ = convert(capfd, *flags, "--max-ram", "20kB")
    assert code == 3
    assert "20,000 B are left for it" in printed["error"]["message"]
    assert not (tmp_path / "out").exists()
    code, printed, _ = convert(capfd, *flags, "--max-ram", "2GB")
    assert code == 0
    assert printed["bundles"][0]["ram"]["limit_bytes"] == 2_000_000_000


def test_a_size_that_is_none_is_misuse(capfd):
    assert run(["convert", "--profile", "rpi4", "--max-ram", "much"]) == 2
    assert "'much' is not a size" in capfd.readouterr().err


def test_memory_is_in_the_manifest_with_how_it_was_found(capfd, tmp_path, gan):
    code, printed, err = convert(capfd, gan, *GAN, "--profile", "rpi4", "--meter", "here", "-o", tmp_path)
    assert code == 0
    (bundle,) = printed["bundles"]
    manifest = read_manifest(tmp_path / "gan-rpi4.aigc")
    assert manifest.ram.how == "estimated"
    assert bundle["model_bytes"] < manifest.ram.peak_bytes < manifest.ram.limit_bytes == 1_500_000_000
    assert {entry.peak_ram_bytes is None for entry in manifest.candidates if entry.bytes} == {False}
    assert "RAM" in err
    assert run(["inspect", str(tmp_path / "gan-rpi4.aigc")]) == 0
    assert re.search(r"ram +\d\.\d MB estimated", capfd.readouterr().out)


@pytest.mark.usefixtures("no_emulation")
def test_where_nothing_is_set_up_recipes_are_timed_here_and_it_is_said(capfd, tmp_path, gan):
    code, printed, err = convert(capfd, gan, *GAN, "--profile", "rpi4", "-o", tmp_path / "out")
    assert code == 0
    latency = printed["bundles"][0]["latency_ms"]
    assert latency["how"] == "measured"
    assert latency["where"].startswith("this machine")
    assert "instead of counted for the device" in err
    assert not (tmp_path / "cache" / "sysroots").exists()


@pytest.mark.usefixtures("no_emulation")
@pytest.mark.parametrize(
    "profile",
    ["rpi4", pytest.param("rpi-zero2w", marks=pytest.mark.heavy), pytest.param("rpi5", marks=pytest.mark.heavy)],
)
def test_the_digits_are_chosen_by_the_boards_own_cost_without_setting_anything_up(capfd, tmp_path, profile):
    code, printed, err = convert(capfd, "--profile", profile, "-o", tmp_path / "out")
    assert code == 0, err
    latency = printed["bundles"][0]["latency_ms"]
    assert latency["how"] == "estimated"
    assert latency["where"].startswith(f"{profile}, counted on Cortex-A")
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("arguments", [("--meter", "here", "--profile", "rpi4"), ("--profile", "host")])
def test_timing_here_is_asked_for_or_is_the_device_itself(capfd, tmp_path, gan, arguments):
    code, printed, err = convert(capfd, gan, *GAN, *arguments, "-o", tmp_path)
    assert code == 0
    assert printed["bundles"][0]["latency_ms"]["how"] == "measured"
    assert "instead of counted" not in err


def test_timed_there_and_counted_here_contradict_each_other(capfd, gan):
    code, printed, _ = convert(capfd, gan, *GAN, "--profile", "rpi4", "--on", "nobody@127.0.0.1", "--meter", "counted")
    assert code == 2
    assert "--meter counted" in printed["error"]["message"]


@pytest.mark.heavy
@pytest.mark.parametrize(("profile", "at_least"), [("rpi4", False), ("rpi5", True)])
def test_counted_costs_are_estimates_of_the_device(capfd, tmp_path, gan, profile, at_least):
    code, printed, err = convert(capfd, gan, *GAN, "--profile", profile, "--meter", "counted", "-o", tmp_path)
    assert code == 0
    latency = printed["bundles"][0]["latency_ms"]
    assert latency["how"] == "estimated"
    assert latency["where"].startswith(f"{profile}, counted on Cortex-A7")
    assert latency["at_least"] == at_least
    assert latency["instructions"] > 10_000
    assert ("a lower bound" in err) == at_least
    assert "timed on" not in err


@pytest.mark.heavy
def test_counting_for_a_coral_says_that_it_counts_the_cpu(capfd, tmp_path, gan):
    code, printed, err = convert(capfd, gan, *GAN, "--profile", "coral-usb", "--meter", "counted", "-o", tmp_path)
    assert code == 0
    assert "coral-usb: the instructions of its CPU are counted, which serves where there is no Edge TPU" in err
    assert printed["bundles"][0]["latency_ms"]["where"].startswith("coral-usb without its Edge TPU, counted on")


@pytest.mark.heavy
def test_this_machine_can_be_estimated_too_and_its_speeds_are_found_once(capfd, tmp_path, gan, monkeypatch):
    monkeypatch.setenv("EDGE_AIGC_CACHE", str(tmp_path / "cache"))
    flags = (gan, *GAN, "--profile", "host", "--meter", "counted", "-o", tmp_path / "out")
    code, printed, _ = convert(capfd, *flags)
    assert code == 0
    latency = printed["bundles"][0]["latency_ms"]
    assert latency["how"] == "estimated"
    assert not latency["at_least"]
    assert latency["value"] > 0
    (speeds,) = (tmp_path / "cache" / "speeds").iterdir()
    written = speeds.stat().st_mtime_ns
    code, printed, _ = convert(capfd, *flags)
    assert code == 0
    assert printed["bundles"][0]["latency_ms"]["value"] == latency["value"]
    assert speeds.stat().st_mtime_ns == written


@pytest.mark.heavy
def test_what_a_zero_2_w_has_no_memory_for_is_refused_and_dies_there_when_it_is_forced(capfd, tmp_path):
    path = nets.spreading(tmp_path)
    flags = (path, "--profile", "rpi-zero2w", "--prior", "latent=normal", "--recipe", "float32", "-o", tmp_path)
    code, printed, _ = convert(capfd, *flags)
    assert code == 3
    assert "needs 453," in printed["error"]["message"]
    code, printed, _ = convert(capfd, *flags, "--max-ram", "2GB", "--meter", "here")
    assert code == 0
    planned = printed["bundles"][0]["ram"]["peak_bytes"]
    bundle = str(tmp_path / "spreading-rpi-zero2w.aigc")
    assert run(["emulate", bundle, "--json"]) == 1
    assert "384,000,000 B left" in json.loads(capfd.readouterr().out)["error"]["message"]
    assert run(["emulate", bundle, "--max-ram", "2GB", "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["peak_ram_bytes"] == pytest.approx(planned, rel=0.1)
