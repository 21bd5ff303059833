"""`doctor` on boards with planted faults, each a small tree of files: found, mended, found no more."""

from __future__ import annotations

import shutil
import subprocess

from doctors import LIBRARIES, mend, shared_library, write

from edge_aigc.converters.doctor import edgetpu
from edge_aigc.devices.catalog import find_profile
from edge_aigc.devices.doctor import machine
from edge_aigc.devices.doctor.patient import Patient

THROTTLED = "sys/bus/platform/drivers/raspberrypi-firmware/soc:firmware/get_throttled"


# The Edge TPU.


def test_missing_udev_rules_are_found_and_written(on_tree, healthy):
    (healthy / "lib/udev/rules.d/60-libedgetpu1-std.rules").unlink()
    seen = on_tree()
    assert set(seen.problems) == {"edgetpu-rules"}
    (healthy / "etc/udev/rules.d").mkdir(parents=True)
    first, *reload = seen["edgetpu-rules"]["remedy"].replace("/etc/udev", f"{healthy}/etc/udev").split(" && ")
    assert reload == ["udevadm control --reload-rules", "udevadm trigger"]  # for the kernel, which is not planted
    mend(first)
    assert not on_tree().problems


def test_a_user_outside_the_group_is_found_and_added(on_tree, healthy):
    write(healthy / "etc/group", "root:x:0:\nplugdev:x:46:")
    write(healthy / "etc/passwd", "root:x:0:0::/root:/bin/sh\nada:x:1000:1000::/home/ada:/bin/sh")
    seen = on_tree(user="ada")
    assert set(seen.problems) == {"edgetpu-group"}
    mend(seen["edgetpu-group"]["remedy"].replace("usermod", f"usermod --prefix {healthy}"))
    assert not on_tree(user="ada").problems


def package(folder, file, version):
    """Build a Debian package of a library that loads, as the file that it is downloaded as."""
    tree = folder / f"tree-{version}"
    shared_library(tree / LIBRARIES / "libedgetpu.so.1")
    write(
        tree / "DEBIAN" / "control",
        f"Package: libedgetpu1-std\nVersion: {version}\nArchitecture: all\nMaintainer: Nobody <nobody@localhost>\n"
        "Description: a library that loads",
    )
    subprocess.run(["dpkg-deb", "--build", str(tree), str(folder / file)], check=True, capture_output=True)


def installed(root):
    """Return dpkg's command for a root of its own."""
    for name in ("info", "updates", "triggers"):
        (root / "var/lib/dpkg" / name).mkdir(parents=True, exist_ok=True)
    (root / "var/lib/dpkg/status").touch()
    return f"dpkg --root={root} --log={root}/log --force-depends --force-not-root --force-bad-path -i"


def test_googles_libedgetpu_is_found_and_replaced(on_tree, healthy, tmp_path):
    dpkg = installed(healthy)
    package(tmp_path, "old.deb", "16.0")
    mend(f"{dpkg} {tmp_path}/old.deb")
    seen = on_tree()
    assert set(seen.problems) == {"edgetpu-library-old"}
    assert "libedgetpu1-std 16.0 " in seen["edgetpu-library-old"]["message"]
    fetch, install = seen["edgetpu-library-old"]["remedy"].split(" && ")
    file = fetch.rpartition("/")[2]
    package(tmp_path, file, file.split("_")[1])  # instead of fetching it
    mend(install.replace("apt-get install -y", dpkg), cwd=tmp_path)
    assert not on_tree().problems


def test_a_library_that_lacks_another_is_found(on_tree, healthy, tmp_path):
    other = tmp_path / "libusb-1.0.so.0"
    shared_library(other)
    library = healthy / LIBRARIES / "libedgetpu.so.1"
    shared_library(library, needs=other)
    other.unlink()
    seen = on_tree()
    assert set(seen.problems) == {"edgetpu-library-broken"}
    assert seen["edgetpu-library-broken"]["remedy"].endswith("apt-get install -y libusb-1.0-0")


def test_a_library_that_kills_whoever_loads_it_is_found(on_tree, healthy):
    dying = "__attribute__((constructor)) static void die(void) { __builtin_trap(); }"
    shared_library(healthy / LIBRARIES / "libedgetpu.so.1", source=dying)
    seen = on_tree()
    assert set(seen.problems) == {"edgetpu-library-broken"}
    assert "died of SIG" in seen["edgetpu-library-broken"]["message"]


def test_an_edge_tpu_that_was_pulled_out_is_found(on_tree, healthy):
    shutil.rmtree(healthy / "sys/bus/usb/devices/2-1")
    seen = on_tree("coral-usb")
    assert set(seen.problems) == {"edgetpu-absent"}
    assert not on_tree("rpi4").problems


