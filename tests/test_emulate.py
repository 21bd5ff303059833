"""Boards at the desk: QEMU's user mode, Debian's arm64 packages and the boards' own wheels, all real."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from brokers import free_port
from bundles import bundle_around, bundle_with_wrong_goldens
from nets import ballooning
from PIL import Image
from strangers import ask

from edge_aigc.cli import run
from edge_aigc.devices.catalog import find_profile
from edge_aigc.devices.emulate.commands import QEMU_NAMES, qemu
from edge_aigc.devices.emulate.cpuinfo import FEATURES
from edge_aigc.devices.emulate.machine import Machine
from edge_aigc.devices.emulate.proving import prove_emulated
from edge_aigc.errors import EmulationError
from edge_aigc.spec import GeneratorSpec, Normal, Output

if TYPE_CHECKING:
    from brokers import Mosquitto

    from edge_aigc.pytest_plugin import StartDevice

pytestmark = pytest.mark.heavy

ROOT = Path(__file__).parent.parent
PIECE_S = 0.05
HWCAP = (
    "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm jscvt fcma lrcpc dcpop sha3 sm3 "
    "sm4 asimddp sha512 sve asimdfhm dit uscat ilrcpc flagm ssbs sb paca pacg"
)
"""Bit by bit: the kernel's arch/arm64/include/uapi/asm/hwcap.h."""


def emulate(capfd, *arguments):
    """Run the verb; return the exit code and its JSON."""
    capfd.readouterr()
    code = run(["emulate", *map(str, arguments), "--json"])
    return code, json.loads(capfd.readouterr().out)


