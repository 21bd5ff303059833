"""What a machine says of its heat, clock and throttling: read here, and in recorded trees of boards."""

from __future__ import annotations

import os

import pytest

from edge_aigc.devices.condition import look


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A board's `sys` and `proc`, without a firmware's own tool."""
    monkeypatch.setenv("PATH", "")

    def write(files):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return write


def test_this_machine_tells_its_load_its_cores_and_its_processor_time():
    condition = look()
    assert condition.load_1min >= 0
    assert condition.cores == len(os.sched_getaffinity(0))
    assert condition.busy_s > 0
    assert look().busy_s >= condition.busy_s


def test_a_machine_that_tells_nothing_is_not_guessed_at(tmp_path):
    condition = look(tmp_path)
    assert condition.temperature_c is None
    assert condition.governor is None
    assert condition.clock_hz is None
    assert condition.throttled == condition.throttled_since_boot == ()


def test_a_raspberry_pi_tells_what_holds_it_down_now_and_since_boot(tree):
    condition = look(tree({"sys/bus/platform/drivers/raspberrypi-firmware/soc:firmware/get_throttled": "d0005\n"}))
    assert condition.throttled == ("under-voltage", "throttled")
    assert condition.throttled_since_boot == ("under-voltage", "throttled", "soft temperature limit")


def test_a_kernel_that_knows_of_the_voltage_only_tells_that(tree):
    sensor = "sys/class/hwmon/hwmon1"
    condition = look(tree({f"{sensor}/name": "rpi_volt\n", f"{sensor}/in0_lcrit_alarm": "1\n"}))
    assert condition.throttled == ("under-voltage",)
    assert look(tree({f"{sensor}/in0_lcrit_alarm": "0\n"})).throttled == ()


def test_the_firmwares_own_tool_is_asked_where_it_is(tmp_path, monkeypatch):
    tool = tmp_path / "vcgencmd"
    tool.write_text('#!/bin/sh\n[ "$1" = get_throttled ] && echo throttled=0x20002\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    condition = look(tmp_path / "nothing")
    assert condition.throttled == ("Arm frequency capped",)
    assert condition.throttled_since_boot == ("Arm frequency capped",)


def test_the_clock_is_that_of_the_fastest_core(tree):
    cpu = "sys/devices/system/cpu"
    condition = look(
        tree(
            {
                f"{cpu}/cpu0/cpufreq/scaling_governor": "ondemand\n",
                f"{cpu}/cpu0/cpufreq/scaling_cur_freq": "600000\n",
                f"{cpu}/cpu1/cpufreq/scaling_cur_freq": "1500000\n",
                f"{cpu}/cpu0/cpufreq/cpuinfo_max_freq": "1800000\n",
            }
        )
    )
    assert (condition.governor, condition.clock_hz, condition.clock_max_hz) == (
        "ondemand",
        1_500_000_000,
        1_800_000_000,
    )


def test_a_processor_that_is_cooled_by_its_clock_is_throttled_and_a_fan_is_not(tree):
    thermal = "sys/class/thermal"
    condition = look(
        tree(
            {
                f"{thermal}/thermal_zone0/temp": "81500\n",
                f"{thermal}/cooling_device0/type": "cpufreq-cpu0\n",
                f"{thermal}/cooling_device0/cur_state": "3\n",
                f"{thermal}/cooling_device0/max_state": "11\n",
                f"{thermal}/cooling_device1/type": "pwm-fan\n",
                f"{thermal}/cooling_device1/cur_state": "4\n",
            }
        )
    )
    assert condition.temperature_c == 81.5
    assert condition.throttled == ("cpufreq-cpu0 held back by 3 of 11",)


def test_processor_time_is_busy_without_idle_and_stolen_apart(tree):
    hertz = os.sysconf("SC_CLK_TCK")
    line = " ".join(str(hertz * n) for n in (10, 1, 5, 1000, 50, 2, 3, 7, 0, 0))
    condition = look(tree({"proc/stat": f"cpu  {line}\ncpu0 {line}\n"}))
    assert (condition.busy_s, condition.stolen_s) == (21.0, 7.0)
