"""Where `convert` writes: refused before the conversion what cannot be written after it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from edge_aigc.errors import UsageError
from edge_aigc.files import require_folder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_aigc.converters.bundling import Draft
    from edge_aigc.profile import DeviceProfile

_SUFFIX = ".aigc"
_LIKE_A_FILE = re.compile(r"\.[A-Za-z][A-Za-z0-9]{0,7}")
"""Suffixes of files; of folders such as ``v1.2`` not."""


def check_places(output: Path | None, page: Path | None, profiles: Sequence[DeviceProfile]) -> None:
    """Refuse places that cannot be meant or cannot be written.

    Args:
        output: File or folder for the bundles; None: the current folder.
        page: File for the report; None: none is wanted.
        profiles: One bundle is written for each.

    Raises:
        UsageError: One file for several bundles, a file of another kind, or a folder where a file is wanted.
        FileError: Nothing can be written there.
    """
    if output is not None and not output.is_dir():
        if output.suffix == _SUFFIX and len(profiles) > 1:
            raise UsageError(
                f"{output} is one file, and there are {len(profiles)} profiles.", remedy="Give `-o` a folder."
            )
        if output.suffix != _SUFFIX and _LIKE_A_FILE.fullmatch(output.suffix):
            raise UsageError(
                f"`-o {output}` looks like a file, and no bundle ends in {output.suffix!r}.",
                remedy=f"Name it {output.with_suffix(_SUFFIX)}, or make the folder first if you mean one.",
            )
    one_file = output is not None and _is_file(output, single=len(profiles) == 1)
    folder = output or Path()
    require_folder(folder.parent if one_file else folder)
    if page is not None:
        if page.is_dir():
            raise UsageError(f"`--report {page}` is a folder.", remedy=f"Name a file: `--report {page}/report.html`.")
        require_folder(page.parent)


def write_bundles(drafts: Sequence[Draft], output: Path | None) -> list[tuple[Path, int]]:
    """Write all bundles and return their paths and sizes, now that each keeps its promises.

    Raises:
        FileError: The file system refused.
    """
    from edge_aigc.bundle import write_bundle

    places = [_place(draft, output, single=len(drafts) == 1) for draft in drafts]
    return [
        (path, write_bundle(path, draft.manifest, draft.content)) for draft, path in zip(drafts, places, strict=True)
    ]


def _place(draft: Draft, output: Path | None, *, single: bool) -> Path:
    name = f"{draft.manifest.name}-{draft.manifest.profile}{_SUFFIX}"
    if output is None:
        return Path(name)
    return output if _is_file(output, single=single) else output / name


def _is_file(output: Path, *, single: bool) -> bool:
    return single and output.suffix == _SUFFIX and not output.is_dir()
