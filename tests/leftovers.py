"""What programs leave running."""

from __future__ import annotations

import time
from pathlib import Path


def gone(pid_file: Path) -> bool:
    """Whether the process that wrote its number there has ended, or does so within seconds."""
    stat = Path(f"/proc/{pid_file.read_text().strip()}/stat")
    for _ in range(500):
        try:
            if stat.read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.01)
    return False
