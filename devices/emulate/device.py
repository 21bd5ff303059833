"""The whole daemon on an emulated board: parent and child under QEMU, the broker and who asks on this machine."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_aigc.devices.emulate.proving import choose_machine, idle_peak_bytes
from edge_aigc.devices.emulate.watch import high_water, qemu_bytes
from edge_aigc.errors import EmulationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from edge_aigc.profile import Runtime

START_S = 180.0
"""How long a daemon is waited for. Emulated it starts in 15 s on a machine that does nothing else."""
_STOP_S = 60.0
_LOOK_S = 0.01


class DaemonProcess:
    """`edge-aigc run --json` as a process, and what it says.

    Attributes:
        process: The daemon's parent.
        events: Its JSON lines.
        words: Its stderr.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        """Start it.

        Args:
            command: The whole command line.
            environment: None hands on ours.
        """
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        )
        self.events: list[dict[str, Any]] = []
        self.words: list[str] = []
        self._threads = [
            threading.Thread(target=self._read_events, daemon=True),
            threading.Thread(target=self._read_words, daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def wait_for(self, event: str, *, seconds: float = 20.0, times: int = 1) -> dict[str, Any]:
        """Wait until it has told of an event so many times, and return what it told.

        Raises:
            EmulationError: It did not, or ended.
        """
        deadline_s = time.monotonic() + seconds
        while time.monotonic() < deadline_s:
            found = [entry for entry in self.events if entry.get("event") == event]
            if len(found) >= times:
                return found[times - 1]
            if self.process.poll() is not None and not any(thread.is_alive() for thread in self._threads):
                break
            time.sleep(0.005)
        raise EmulationError(
            f"The daemon did not tell of {event!r} {times} times within {seconds:g} s but of {self.events}; "
            f"it said: {''.join(self.words)}",
            remedy="See what it said; allow more time where the machine is busy.",
        )

    def children(self) -> list[int]:
        """Return the processes that generate."""
        tasks = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        return [int(pid) for task in tasks for pid in task.read_text(encoding="ascii").split()]

    def stop(self) -> tuple[int, float]:
        """Send SIGTERM; return the exit code and the seconds that it took."""
        started_s = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        took_s = time.monotonic() - started_s
        for thread in self._threads:
            thread.join(5)
        return code, took_s

    def close(self) -> None:
        """Stop it if it runs, whatever state its children are in."""
        if self.process.poll() is None:
            for pid in self.children():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)
            self.stop()

    def _read_events(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            self.events.extend(json.loads(line) for line in lines)

    def _read_words(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as lines:
            self.words.extend(lines)


class EmulatedDevice(DaemonProcess):
    """A daemon on an emulated board.

    Attributes:
        profile: Of the board.
        broker: The URL of its broker.
        name: Its level in the topics, for `Client`.
        killed: Children that took more memory than the board has; the daemon starts them again.
    """

    def __init__(
        self,
        profile: str,
        *bundles: Path | str,
        broker: str,
        name: str = "emulated",
        runtime: Runtime | None = None,
        options: Sequence[str] = (),
        max_ram_bytes: int | None = None,
    ) -> None:
        """Start it; `wait_for("online")` waits until it serves.

        Args:
            profile: Name of the board's.
            *bundles: Paths.
            broker: URL.
            name: Of the device.
            runtime: None takes the board's preferred one.
            options: More of `edge-aigc run`.
            max_ram_bytes: What a child may take beyond an idle interpreter; None takes what the profile leaves us.

        Raises:
            EmulationError: No bundle was given, or the board cannot be emulated here.
            BundleError: The first bundle cannot be read.
        """
        from edge_aigc.bundle import read_manifest
        from edge_aigc.devices.catalog import find_profile

        if not bundles:
            raise EmulationError(
                f"The emulated {profile} was given no bundle to serve.",
                remedy='Name one or more: `emulated_device("rpi4", "digits-rpi4.aigc")`.',
            )
        machine = choose_machine(find_profile(profile), read_manifest(Path(bundles[0])), runtime=runtime)
        self.profile = machine.profile
        self.broker = broker
        self.name = name
        self.killed = 0
        left = machine.profile.ram_for_us_bytes if max_ram_bytes is None else max_ram_bytes
        self._limit_bytes = idle_peak_bytes(machine) + left
        arguments = ["-m", "edge_aigc.cli", "run", *map(str, bundles), "--broker", broker, "--device", name, "--json"]
        arguments += ["--runtime", machine.runtime, *options]
        super().__init__(machine.command(arguments), machine.environment())
        self._threads.append(threading.Thread(target=self._watch_memory, daemon=True))
        self._threads[-1].start()

    def _watch_memory(self) -> None:
        """Kill what a board's kernel would, until the daemon ends."""
        while self.process.poll() is None:
            with contextlib.suppress(OSError):
                for pid in self.children():
                    if high_water(pid) > self._limit_bytes and high_water(pid) - qemu_bytes(pid) > self._limit_bytes:
                        os.kill(pid, signal.SIGKILL)
                        self.killed += 1
            time.sleep(_LOOK_S)


@contextlib.contextmanager
def emulated(
    profile: str, *bundles: Path | str, broker: str, start_s: float = START_S, **more: Any
) -> Iterator[EmulatedDevice]:
    """Run a daemon on an emulated board for the length of a `with`; online when it begins.

    Args:
        profile: Name of the board's.
        *bundles: Paths.
        broker: URL.
        start_s: How long it may take to come online.
        **more: As `EmulatedDevice` takes.

    Raises:
        EmulationError: It cannot be emulated here, or did not come online.
        BundleError: The first bundle cannot be read.
    """
    device = EmulatedDevice(profile, *bundles, broker=broker, **more)
    try:
        device.wait_for("online", seconds=start_s)
        yield device
    finally:
        device.close()
