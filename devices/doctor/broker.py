"""The MQTT broker: whether it is there, lets us in, and answers at once."""

from __future__ import annotations

import ipaddress
import os
import shlex
import shutil
from typing import TYPE_CHECKING

from edge_aigc.files import cache_folder
from edge_aigc.finding import Finding, as_root, command_in, install

if TYPE_CHECKING:
    from edge_aigc.devices.doctor.patient import Patient
    from edge_aigc.mqtt.address import BrokerAddress
    from edge_aigc.mqtt.checkup import Checkup
    from edge_aigc.mqtt.refusals import Refusal

_LIMIT_S = 4.5
_CONFIGURATION = "/etc/mosquitto/conf.d/edge-aigc.conf"
"""Debian's mosquitto reads every file there."""
_FIND_RULES = r"grep -rhsoP -m1 '^\s*acl_file\s+\K\S+' /etc/mosquitto"
"""A broker that refuses by rules has a file of them already, and takes no second one."""
_PORT = 1883
"""On which mosquitto listens unless told otherwise, to this machine alone."""
_NODELAY = "set_tcp_nodelay true"
"""mosquitto.conf(5)."""
# Debian puts the daemon where only root's PATH looks.
_PLACES = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"])


def check(patient: Patient) -> list[Finding]:
    """Talk to the broker."""
    if patient.broker is None:
        return []
    # Only this check is lost, with a note, where the MQTT client does not load.
    from edge_aigc.mqtt.checkup import look_at

    seen = look_at(patient.broker, limit_s=_LIMIT_S)
    if seen.refusal is not None:
        return [_refused(patient, patient.broker, seen.refusal)]
    if seen.first_ms is None:
        message = (
            f"The broker {patient.broker} lets us in, and what we publish below edge-aigc/ does not arrive: "
            "its access rules do not let this user write there."
        )
        return [Finding(id="broker-mute", severity="problem", message=message, remedy=_allow(patient, patient.broker))]
    return [_pace(patient, patient.broker, seen), *_protocol(patient.broker, seen)]


def _refused(patient: Patient, address: BrokerAddress, refusal: Refusal) -> Finding:
    remedies = {
        "absent": lambda: _start(patient, address),
        "credentials": lambda: _identify(address),
        "denied": lambda: _allow(patient, address),
    }
    remedy = remedies.get(refusal.kind, lambda: command_in(refusal.remedy))()
    # Whoever did not name a broker and converts here may not want one.
    wanted = patient.broker_stated or not patient.is_host
    return Finding(
        id=f"broker-{refusal.kind}",
        severity="problem" if wanted else "note",
        message=refusal.message if remedy else f"{refusal.message} {refusal.remedy}",
        remedy=remedy,
    )


def _pace(patient: Patient, address: BrokerAddress, seen: Checkup) -> Finding:
    times = f"of two messages sent at once the first takes {seen.first_ms:.1f} ms, the second {seen.second_ms:.1f} ms"
    if not seen.holds_back:
        return Finding(id="broker", severity="ok", message=f"{address} lets us in, MQTT {seen.protocol}; {times}.")
    return Finding(
        id="broker-nagle",
        severity="problem",
        message=f"The broker {address} holds small messages back (Nagle's algorithm): {times}. "
        f"In mosquitto it is `{_NODELAY}` that it lacks.",
        remedy=_configure(patient, address, (_NODELAY,)),
    )


def _protocol(address: BrokerAddress, seen: Checkup) -> list[Finding]:
    if seen.protocol == "5":
        return []
    message = (
        f"The broker {address} speaks MQTT {seen.protocol} only: no response topics, no expiry, and nobody is told "
        "when it refuses a message."
    )
    return [Finding(id="broker-protocol", severity="note", message=message, remedy=install("mosquitto"))]


def _start(patient: Patient, address: BrokerAddress) -> str:
    """Return the command that has a broker there; one of ours has Nagle's algorithm off from the start."""
    if not _is_here(address) or address.scheme == "mqtts":
        # Who may enter a broker for others, and its certificates, are not for us to make up.
        return _there(address, _by_root(address, "systemctl enable --now mosquitto"))
    program = shutil.which("mosquitto", path=_PLACES)
    steps: tuple[str, ...] = () if program else (install("mosquitto"),)
    listener = (f"listener {address.port} 127.0.0.1", "allow_anonymous true")
    if _has_systemd(patient):
        own = () if address.port == _PORT else listener
        return " && ".join((*steps, _configure(patient, address, (*own, _NODELAY))))
    folder = cache_folder()
    configuration = shlex.quote(str(folder / f"mosquitto-{address.port}.conf"))
    steps += (
        f"mkdir -p {shlex.quote(str(folder))}",
        f"{_lines((*listener, _NODELAY))} > {configuration}",
        f"{program or '/usr/sbin/mosquitto'} -d -c {configuration}",
    )
    return " && ".join(steps)


def _identify(address: BrokerAddress) -> str:
    """Return the command that asks for a password where neither the history nor a list of processes shows it."""
    secret = "read -rsp 'password: ' EDGE_AIGC_MQTT_PASSWORD && export EDGE_AIGC_MQTT_PASSWORD"  # noqa: S105 - asks
    if address.user:
        return secret
    url = f'EDGE_AIGC_BROKER="{address.scheme}://$NAME@{address}"'
    return f"read -rp 'user: ' NAME && {secret} {url}"


def _allow(patient: Patient, address: BrokerAddress) -> str:
    who = (f"user {address.user}",) if address.user else ()
    rules = _lines((*who, "topic readwrite edge-aigc/#"))
    append = _by_root(address, f'tee -a "$({_by_root(address, _FIND_RULES)})"')
    return _there(address, f"{rules} | {append} && {_restart(patient, address)}")


def _configure(patient: Patient, address: BrokerAddress, lines: tuple[str, ...]) -> str:
    append = _by_root(address, f"tee -a {_CONFIGURATION}")
    return _there(address, f"{_lines(lines)} | {append} && {_restart(patient, address)}")


def _restart(patient: Patient, address: BrokerAddress) -> str:
    systemd = _has_systemd(patient) or not _is_here(address)
    return _by_root(address, "systemctl restart mosquitto" if systemd else "service mosquitto restart")


def _by_root(address: BrokerAddress, command: str) -> str:
    """Return a command of root's; who we are elsewhere we do not know."""
    return as_root(command) if _is_here(address) else f"sudo {command}"


def _there(address: BrokerAddress, command: str) -> str:
    """Return a command as it is typed here for the machine of the broker."""
    return command if _is_here(address) else shlex.join(["ssh", "-t", address.host, command])


def _lines(lines: tuple[str, ...]) -> str:
    return shlex.join(["printf", "%s\\n", *lines])


def _is_here(address: BrokerAddress) -> bool:
    try:
        return ipaddress.ip_address(address.host).is_loopback
    except ValueError:
        return address.host == "localhost"


def _has_systemd(patient: Patient) -> bool:
    return patient.path("/run/systemd/system").is_dir()  # sd_booted(3)
