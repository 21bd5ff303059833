"""What emulation is made of, and what it refuses: no QEMU and no network is needed for these."""

from __future__ import annotations

import configparser
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from brokers import free_port
from disks import small_disk

from edge_aigc.cli import run
from edge_aigc.devices.catalog import find_profile, profile_names
from edge_aigc.devices.emulate import watch
from edge_aigc.devices.emulate.cache import built
from edge_aigc.devices.emulate.commands import qemu
from edge_aigc.devices.emulate.cpuinfo import FEATURES, cpuinfo
from edge_aigc.devices.emulate.device import EmulatedDevice
from edge_aigc.devices.emulate.machine import Machine
from edge_aigc.devices.emulate.sysroot import MIRROR_VARIABLE, RELEASES, release_for, sysroot
from edge_aigc.devices.emulate.wheels import EXTRAS, REQUIREMENTS, wheels
from edge_aigc.errors import EmulationError, FileError

ROOT = Path(__file__).parent.parent
BOARDS = [name for name in profile_names() if name != "host"]


@pytest.fixture
def empty_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("EDGE_AIGC_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def silent(words):
    del words


def left_in(cache):
    """What a failed build left, locks apart."""
    return [path for path in cache.rglob("*") if path.is_file() and path.suffix != ".lock"]


def test_a_folder_of_the_cache_appears_whole_or_not_at_all(empty_cache):
    def fail(folder):
        (folder / "half").write_text("half")
        raise EmulationError("It broke.", remedy="None.")

    with pytest.raises(EmulationError):
        built("things", {"a": 1}, fail)
    assert left_in(empty_cache) == []
    made = built("things", {"a": 1}, lambda folder: (folder / "whole").write_text("whole"))
    assert [path.name for path in made.iterdir()] == ["whole"]
    assert built("things", {"a": 1}, fail) == made
    assert built("things", {"a": 2}, lambda _: None) != made


def test_of_two_processes_that_want_the_same_one_makes_it(empty_cache):
    script = (
        "import time; from edge_aigc.devices.emulate.cache import built\n"
        "def make(folder): print('made'); time.sleep(0.5); (folder / 'x').touch()\n"
        "assert (built('things', {'a': 1}, make) / 'x').exists()"
    )
    command = [sys.executable, "-c", script]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    said = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert "".join(said) == "made\n"
    assert len(list((empty_cache / "things").glob("*/x"))) == 1


@pytest.mark.usefixtures("empty_cache")
def test_what_a_killed_builder_left_is_swept_by_the_next():
    made = built("things", {"a": 1}, lambda _: None)
    made.rmdir()
    left = made.with_name(f".{made.name}.abc.part")
    left.mkdir()
    built("things", {"a": 1}, lambda _: None)
    assert not left.exists()


def test_a_full_disk_is_told_with_what_is_free(monkeypatch, tmp_path):
    with small_disk(tmp_path / "disk") as disk:
        monkeypatch.setenv("EDGE_AIGC_CACHE", str(disk))
        with pytest.raises(FileError) as caught:
            built("things", {"a": 1}, lambda folder: (folder / "big").write_bytes(bytes(1 << 20)))
        assert "disk is full" in caught.value.message
        assert "EDGE_AIGC_CACHE" in caught.value.remedy
        assert left_in(disk) == []


@pytest.mark.parametrize(("python", "number"), [((3, 10), 12), ((3, 11), 12), ((3, 12), 13), ((3, 13), 13)])
def test_the_nearest_python_stands_in(python, number):
    assert release_for(python).number == number


def test_a_python_that_stands_in_is_named():
    assert Machine(find_profile("rpi4")).stands_in is None
    assert "3.11 (Debian 12) stands in for 3.10" in (Machine(find_profile("jetson-orin-nano")).stands_in or "")


@pytest.mark.parametrize("name", BOARDS)
def test_every_board_has_an_image_a_wheel_and_a_cpu_model_to_emulate(name):
    profile = find_profile(name)
    assert profile.cpu.qemu in FEATURES
    for runtime in profile.runtimes:
        assert runtime in Machine(profile, runtime).image.wheels


def test_cpuinfo_names_every_core_by_its_number():
    text = cpuinfo(find_profile("rpi4").cpu)
    assert text.count("processor\t") == 4
    assert "CPU part\t: 0xd08" in text
    assert "asimddp" not in text
    orin = cpuinfo(find_profile("jetson-orin-nano").cpu)
    assert "CPU part\t: 0xd42" in orin
    assert "asimddp" in orin


def test_the_guest_installs_what_the_package_asks_for():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")

    def lines(section, key):
        return [line for line in setup[section][key].splitlines() if line and not line.startswith("#")]

    needed = [line for line in lines("options", "install_requires") if ";" not in line]
    assert sorted(REQUIREMENTS) == sorted(needed)
    for runtime, more in EXTRAS.items():
        assert list(more) == lines("options.extras_require", runtime)[1:]


def test_without_qemu_the_package_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EmulationError) as caught:
        qemu()
    assert "apt-get install qemu-user" in caught.value.remedy


def test_the_static_qemu_will_do(monkeypatch, tmp_path):
    program = tmp_path / "qemu-aarch64-static"
    program.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert qemu() == str(program)


@pytest.mark.usefixtures("empty_cache")
def test_without_apt_there_is_no_sysroot(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EmulationError, match="apt-get is not installed"):
        sysroot(RELEASES[0], silent)


