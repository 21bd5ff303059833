"""Whom the checks of a device look at, and through what they look."""

from __future__ import annotations

import getpass
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge_aigc.manifest import Manifest
    from edge_aigc.mqtt.address import BrokerAddress
    from edge_aigc.profile import DeviceProfile


def _name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())  # containers run users that no file names


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """A machine and what it shall do."""

    root: Path = Path("/")
    """What `/proc`, `/sys`, `/etc` and so on are looked up in. What is no file there is asked of the kernel
    only where this is ``/``."""
    user: str = field(default_factory=_name)
    is_root: bool = field(default_factory=lambda: os.geteuid() == 0)
    is_host: bool = False
    """Whether it converts, too: then what only a board needs is worth a note at most."""
    profile: DeviceProfile | None = None
    """Of the device that it shall be, or that it converts for."""
    bundle: Path | None = None
    manifest: Manifest | None = None
    """The bundle's."""
    broker: BrokerAddress | None = None
    broker_stated: bool = True
    """Whether the user named the broker, or it is merely where one is by default."""

    @property
    def wants_edgetpu(self) -> bool:
        """Whether the profile or the bundle is for an Edge TPU."""
        accelerator = self.profile.accelerator if self.profile else None
        return (accelerator is not None and accelerator.kind == "edgetpu") or (
            self.manifest is not None and self.manifest.target == "edgetpu"
        )

    def path(self, name: str) -> Path:
        """Return where a file of the system's lies."""
        return self.root / name.lstrip("/")

    def text(self, name: str) -> str:
        """Return what a file of the system's says, or nothing where it cannot be read."""
        return text_of(self.path(name))


def text_of(path: Path) -> str:
    """Return what a small file says, without the white space around it; nothing where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
