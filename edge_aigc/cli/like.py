"""`convert --like BUNDLE`: the recipe that a bundle records, made again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from edge_aigc.bundle import read_manifest
from edge_aigc.errors import SourceError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from edge_aigc.converters.bundling import Draft
    from edge_aigc.converters.sources.source import Source
    from edge_aigc.manifest import Manifest
    from edge_aigc.profile import DeviceProfile


_DECIDED = ("max_latency", "max_size", "input_size", "prune", "prune_to_latency", "distill_minutes", "zeros")
"""Options that the record decides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Like:
    """A bundle whose model is to be made again."""

    path: Path
    manifest: Manifest

    def specification(self) -> dict[str, object]:
        """Return what the bundle states of its generator, as a specification file would: pixels as in the source."""
        pixels = self.manifest.recipe.pixels
        spec = self.manifest.spec
        outputs = [
            msgspec.structs.replace(output, dtype="float32", range=pixels[output.name])
            if output.name in pixels
            else output
            for output in spec.outputs
        ]
        plain = msgspec.structs.replace(spec, outputs=tuple(outputs))
        fields: dict[str, Any] = _stated(msgspec.to_builtins(plain))
        states = {} if spec.loop is None else spec.loop.state
        for entry in (*fields["inputs"], *fields["outputs"]):
            if entry["name"] in {*states, *states.values()}:
                del entry["shape"]  # pruned, they are narrower than the source's, which tells its own
        return fields

    def check(self, source: Source) -> None:
        """Refuse another model than the bundle was made from.

        Raises:
            SourceError: It is another.
        """
        made_from = self.manifest.provenance
        if source.sha256 != made_from.source_sha256:
            raise SourceError(
                f"{self.path} was made from {made_from.source} ({made_from.source_sha256[:12]}…), and "
                f"{source.file_name} is another model ({source.sha256[:12]}…).",
                remedy="Give the model that it was made from, or leave `--like` out.",
            )

    def compared(self, draft: Draft) -> str:
        """Return in words whether the model came out the same."""
        file, before = self.manifest.model.file, self.manifest.provenance.tools
        if draft.manifest.files[draft.manifest.model.file].sha256 == self.manifest.files[file].sha256:
            return f"The model is that of {self.path}, byte by byte."
        now = draft.manifest.provenance.tools
        changed = [
            f"{name} {before.get(name)} is now {now.get(name)}"
            for name in sorted({*before, *now})
            if before.get(name) != now.get(name)
        ]
        why = ", ".join(changed) or "the inputs that calibrated it may differ"
        return f"The model differs from that of {self.path}: {why}."


def _stated(value: Any) -> Any:
    """Return a value without the fields that state nothing."""
    if isinstance(value, dict):
        return {key: _stated(field) for key, field in value.items() if field is not None}
    return [_stated(entry) for entry in value] if isinstance(value, list | tuple) else value


def record_of(options: dict[str, Any], profiles: Sequence[DeviceProfile]) -> Like | None:
    """Read the bundle that `--like` names and set the options that it decides.

    Args:
        options: Of the command; what the record decides is set.
        profiles: What is converted for.

    Raises:
        UsageError: Another option asks for something else.
        BundleError: It is no bundle.
    """
    path: Path | None = options["like"]
    if path is None:
        return None
    manifest = read_manifest(path)
    asked = [f"`--{name.replace('_', '-')}`" for name in _DECIDED if options[name] not in (None, ())]
    if options["recipe"] != "auto":
        asked.append("`--recipe`")
    if asked:
        raise UsageError(
            f"`--like` makes what {path} records, and {' and '.join(asked)} asks for something else.",
            remedy="Leave out one of the two.",
        )
    if [profile.name for profile in profiles] != [manifest.profile]:
        raise UsageError(f"{path} was made for {manifest.profile}.", remedy=f"Give `--profile {manifest.profile}`.")
    if options["min_fidelity"] is None:
        options["min_fidelity"] = manifest.fidelity.minimum
    options["input_size"] = manifest.recipe.input_size
    options["licence"] = options["licence"] or manifest.provenance.licence
    if options["vocabulary"] is None and manifest.spec.loop is not None:
        options["vocabulary"] = path
    if options["runtime"] is None and len(manifest.runtimes) == 1:
        options["runtime"] = manifest.runtimes[0]
    return Like(path=path, manifest=manifest)
