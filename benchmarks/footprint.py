"""What serving costs a small device: memory, time to import, room on the disk.

The parent is measured after it has served requests; the child against a bare script that only
imports the interpreter and opens the same flatbuffer. `--installed` makes fresh environments with
pip, which needs a package index.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from brokers import mosquitto
from bundles import tiny_bundle
from daemons import daemon

from edge_aigc.bundle import read_bundle
from edge_aigc.client import Client

PARENT_LIMIT_MB, CHILD_EXTRA_LIMIT_MB, IMPORT_LIMIT_S = 35.0, 25.0, 0.4
REQUESTS = 100
IMPORTS = 9
PARENT_IMPORTS = "import edge_aigc.cli.run, edge_aigc.devices.daemon, edge_aigc.devices.settings"
ROOT = Path(__file__).resolve().parent.parent
BARE = """
import sys
from importlib import import_module
for name in ("ai_edge_litert", "tflite_runtime"):
    try:
        Interpreter = import_module(name + ".interpreter").Interpreter
        break
    except ImportError:
        pass
interpreter = Interpreter(model_path=sys.argv[1])
interpreter.allocate_tensors()
interpreter.invoke()
print("ready", flush=True)
sys.stdin.read()
"""


def main() -> None:
    """Measure, print, exit 3 if a limit is passed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", nargs="?", type=Path, help="default: the tiny bundle of the tests")
    parser.add_argument("--installed", action="store_true", help="measure fresh installations too")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bundle = arguments.bundle or tiny_bundle(Path(folder))
        result = memory(bundle) | {"import_s": import_s()}
    result["pass"] = (
        result["parent_mb"] <= PARENT_LIMIT_MB
        and result["child_extra_mb"] <= CHILD_EXTRA_LIMIT_MB
        and result["import_s"] <= IMPORT_LIMIT_S
    )
    if arguments.installed:
        result |= {f"installed_{extra}_mb": installed_mb(extra) for extra in ("tflite", "litert")}
    if arguments.json:
        print(json.dumps(result))
    else:
        for name, value in result.items():
            print(f"{name:22} {value if isinstance(value, bool) else round(value, 3)}")
    sys.exit(0 if result["pass"] else 3)


def memory(bundle: Path) -> dict[str, float]:
    """Return resident megabytes (1e6 bytes) of parent, child and the bare script."""
    opened = read_bundle(bundle)
    with mosquitto() as broker, daemon(broker.url, bundle, device="footprint") as running:
        with Client(broker.url) as client:
            for seed in range(REQUESTS):
                list(client.request(opened.manifest.name, device="footprint", seed=seed))
        (child,) = running.children()
        parent_mb, child_mb = resident_mb(running.process.pid), resident_mb(child)
    bare_mb = bare(opened.flatbuffer)
    return {
        "parent_mb": parent_mb,
        "child_mb": child_mb,
        "bare_interpreter_mb": bare_mb,
        "child_extra_mb": child_mb - bare_mb,
    }


def bare(flatbuffer: bytes) -> float:
    """Return the resident megabytes of a script that opens a flatbuffer and nothing else."""
    with tempfile.NamedTemporaryFile(suffix=".tflite") as file:
        file.write(flatbuffer)
        file.flush()
        command = [sys.executable, "-c", BARE, file.name]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as script:
            assert script.stdout is not None
            assert script.stdout.readline() == b"ready\n"
            found = resident_mb(script.pid)
            script.communicate()
            return found


def resident_mb(pid: int) -> float:
    """Return the resident set of a process, shared pages included."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise ProcessLookupError(pid)


def import_s() -> float:
    """Return the seconds that fresh processes take to import what the parent needs, above an empty one."""
    return statistics.median(_run_s(PARENT_IMPORTS) for _ in range(IMPORTS)) - statistics.median(
        _run_s("pass") for _ in range(IMPORTS)
    )


def installed_mb(extra: str) -> float:
    """Return how much a fresh environment with `edge-aigc[extra]` is larger than an empty one."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        venv.create(folder, with_pip=True)
        empty = _size(folder)
        pip = [str(folder / "bin" / "pip"), "install", "--quiet", "--no-compile", "--disable-pip-version-check"]
        subprocess.run([*pip, f"{ROOT}[{extra}]"], check=True)
        return (_size(folder) - empty) / 1e6


def _run_s(code: str) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - started


def _size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


if __name__ == "__main__":
    main()
