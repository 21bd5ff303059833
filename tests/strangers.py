"""Mosquitto's own clients, which none of us wrote."""

from __future__ import annotations

import subprocess

# The address, not its name: a bare root has no /etc/hosts.
_HOST = ("-h", "127.0.0.1")


def subscriber(port: int, *options: str) -> list[str]:
    """Return the command line of mosquitto_sub."""
    return ["mosquitto_sub", *_HOST, "-p", str(port), *options]


def ask(port: int, topic: str, response_topic: str, message: str, *, seconds: int = 10) -> bytes:
    """Send a request with mosquitto_rr and return the first answer; it sends no correlation data."""
    command = ["mosquitto_rr", *_HOST, "-V", "5", "-p", str(port), "-t", topic, "-e", response_topic, "-m", message]
    return subprocess.run([*command, "-N", "-W", str(seconds)], capture_output=True, check=True).stdout
