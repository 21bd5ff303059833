"""What `convert` tells of what it tried, chose and wrote."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, cast

import click

from edge_aigc.cli.cost_words import cost_column, found_by, ram_words, rewrite_rows
from edge_aigc.cli.edgetpu_words import edgetpu_rows
from edge_aigc.cli.fidelity_words import fidelity_rows
from edge_aigc.cli.output import print_json, say
from edge_aigc.cli.prune_words import pruning_rows
from edge_aigc.errors import PromiseError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from edge_aigc.converters.bundling import Draft
    from edge_aigc.converters.trials import Tried
    from edge_aigc.manifest import Candidate


def report(drafts: list[Draft], written: list[tuple[Path, int]], *, as_json: bool) -> None:
    """Tell what was tried on stderr, and what was written on stdout."""
    for draft in drafts:
        say(_table(draft))
    if not as_json:
        for path, size in written:
            click.echo(f"{path}  {size:,} B")
        return
    print_json(
        {
            "bundles": [
                {
                    "path": str(path),
                    "name": draft.manifest.name,
                    "profile": draft.manifest.profile,
                    "recipe": draft.manifest.recipe.name,
                    "form": draft.manifest.recipe.form,
                    "rewrites": draft.manifest.recipe.rewrites,
                    "pruning": draft.manifest.recipe.pruning,
                    "bytes": size,
                    "model_bytes": draft.manifest.files[draft.manifest.model.file].bytes,
                    "fidelity": draft.manifest.fidelity,
                    "latency_ms": draft.manifest.latency_ms,
                    "ram": draft.manifest.ram,
                    "candidates": draft.manifest.candidates,
                    "edgetpu": draft.manifest.edgetpu,
                    "onnx": draft.manifest.onnx,
                }
                for draft, (path, size) in zip(drafts, written, strict=True)
            ]
        }
    )


_FORMS = {"as converted": "", "rewritten": "rewritten", "compact": "compact"}


@contextlib.contextmanager
def what_was_tried() -> Iterator[None]:
    """Tell on stderr what was tried where nothing of it keeps what was promised, and that an interruption left nothing.

    Bundles are written after all this. What is kept of training is told by whoever trains.
    """
    try:
        yield
    except KeyboardInterrupt:
        say("edge-aigc: Interrupted: nothing was written.")
        raise
    except PromiseError as exc:
        if exc.tried is not None:
            from edge_aigc.converters.bundling import latency_of

            tried = cast("Tried", exc.tried)
            say("\n".join([found_by(latency_of(tried.cost)), *_candidate_rows(tried.candidates, tried.unit)]))
        raise


def _candidate_rows(candidates: Sequence[Candidate], unit: str) -> list[str]:
    rows = []
    width = max((len(_pruned(entry)) for entry in candidates), default=0)
    for entry in candidates:
        pruned = f"{_pruned(entry):{width}} " if width else ""
        if entry.bytes is None:
            rows.append(f"  {entry.recipe:9} {pruned}{_FORMS[entry.form]:10} {entry.verdict}")
        else:
            rows.append(
                f"  {entry.recipe:9} {pruned}{_FORMS[entry.form]:10} {entry.bytes:>11,} B  "
                f"{entry.fidelity:6.1f} {unit}  {cost_column(entry)}  {entry.verdict}"
            )
    return rows


def _pruned(entry: Candidate) -> str:
    if entry.pruned:
        got = "" if entry.removed is None else f" (got {entry.removed:.1%})"
        return f"pruned {entry.pruned:.0%}{got}" + ", healed" * entry.healed
    return "healed" if entry.healed else ""


def _table(draft: Draft) -> str:
    manifest = draft.manifest
    rows = [
        f"{manifest.profile}: {found_by(manifest.latency_ms)}",
        *_candidate_rows(manifest.candidates, manifest.fidelity.unit),
    ]
    rows += [f"  {row}" for row in pruning_rows(manifest.recipe.pruning)]
    rows += [f"  {row}" for row in rewrite_rows(manifest.recipe.rewrites)]
    rows += [f"  {row}" for row in fidelity_rows(manifest.fidelity)]
    if manifest.ram is not None:
        rows.append(f"  RAM       {ram_words(manifest.ram)}")
    edgetpu = manifest.edgetpu
    if edgetpu is not None:
        rows += [f"  {row}" for row in edgetpu_rows(edgetpu)]
    return "\n".join(rows)