@pytest.fixture(scope="module")
def digits(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("digits") / "digits.aigc"
    assert run(["convert", "--profile", "rpi4", "--recipe", "int8", "-o", str(path)]) == 0
    return path


@pytest.mark.parametrize("runtime", ["litert", "tflite"])
@pytest.mark.parametrize("profile", ["rpi-zero2w", "rpi4", "rpi5"])
def test_digits_prove_themselves_on_every_kind_of_core_and_runtime(capfd, digits, profile, runtime):
    code, result = emulate(capfd, digits, "--profile", profile, "--runtime", runtime)
    assert code == 0
    assert result["golden"]["vectors"] == 4
    assert result["golden"]["rms"] < 0.01
    assert result["runtime"] == f"{'ai-edge-litert' if runtime == 'litert' else 'tflite-runtime'} " + (
        find_profile(profile).release(runtime) or ""
    )
    assert 0 < result["peak_ram_bytes"] < 40 << 20
    assert "instructions" not in result
    assert not [key for key in result if key.endswith(("_ms", "_s"))]


def test_the_newer_debian_runs_what_its_image_installs(capfd, tiny):
    code, result = emulate(capfd, tiny, "--image", "trixie")
    assert (code, result["image"]) == (0, "Raspberry Pi OS 13 (Trixie), 64-bit")
    assert result["golden"]["largest"] < 1e-5


def test_a_convert_only_board_says_so(capfd, tiny):
    code, result = emulate(capfd, tiny, "--profile", "jetson-nano")
    assert code == 0
    assert any("convert-only" in note and "3.6" in note for note in result["notes"])


def test_the_guest_sees_the_boards_cpu():
    script = "import platform; print(platform.machine(), open('/proc/cpuinfo').read())"
    done = Machine(find_profile("rpi-zero2w")).run(["-c", script])
    assert done.stdout.startswith("aarch64 ")
    assert "0xd03" in done.stdout


@pytest.mark.parametrize("profile", ["rpi-zero2w", "rpi4", "rpi5"])
def test_the_features_in_cpuinfo_are_those_that_the_guests_kernel_announces(profile):
    announced = Machine(find_profile(profile)).run(["-c", "import ctypes; print(ctypes.CDLL(None).getauxval(16))"])
    bits = int(announced.stdout)
    names = {name for bit, name in enumerate(HWCAP.split()) if bits >> bit & 1}
    assert set(FEATURES[find_profile(profile).cpu.qemu or ""].split()) == names


def test_a_bundle_whose_golden_vectors_are_missed_is_refused(capfd, tmp_path):
    code, result = emulate(capfd, bundle_with_wrong_goldens(tmp_path))
    assert (code, result["error"]["code"]) == (1, "bundle")
    assert "does not prove itself" in result["error"]["message"]


def test_a_bundle_with_one_byte_changed_is_refused(capfd, tiny, tmp_path):
    content = bytearray(tiny.read_bytes())
    content[-1000] ^= 1
    (tmp_path / "bad.aigc").write_bytes(content)
    code, result = emulate(capfd, tmp_path / "bad.aigc")
    assert (code, result["error"]["code"]) == (1, "bundle")


def test_a_bundle_that_needs_more_than_it_may_take_dies_with_the_numbers(capfd, tiny):
    code, result = emulate(capfd, tiny, "--max-ram", "1M")
    assert (code, result["error"]["code"]) == (1, "memory")
    assert "the board has 1,000,000 B left" in result["error"]["message"]


def test_a_bundle_that_needs_more_ram_than_a_zero_2_w_has_dies_there_and_lives_on_a_pi_4(capfd, tmp_path):
    spec = GeneratorSpec(
        name="balloon",
        inputs=(Normal(name="latent", shape=(1, 8)),),
        outputs=(Output(name="out", shape=(1, 8, 8, 2), media="raw"),),
    )
    path = bundle_around(ballooning(), spec, tmp_path)
    assert path.stat().st_size < 20_000
    left = find_profile("rpi-zero2w").ram_for_us_bytes
    code, result = emulate(capfd, path, "--profile", "rpi-zero2w")
    assert (code, result["error"]["code"]) == (1, "memory")
    assert f"the board has {left:,} B left" in result["error"]["message"]
    code, result = emulate(capfd, path, "--profile", "rpi4")
    assert code == 0
    assert result["peak_ram_bytes"] > left


def test_peak_memory_is_about_what_it_is_on_this_machine(digits):
    here = (
        "import sys, numpy.random, email.parser, encodings.cp437\n"
        "from edge_aigc.generator import open_bundle\n"
        "from edge_aigc.interpreter import preload\n"
        "def peak(): return int(open('/proc/self/status').read().split('VmHWM:')[1].split()[0]) * 1024\n"
        "preload('litert'); idle = peak(); open_bundle(sys.argv[1], runtime='litert'); print(peak() - idle)"
    )
    done = subprocess.run([sys.executable, "-c", here, str(digits)], capture_output=True, check=True)
    proven = prove_emulated(Machine(find_profile("rpi4"), "litert"), digits)
    assert abs(proven.peak_ram_bytes - int(done.stdout)) < 4 << 20


def test_once_fetched_no_network_and_no_tool_but_qemu_is_needed(tiny, tmp_path):
    assert run(["emulate", str(tiny)]) == 0
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in QEMU_NAMES:
        if found := shutil.which(name):
            (tools / name).symlink_to(found)
    nowhere = f"http://127.0.0.1:{free_port()}"
    environment = {
        **os.environ,
        "PATH": str(tools),
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_INDEX_URL": nowhere,
        "EDGE_AIGC_DEBIAN_MIRROR": nowhere,
        "http_proxy": nowhere,
        "https_proxy": nowhere,
    }
    command = [sys.executable, "-m", "edge_aigc.cli", "emulate", str(tiny), "--json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["golden"]["vectors"] == 2


def test_a_run_that_takes_too_long_is_ended_and_leaves_nothing_behind():
    machine = Machine(find_profile("rpi4"))
    mark = f"sleep_{os.getpid()}"
    with pytest.raises(EmulationError, match="did not end within 3 s"):
        machine.run(["-c", f"{mark} = 1; import time; time.sleep(600)"], timeout_s=3)
    assert not [path for path in Path("/proc").glob("[0-9]*/cmdline") if mark.encode() in _content(path)]


@pytest.mark.parametrize("options", [[], ["--profile", "host", "--count"]])
def test_the_verb_ends_when_its_time_is_over(capfd, tiny, options, monkeypatch, tmp_path):
    if options:
        monkeypatch.setenv("EDGE_AIGC_CACHE", str(tmp_path))  # no count is remembered
    code, result = emulate(capfd, tiny, *options, "--timeout", 1)
    assert (code, result["error"]["code"]) == (1, "emulation")
    assert "did not end within 1 s" in result["error"]["message"]
    assert "--timeout" in result["error"]["remedy"]


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # it has ended meanwhile
        return b""


def test_a_guest_that_dies_of_a_signal_is_told_so():
    done = Machine(find_profile("rpi4")).run(["-c", "import os; os.abort()"])
    assert done.returncode == -signal.SIGABRT


def test_a_cpu_model_that_qemu_does_not_know_is_named(capfd, tiny, monkeypatch, tmp_path):
    (tmp_path / "odd.toml").write_text(
        'name = "odd"\nextends = "rpi4"\ntitle = "Odd"\n[cpu]\ncore = "Odd"\ncores = 1\nqemu = "cortex-a9999"\n'
    )
    monkeypatch.setenv("EDGE_AIGC_PROFILES", str(tmp_path))
    code, result = emulate(capfd, tiny, "--profile", "odd")
    assert code == 1
    assert "cortex-a9999" in result["error"]["message"]


def test_the_seed_contract_and_generators_hold_on_arm(tmp_path):
    """Pytest itself in the guest: the same tests, the same pinned bits."""
    pure = tmp_path / "pure"
    pure.mkdir()
    for name in ("pytest", "_pytest", "py", "pluggy", "iniconfig", "packaging", "pygments"):
        spec = find_spec(name)
        assert spec is not None
        place = Path((spec.submodule_search_locations or [spec.origin])[0])
        (pure / place.name).symlink_to(place)
    tests = [str(ROOT / "tests" / name) for name in ("test_priors.py", "test_generator.py")]
    options = ["-q", "-p", "no:cacheprovider", "-o", "addopts=", "-W", "default", "--rootdir", str(tmp_path)]
    script = f"import sys; sys.path.append({str(pure)!r}); import pytest; sys.exit(pytest.main({[*options, *tests]!r}))"
    done = Machine(find_profile("rpi4")).run(["-c", script], timeout_s=900)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    assert " passed" in done.stdout


def test_a_daemon_on_an_emulated_pi_4_answers_mosquitto_rr_and_survives_kill_9_of_its_child(
    broker: Mosquitto, tiny: Path, emulated_device: StartDevice, tmp_path: Path
):
    device = emulated_device("rpi4", tiny, broker=broker.url)
    request = f"edge-aigc/{device.name}/request/tiny"
    first = ask(broker.port, request, "edge-aigc/reply/rr", '{"seed": 3}')
    (tmp_path / "first.png").write_bytes(first)
    with Image.open(tmp_path / "first.png") as image:
        assert image.size == (8, 8)
    (child,) = device.children()
    for pid in (device.process.pid, child):
        assert b"\0-cpu\0cortex-a72\0" in Path(f"/proc/{pid}/cmdline").read_bytes()
    os.kill(child, signal.SIGKILL)
    answer = ask(broker.port, request, "edge-aigc/reply/rr", '{"seed": 3}', seconds=120)
    if answer != first:  # it came before the death was noticed, which costs one caller one error
        assert json.loads(answer)["error"]["code"] == "worker"
        answer = ask(broker.port, request, "edge-aigc/reply/rr", '{"seed": 3}', seconds=120)
    assert answer == first
    assert device.process.poll() is None
    (second,) = device.children()
    assert second != child
    assert device.stop()[0] == 0
    assert not Path(f"/proc/{second}").exists()


def test_a_daemons_child_that_takes_more_than_the_board_has_is_killed(emulated_device: StartDevice, tiny: Path):
    with pytest.raises(EmulationError) as caught:
        emulated_device("rpi4", tiny, max_ram_bytes=1 << 20)
    assert "SIGKILL" in caught.value.message


def test_the_tests_of_the_daemon_pass_on_an_emulated_board():
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--device", "rpi4"]
    done = subprocess.run([*command, "tests/test_daemon.py"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]


def test_users_test_their_own_bundles_the_same_way(tiny: Path, tmp_path: Path):
    (tmp_path / "test_mine.py").write_text(
        "import edge_aigc\n\n"
        "def test_my_bundle_answers_on_a_pi(emulated_device):\n"
        f"    device = emulated_device('rpi-zero2w', {str(tiny)!r})\n"
        "    with edge_aigc.Client(device.broker) as client:\n"
        "        (sample,) = client.request('tiny', device=device.name, seed=7)\n"
        "    assert sample.payload.startswith(b'\\x89PNG')\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "edge_aigc.pytest_plugin", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, str(tmp_path)], cwd=tmp_path, capture_output=True, text=True, check=False, env=_with_checkout()
    )
    assert done.returncode == 0, done.stdout[-3000:]


def _with_checkout() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def test_two_machines_side_by_side_share_a_sysroot_and_nothing_else():
    first, second = Machine(find_profile("rpi4")), Machine(find_profile("rpi5"))
    assert first.prepare() != second.prepare()
    assert (first.prepare() / "root" / "usr").resolve() == (second.prepare() / "root" / "usr").resolve()
    commands = [machine.command(["-c", "import time; time.sleep(0.2); print('here')"]) for machine in (first, second)]
    processes = [
        subprocess.Popen(command, stdout=subprocess.PIPE, env=first.environment(), text=True) for command in commands
    ]
    deadline_s = time.monotonic() + 120
    while any(process.poll() is None for process in processes) and time.monotonic() < deadline_s:
        time.sleep(PIECE_S)
    assert [process.communicate()[0] for process in processes] == ["here\n", "here\n"]


def test_qemu_is_one_that_the_tests_can_use():
    assert Path(qemu()).name in QEMU_NAMES