def test_a_card_without_its_driver_is_found(on_tree, healthy):
    card = healthy / "sys/bus/pci/devices/0000:01:00.0"
    write(card / "vendor", "0x1ac1")
    write(card / "device", "0x089a")
    seen = on_tree()
    assert set(seen.problems) == {"edgetpu-driver"}
    assert "gasket and apex" in seen["edgetpu-driver"]["message"]
    write(healthy / "dev/apex_0", "")
    assert not on_tree().problems


def test_a_slow_port_is_noted(on_tree, healthy):
    write(healthy / "sys/bus/usb/devices/2-1/speed", "480")
    assert "480 Mbit/s" in on_tree()["edgetpu-slow"]["message"]


# The rest of a board.


def test_a_weak_power_supply_is_found_and_remembered(on_tree, healthy):
    write(healthy / THROTTLED, "50005")
    assert set(on_tree().problems) == {"throttled"}
    write(healthy / THROTTLED, "50000")
    seen = on_tree()
    assert not seen.problems
    assert seen["throttled"]["severity"] == "note"
    assert "under-voltage, throttled" in seen["throttled"]["message"]
    write(healthy / THROTTLED, "0")
    assert on_tree()["throttled"]["severity"] == "ok"


def test_a_hot_board_is_found(on_tree, healthy):
    write(healthy / "sys/class/thermal/thermal_zone0/temp", "86100")
    seen = on_tree()
    assert set(seen.problems) == {"temperature"}
    assert "86.1 °C" in seen["temperature"]["message"]


def test_a_clock_that_nobody_sets_is_found_until_it_is_set(on_tree, healthy):
    marker = healthy / "run/systemd/timesync/synchronized"
    marker.unlink()
    seen = on_tree()
    assert seen["clock-unsynced"]["severity"] == "note"
    assert seen["clock-unsynced"]["remedy"].endswith("apt-get install -y systemd-timesyncd")
    marker.touch()
    assert "clock-unsynced" not in on_tree()


def test_little_memory_and_the_wrong_board_are_found(on_tree, healthy):
    write(healthy / "proc/meminfo", "MemTotal: 437248 kB\nMemAvailable: 51200 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB")
    seen = on_tree("rpi4")
    assert set(seen.problems) == {"memory-low", "memory-other"}
    assert "52,428,800 B" in seen["memory-low"]["message"]
    assert seen["swap"]["severity"] == "note"


def test_what_compiled_model_lacks_is_told(monkeypatch, healthy):
    monkeypatch.setattr(machine.platform, "machine", lambda: "aarch64")
    assert "for want of aes, asimddp" in machine.check(Patient(root=healthy))[0].message


def test_a_board_of_32_bits_is_found(monkeypatch, healthy):
    monkeypatch.setattr(machine.platform, "machine", lambda: "armv7l")
    found = machine.check(Patient(root=healthy))[0]
    assert (found.id, found.severity) == ("architecture", "problem")


# A Jetson, and the desk that converts for boards.


def test_a_jetson_without_tensorrt_is_noted_until_it_is_there(on_tree, healthy):
    seen = on_tree("jetson-orin-nano")
    assert seen["trtexec"]["severity"] == "note"
    assert seen["trtexec"]["remedy"].endswith("apt-get install -y libnvinfer-bin")
    program = healthy / "usr/src/tensorrt/bin/trtexec"
    write(program, "#!/bin/sh")
    program.chmod(0o755)
    assert on_tree("jetson-orin-nano")["trtexec"]["severity"] == "ok"


def test_the_compiler_for_the_edge_tpu_is_missed_only_where_one_is_converted_for(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(edgetpu.platform, "machine", lambda: "x86_64")
    assert not edgetpu.check(find_profile("rpi4"))
    (found,) = edgetpu.check(find_profile("coral-usb"))
    assert (found.id, found.severity) == ("edgetpu-compiler", "problem")
    assert found.remedy is not None
    assert found.remedy.endswith("apt-get install -y edgetpu-compiler")
    program = tmp_path / "edgetpu_compiler"
    write(program, "#!/bin/sh")
    program.chmod(0o755)
    (found,) = edgetpu.check(find_profile("coral-usb"))
    assert found.severity == "ok"


def test_a_machine_of_another_kind_than_the_profile_is_noted(monkeypatch, healthy):
    monkeypatch.setattr(machine.platform, "machine", lambda: "x86_64")
    found = machine.check(Patient(root=healthy, profile=find_profile("rpi5")))[0]
    assert found.severity == "note"
    assert "Cortex-A76" in found.message
