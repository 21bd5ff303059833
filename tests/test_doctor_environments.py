"""`doctor` in environments with planted faults of their own: packages, runtimes, QEMU.

The environments are kept under `.cache/`, so that only the first run downloads; faults are planted in copies.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from doctors import ROOT, doctor, mend, shared_library

from edge_aigc.devices.catalog import find_profile
from edge_aigc.devices.emulate.machine import Machine

pytestmark = pytest.mark.heavy

ENVIRONMENTS = ROOT / ".cache" / "environments"
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"


def pip(python, *words):
    """Run pip in an environment."""
    line = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *words]
    subprocess.run(line, check=True, env=clean())


def clean():
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


@pytest.fixture(scope="session")
def wheel(tmp_path_factory):
    """This checkout, built."""
    folder = tmp_path_factory.mktemp("wheel")
    line = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps", str(ROOT)]
    subprocess.run(line, check=True, env=clean(), cwd=folder)
    return next(folder.glob("*.whl"))


def environment(name, wheel, extra):
    """Return the folder of an environment with this checkout and an extra."""
    place = ENVIRONMENTS / f"doctor-{name}-{VERSION}"
    python = place / "bin" / "python"
    if not python.exists():
        venv.create(place, with_pip=True)
    pip(python, f"{wheel}{extra}")
    pip(python, "--force-reinstall", "--no-deps", str(wheel))
    return place


@pytest.fixture(scope="session")
def bare(wheel):
    return environment("bare", wheel, "")


@pytest.fixture(scope="session")
def litert(wheel):
    return environment("litert", wheel, "[litert]")


@pytest.fixture(scope="session")
def tflite(wheel):
    return environment("tflite", wheel, "[tflite]")


@pytest.fixture
def copy(tmp_path):
    """Copy an environment, so that a fault harms nobody else; return its interpreter."""

    def copied(place):
        target = tmp_path / "environment"
        shutil.copytree(place, target, symlinks=True)
        return target / "bin" / "python"

    return copied


@pytest.fixture
def examine(healthy, broker):
    def examined(python, *arguments, **options):
        return doctor("--root", healthy, "--broker", broker.url, *arguments, python=python, **options)

    return examined


def site(python):
    (found,) = (python.parent.parent / "lib").glob("python*/site-packages")
    return found


def native_of(python):
    """Return the library of LiteRT that every interpreter loads."""
    return site(python) / "ai_edge_litert" / "libpywrap_litert_common.so"


def test_a_missing_runtime_is_found_and_installed(bare, copy, examine):
    python = copy(bare)
    seen = examine(python)
    assert set(seen.problems) == {"runtime-missing"}
    mend(seen["runtime-missing"]["remedy"], env={"PYTHONPATH": ""})
    assert not examine(python).problems


def test_the_wrong_numpy_is_found_and_replaced(tflite, copy, examine):
    python = copy(tflite)
    pip(python, "--no-deps", "numpy>=2")
    seen = examine(python)
    assert set(seen.problems) == {"numpy-clash"}
    assert "NumPy 2." in seen["numpy-clash"]["message"]
    mend(seen["numpy-clash"]["remedy"], env={"PYTHONPATH": ""})
    after = examine(python)
    assert not after.problems
    assert "tflite-runtime 2.14.0 runs a model" in after["runtime"]["message"]


def test_a_missing_numpy_is_found_and_installed(litert, copy, examine):
    python = copy(litert)
    shutil.rmtree(site(python) / "numpy")
    seen = examine(python)
    assert set(seen.problems) == {"numpy-broken"}
    mend(seen["numpy-broken"]["remedy"], env={"PYTHONPATH": ""})
    assert not examine(python).problems


def test_a_runtime_of_which_half_is_missing_is_found_and_installed_again(litert, copy, examine):
    python = copy(litert)
    library = native_of(python)
    library.write_bytes(library.read_bytes()[: library.stat().st_size // 2])
    seen = examine(python)
    assert set(seen.problems) == {"runtime-broken"}
    mend(seen["runtime-broken"]["remedy"], env={"PYTHONPATH": ""})
    assert not examine(python).problems


def test_a_runtime_that_kills_whoever_loads_it_is_found_and_installed_again(litert, copy, examine):
    python = copy(litert)
    dying = "__attribute__((constructor)) static void die(void) { __builtin_trap(); }"
    wrapper = native_of(python).with_name("_pywrap_litert_interpreter_wrapper.so")
    assert wrapper.exists()
    shared_library(wrapper, source=dying)
    seen = examine(python)
    assert set(seen.problems) == {"runtime-broken"}
    assert "died of SIG" in seen["runtime-broken"]["message"]
    mend(seen["runtime-broken"]["remedy"], env={"PYTHONPATH": ""})
    assert not examine(python).problems


def test_a_runtime_for_another_processor_is_found_and_replaced(bare, copy, examine):
    python = copy(bare)
    other = "x86_64" if os.uname().machine == "aarch64" else "aarch64"
    place = ["--target", str(site(python)), "--platform", f"manylinux_2_27_{other}", "--only-binary=:all:", "--no-deps"]
    pip(python, *place, "ai-edge-litert")
    seen = examine(python)
    assert set(seen.problems) == {"runtime-foreign"}
    assert f"_{other}" in seen["runtime-foreign"]["message"]
    mend(seen["runtime-foreign"]["remedy"], env={"PYTHONPATH": ""})
    assert not examine(python).problems


def test_a_runtime_for_a_newer_glibc_is_found_and_replaced(litert, copy, examine):
    python = copy(litert)
    library = native_of(python)
    content = library.read_bytes()
    assert b"\0GLIBC_2.27\0" in content
    library.write_bytes(content.replace(b"\0GLIBC_2.27\0", b"\0GLIBC_2.99\0"))
    (wheel,) = site(python).glob("ai_edge_litert-*.dist-info/WHEEL")
    tag = f"Tag: cp{sys.version_info.major}{sys.version_info.minor}-cp{sys.version_info.major}{sys.version_info.minor}"
    wheel.write_text(f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\n{tag}-manylinux_2_99_{os.uname().machine}\n")
    seen = examine(python)
    assert set(seen.problems) == {"runtime-foreign"}
    assert "manylinux_2_99" in seen["runtime-foreign"]["message"]
    assert "`GLIBC_2.99' not found" in seen["runtime-foreign"]["message"]
    mend(seen["runtime-foreign"]["remedy"], env={"PYTHONPATH": ""})
    assert not examine(python).problems


def test_an_mqtt_client_of_yesterday_is_found_and_replaced(litert, copy, examine):
    python = copy(litert)
    pip(python, "--no-deps", "paho-mqtt<2")
    seen = examine(python)
    assert set(seen.problems) == {"packages"}
    assert "paho-mqtt is 1." in seen["packages"]["message"]
    assert "Unknown" in seen["broker"]["message"]
    mend(seen["packages"]["remedy"], env={"PYTHONPATH": ""})
    assert not examine(python).problems


def test_a_desk_without_tensorflow_is_found_and_completed(litert, copy, examine):
    python = copy(litert)
    pip(python, "rich")
    pip(python, "--no-deps", "litert-quantizer>=0.11,<0.12", "ai-edge-litert>=2.3")
    seen = examine(python)
    assert "extra-tensorflow" in seen.problems
    assert all(name.startswith("extra-") for name in seen.problems)
    for entry in seen.problems.values():
        # Without what each brings along: half a gigabyte that the examination does not look at.
        mend(f"{entry['remedy']} --no-deps", env={"PYTHONPATH": ""})
    assert not examine(python).problems


# Programs. Debian's packages are unpacked where no other test looks, instead of being installed.


@pytest.fixture
def desk(tmp_path, healthy):
    """Examine this machine as a desk for the Raspberry Pi 4, with a PATH of links to all but QEMU and compilers."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for folder in ("/usr/bin", "/usr/sbin", "/bin"):
        for path in Path(folder).iterdir():
            if not (path.name.startswith("qemu-") or path.name in {"cc", "gcc", "clang"}):
                link = programs / path.name
                if not link.exists():
                    link.symlink_to(path)

    def examined(*more):
        path = os.pathsep.join([str(programs), *map(str, more)])
        options = ("--role", "host", "--profile", "rpi4", "--root", healthy)
        return doctor(*options, env={"PATH": path})

    return examined


