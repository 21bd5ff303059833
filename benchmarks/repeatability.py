"""How far `edge-aigc bench` can be believed: the same bundle measured again and again, here and over ssh in turns.

Starts an OpenSSH server on the loopback address, so that both are the same machine and their figures should agree.
Prints the range of the medians and of the models' memory, the ratio of the two ways, and what a run over ssh takes
beyond measuring.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from bundles import tiny_bundle
from sshd import sshd


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", nargs="?", type=Path, help="default: the tiny bundle of the tests")
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, sshd(Path(folder) / "server") as server:
        bundle = arguments.bundle or tiny_bundle(Path(folder))
        ways: dict[str, list[str]] = {"here": [], "over ssh": server.arguments()}
        runs: dict[str, list[dict[str, Any]]] = {way: [] for way in ways}
        for _ in range(arguments.times):
            for way, options in ways.items():
                runs[way].append(measured(bundle, options))
    result = {way: summary(found) for way, found in runs.items()}
    ratio = result["over ssh"]["median_ms"] / result["here"]["median_ms"]
    if arguments.json:
        print(json.dumps({**result, "ratio": round(ratio, 4)}))
        return
    for way, found in result.items():
        print(
            f"{way:9} median {found['median_ms']:.4f} ms ({found['least_ms']:.4f} to {found['most_ms']:.4f}), "
            f"model {found['ram_least_bytes'] / 1e6:.2f} to {found['ram_most_bytes'] / 1e6:.2f} MB, "
            f"{found['took_s']:.2f} s a run, {found['doubted']} of {arguments.times} doubted"
        )
    print(f"over ssh / here {ratio:.3f}")


def measured(bundle: Path, options: list[str]) -> dict[str, Any]:
    """Return what the command prints, and how long it took."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "edge_aigc.cli", "bench", str(bundle), *options, "--json"]
    done = subprocess.run(command, capture_output=True, check=True)
    return {**json.loads(done.stdout), "took_s": time.perf_counter() - started}


def summary(runs: list[dict[str, Any]]) -> dict[str, float]:
    """Return the median of the medians, their range, that of the memory, and the time of a run."""
    medians = [run["median_ms"] for run in runs]
    ram = [run["peak_ram_bytes"] for run in runs]
    return {
        "median_ms": statistics.median(medians),
        "least_ms": min(medians),
        "most_ms": max(medians),
        "ram_least_bytes": min(ram),
        "ram_most_bytes": max(ram),
        "took_s": round(statistics.median(run["took_s"] for run in runs), 3),
        "doubted": sum(not run["trusted"] for run in runs),
    }


if __name__ == "__main__":
    main()
