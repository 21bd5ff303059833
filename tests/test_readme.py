"""The README's commands do what it says."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from edge_aigc.cli import VERBS
from edge_aigc.cli.broker import local_broker

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
SHELL = "\n".join(re.findall(r"^```sh\n(.*?)^```", README, re.MULTILINE | re.DOTALL))
COMMANDS = [line.split("#")[0].strip() for line in SHELL.splitlines() if line.startswith("edge-aigc ")]


@pytest.fixture
def shell(tmp_path):
    """Run lines in one folder, with the command on PATH and a broker; stop what was left running."""
    scripts = tmp_path / "bin"
    scripts.mkdir()
    command = scripts / "edge-aigc"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m edge_aigc.cli "$@"\n')
    command.chmod(0o755)
    left = []
    with local_broker() as (_, address):
        path = f"{scripts}{os.pathsep}{os.environ['PATH']}"
        environment = os.environ | {"PATH": path, "EDGE_AIGC_BROKER": address, "PYTHONPATH": str(ROOT)}

        def run(line):
            if line.endswith("&"):
                left.append(subprocess.Popen(["sh", "-c", "exec " + line[:-1]], cwd=tmp_path, env=environment))
                return
            subprocess.run(["sh", "-c", line], cwd=tmp_path, env=environment, check=True, timeout=120)

        yield run
        for process in left:
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0


def test_the_five_commands_run_in_their_order(shell, tmp_path):
    assert [line.split()[1] for line in COMMANDS] == ["convert", "generate", "run", "request", "watch"]
    for line in COMMANDS:
        if line.split()[1] == "request":
            wait_until_online(tmp_path, shell)
        shell(line)
    assert (tmp_path / "digits-rpi4.aigc").exists()
    for picture in (tmp_path / "digits-7.png", tmp_path / "three.png", *(tmp_path / "seen").iterdir()):
        assert picture.read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "three.png").read_bytes() == (tmp_path / "digits-7.png").read_bytes()
    assert len(list((tmp_path / "seen").iterdir())) == 2


def wait_until_online(folder, shell):
    """A person waits for the daemon's line; here the device is looked for instead."""
    del folder
    for _ in range(50):
        try:
            shell("edge-aigc request digits --timeout 2 -o first.png 2>/dev/null")
        except subprocess.CalledProcessError:
            continue
        return
    pytest.fail("the daemon did not come online")


def test_the_python_example_runs(tmp_path):
    (example,) = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    convert = [sys.executable, "-m", "edge_aigc.cli", "convert", "--profile", "rpi4", "--recipe", "float32"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run(convert, cwd=tmp_path, env=environment, check=True, capture_output=True)
    subprocess.run([sys.executable, "-c", example], cwd=tmp_path, env=environment, check=True)
    assert (tmp_path / "3.png").exists()


def test_make_targets_that_the_readme_names_exist():
    targets = set(re.findall(r"(?:`|^)make (\w+)", README, re.MULTILINE))
    rules = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {"demo", "test", "check", "bench"} <= targets <= rules


def test_every_verb_is_named_and_every_picture_is_there():
    for verb in VERBS:
        assert verb in README
    for picture in re.findall(r"!\[.*?\]\((.*?)\)", README):
        assert (ROOT / picture).exists()