def unpacked(remedy, root):
    """Carry out `apt-get install` in a folder; return where the programs are."""
    words = remedy.removeprefix("sudo ").split()
    assert words[:3] == ["apt-get", "install", "-y"]
    root.mkdir()
    mend(f"apt-get download {' '.join(words[3:])} && for f in *.deb; do dpkg -x $f .; done", cwd=root)
    return root / "usr" / "bin"


def test_missing_qemu_and_compiler_are_found_and_installed(desk, tmp_path):
    seen = desk()
    assert set(seen.problems) == {"qemu", "compiler"}
    programs = unpacked(seen["qemu"]["remedy"], tmp_path / "qemu")
    assert set(desk(programs).problems) == {"compiler"}
    (tmp_path / "gcc").mkdir()
    mend(f"{seen['compiler']['remedy']} --no-upgrade && ln -s /usr/bin/cc .", cwd=tmp_path / "gcc")
    after = desk(programs, tmp_path / "gcc")
    assert not after.problems
    assert "with plugins" in after["qemu"]["message"]


def test_a_static_qemu_is_found_and_joined_by_a_dynamic_one(desk, tmp_path):
    static = unpacked("apt-get install -y qemu-user-static", tmp_path / "static")
    (static / "cc").symlink_to("/usr/bin/cc")
    seen = desk(static)
    assert set(seen.problems) == {"qemu-plugin"}
    programs = unpacked(seen["qemu-plugin"]["remedy"], tmp_path / "dynamic")
    assert not desk(static, programs).problems


def test_an_emulated_board_is_examined_as_a_board(broker):
    machine = Machine(find_profile("rpi4"))
    options = ["--json", "--role", "device", "--profile", "rpi4", "--broker", broker.url]
    line = machine.command(["-m", "edge_aigc.cli", "doctor", *options])
    done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=300)
    findings = {entry["id"]: entry for entry in json.loads(done.stdout)["findings"]}
    assert "for want of" in findings["architecture"]["message"]
    assert findings["runtime"]["severity"] == "ok"
    assert findings["broker"]["severity"] == "ok"