def test_without_dpkg_nothing_is_fetched(monkeypatch, tmp_path, empty_cache):
    apt_get = tmp_path / "apt-get"
    apt_get.write_text("#!/bin/sh\nexit 1\n")
    apt_get.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EmulationError, match="dpkg-deb is not installed"):
        sysroot(RELEASES[0], silent)
    assert left_in(empty_cache) == []


def test_a_machine_without_debian_sources_is_asked_for_a_mirror(monkeypatch, tmp_path, empty_cache):
    configuration = tmp_path / "apt.conf"
    configuration.write_text('Dir::Etc::SourceList "/dev/null";\nDir::Etc::SourceParts "/dev/null";\n')
    monkeypatch.setenv("APT_CONFIG", str(configuration))
    monkeypatch.delenv(MIRROR_VARIABLE, raising=False)
    with pytest.raises(EmulationError) as caught:
        sysroot(RELEASES[0], silent)
    assert f"Set {MIRROR_VARIABLE}" in caught.value.remedy
    assert left_in(empty_cache) == []


def test_no_network_is_told_apart_when_packages_are_fetched(monkeypatch, empty_cache):
    monkeypatch.setenv(MIRROR_VARIABLE, f"http://127.0.0.1:{free_port()}/debian")
    with pytest.raises(EmulationError, match="there is no network") as caught:
        sysroot(RELEASES[1], silent)
    assert "Connect once" in caught.value.remedy
    assert left_in(empty_cache) == []


def test_no_network_is_told_apart_when_wheels_are_fetched(monkeypatch, empty_cache):
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{free_port()}/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    with pytest.raises(EmulationError, match="there is no network"):
        wheels("litert", "2.3.0", python=(3, 11), glibc=(2, 36), tell=silent)
    assert left_in(empty_cache) == []


def test_a_wheel_that_is_not_there_is_named(monkeypatch, tmp_path, empty_cache):
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(EmulationError) as caught:
        wheels("litert", "99.9", python=(3, 11), glibc=(2, 36), tell=silent)
    assert "ai-edge-litert 99.9 for Python 3.11 and glibc 2.36" in caught.value.message
    assert "`wheels` in the profile" in caught.value.remedy
    assert left_in(empty_cache) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--profile", "host"], "it is this machine"),
        (["--profile", "rpi44"], "Did you mean 'rpi4"),
        (["--profile", "jetson-nano", "--runtime", "tflite"], "No image of jetson-nano installs"),
        (["--image", "bullseye"], "0 images of rpi4"),
        (["--image", "raspberry"], "2 images of rpi4"),
    ],
)
def test_what_cannot_be_emulated_is_refused_with_a_remedy(capfd, tiny, arguments, words):
    assert run(["emulate", str(tiny), *arguments, "--json"]) == 1
    error = json.loads(capfd.readouterr().out)["error"]
    assert words in f"{error['message']} {error['remedy']}"
    assert error["remedy"]


def test_a_size_that_is_none_is_a_misuse(capfd, tiny):
    assert run(["emulate", str(tiny), "--max-ram", "lots"]) == 2
    assert "512MB" in capfd.readouterr().err
    assert run(["emulate", str(tiny), "--max-ram", "0"]) == 2


def test_a_profile_without_a_cpu_model_says_what_to_state(capfd, tiny, monkeypatch, tmp_path):
    text = 'name = "odd"\nextends = "rpi4"\ntitle = "Odd"\n[cpu]\ncore = "Odd"\ncores = 1\n'
    (tmp_path / "odd.toml").write_text(text)
    monkeypatch.setenv("EDGE_AIGC_PROFILES", str(tmp_path))
    assert run(["emulate", str(tiny), "--profile", "odd"]) == 1
    words = capfd.readouterr().err
    assert "names no CPU model" in words
    assert "qemu-aarch64 -cpu help" in words


def watched(limit_bytes, *command):
    """Run a command under the watch; return what it reports and the seconds that it took."""
    read, write = os.pipe()
    started_s = time.monotonic()
    program = [sys.executable, "-I", "-S", watch.__file__, str(limit_bytes), str(write), *command]
    subprocess.run(program, pass_fds=(write,), check=True, capture_output=True)
    os.close(write)
    with os.fdopen(read) as report:
        return json.load(report), time.monotonic() - started_s


def test_a_peak_is_the_processs_own_and_not_its_parents():
    ballast = b"x" * (200 << 20)
    report, _ = watched(
        0, sys.executable, "-I", "-S", "-c", "x = bytearray(64 << 20); x[::4096] = b'1' * len(x[::4096])"
    )
    assert len(ballast) > report["peak_rss_bytes"] > 64 << 20
    assert (report["returncode"], report["exceeded"]) == (0, False)


def test_a_process_that_takes_more_than_the_limit_is_killed():
    greedy = "import time; x = b'x' * (200 << 20); time.sleep(30)"
    report, took_s = watched(100 << 20, sys.executable, "-I", "-S", "-c", greedy)
    assert (report["returncode"], report["exceeded"]) == (-9, True)
    assert report["peak_rss_bytes"] > 100 << 20
    assert took_s < 20


def test_a_spike_that_ends_at_once_is_seen_all_the_same():
    spike = "x = b'x' * (200 << 20); del x"
    report, _ = watched(100 << 20, sys.executable, "-I", "-S", "-c", spike)
    assert report["exceeded"]


def test_the_plugin_for_pytest_is_light():
    script = (
        "import sys, edge_aigc.pytest_plugin;"
        "heavy = {'numpy', 'msgspec', 'PIL', 'click', 'paho'} & set(sys.modules); sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_device_without_a_bundle_is_refused():
    with pytest.raises(EmulationError, match="no bundle"):
        EmulatedDevice("rpi4", broker="mqtt://127.0.0.1:1")
