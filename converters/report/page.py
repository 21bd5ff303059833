"""The page: everything collected, and drawn by the template.

Names of tensors, classes and files come from models of strangers: the template escapes all of them, and nothing
that is shown is ever marked as safe.
"""

from __future__ import annotations

import platform
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from edge_aigc.bundle import Bundle
from edge_aigc.converters.report.costs import costs_by_operator
from edge_aigc.converters.report.curve import curve_of
from edge_aigc.converters.report.errors import errors_by_operator
from edge_aigc.converters.report.plots import HEIGHT, WIDTH, bar, pareto
from edge_aigc.converters.report.samples import shown
from edge_aigc.errors import EdgeAigcError, RuntimeMissingError
from edge_aigc.golden import unpack_vectors
from edge_aigc.vocabulary import vocabulary_in

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from edge_aigc.converters.bundling import Draft
    from edge_aigc.converters.report.costs import Stages
    from edge_aigc.converters.report.curve import Curve
    from edge_aigc.converters.report.errors import OperatorError
    from edge_aigc.converters.report.plots import Pareto
    from edge_aigc.converters.report.samples import Shown
    from edge_aigc.cost import Cost
    from edge_aigc.manifest import Manifest, Rewrite

Measure: TypeAlias = "Callable[[Mapping[str, bytes]], dict[str, Cost]]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """What a report is made of, beside the drafts themselves."""

    measure_for: Mapping[str, Measure]
    """By profile: small nets to their costs there."""
    command: Sequence[str]
    """What was typed."""
    tell: Callable[[str], None]
    """Called with a few words at every step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One bundle."""

    manifest: Manifest
    samples: tuple[Shown, ...]
    plot: Pareto | None
    rewrites: tuple[Rewrite, ...]
    stages: Stages | None
    stages_missing: str
    """Why there are none."""
    errors: tuple[OperatorError, ...]
    errors_missing: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    curve: Curve | None
    """Of pruning."""

    @property
    def largest_cost(self) -> float:
        """Return the dearest stage's cost, of either form."""
        rows = self.stages.rows if self.stages is not None else ()
        return max((max(row.cost_before, row.cost_after) for row in rows), default=0.0)

    @property
    def baseline(self) -> Any:
        """Return the candidate that is the model as it was converted, in float32; None where it was not tried."""
        rows = self.manifest.candidates
        return next((row for row in rows if (row.recipe, row.form) == ("float32", "as converted") and row.bytes), None)


def render(drafts: Sequence[Draft], telling: Telling) -> str:
    """Return a page of HTML that shows what was made of a generator, and needs nothing beside itself.

    Args:
        drafts: One section each.
        telling: How operators are measured, and what was typed.

    Raises:
        RuntimeMissingError: Jinja2 is not installed.
    """
    sections = [_section(draft, telling) for draft in drafts]
    environment = _environment()
    return str(
        environment.get_template("report.html").render(
            sections=sections,
            command=shlex.join(telling.command),
            machine=f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
            plot_width=WIDTH,
            plot_height=HEIGHT,
        )
    )


def require_packages() -> None:
    """Make sure that a report can be drawn.

    Raises:
        RuntimeMissingError: Jinja2 is not installed.
    """
    _environment()


def _environment() -> Any:
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ModuleNotFoundError as exc:
        raise RuntimeMissingError(
            "The report needs Jinja2, not installed here.", remedy="Install it: `pip install 'edge-aigc[convert]'`."
        ) from exc
    loader = PackageLoader("edge_aigc.converters.report", "templates")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"bar": bar, "tidy": _tidy, "short": _short, "kinds": _kinds}
    return environment


def _section(draft: Draft, telling: Telling) -> Section:
    manifest = draft.manifest
    flatbuffer = draft.content[manifest.model.file]
    telling.tell(f"{manifest.profile}: the report, costs of each operator")
    stages: Stages | None = None
    errors: tuple[OperatorError, ...] = ()
    stages_missing = errors_missing = ""
    # A report tells what it can: that one part of it cannot be had is no reason to lose the bundle.
    try:
        stages = costs_by_operator(draft.as_converted, flatbuffer, telling.measure_for[manifest.profile])
    except EdgeAigcError as exc:
        stages_missing = str(exc)
    telling.tell(f"{manifest.profile}: the report, errors of each operator")
    try:
        reference = draft.as_converted if draft.float_form == flatbuffer else draft.float_form
        errors = errors_by_operator(reference, flatbuffer, _inputs(draft))
    except EdgeAigcError as exc:
        errors_missing = str(exc)
    rewrites = sorted(manifest.recipe.rewrites, key=lambda entry: entry.times * (entry.after - entry.before))
    return Section(
        manifest=manifest,
        samples=shown(draft.evidence, _tokens(draft)),
        plot=pareto(manifest),
        rewrites=tuple(rewrites),
        stages=stages,
        stages_missing=stages_missing,
        errors=errors,
        errors_missing=errors_missing,
        inputs=tuple(f"{t.name} {list(t.shape)}, {t.__struct_config__.tag}" for t in manifest.spec.inputs),
        outputs=tuple(f"{t.name} {list(t.shape)}, {t.media}" for t in manifest.spec.outputs),
        curve=curve_of(draft.curve, manifest.spec.primary, _tokens(draft)) if draft.curve else None,
    )


def _tokens(draft: Draft) -> tuple[str, ...]:
    if draft.manifest.spec.loop is None:
        return ()
    return vocabulary_in(Bundle(manifest=draft.manifest, content=draft.content)).tokens


def _inputs(draft: Draft) -> list[list[Any]]:
    """Return the inputs of the golden vectors, in the flatbuffer's order."""
    vectors = unpack_vectors(Bundle(manifest=draft.manifest, content=draft.content))
    return [[vector.inputs[name] for name in draft.manifest.model.inputs] for vector in vectors]


_LONG = 44
_TIMES = "\N{MULTIPLICATION SIGN}"


def _short(name: str) -> str:
    """Return the first of the names that TensorFlow joined, cut to what a column holds."""
    name = name.split(";", maxsplit=1)[0]
    return name if len(name) <= _LONG else f"…{name[1 - _LONG :]}"


def _kinds(kinds: Sequence[str]) -> str:
    """Return kinds in a row, equal neighbours counted."""
    runs: list[tuple[str, int]] = []
    for kind in kinds:
        if runs and runs[-1][0] == kind:
            runs[-1] = (kind, runs[-1][1] + 1)
        else:
            runs.append((kind, 1))
    return ", ".join(kind if count == 1 else f"{count} {_TIMES} {kind}" for kind, count in runs)


def _tidy(value: float, unit: str) -> str:
    """Return a cost in a unit that people read: µs below a millisecond, millions of instructions and cycles."""
    if unit == "ms":
        return f"{value:.2f} ms" if value >= 1 else f"{1000 * value:.1f} µs"
    return f"{value / 1e6:.2f} M {unit}"
