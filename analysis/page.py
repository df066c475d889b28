"""The report as one self-contained HTML page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from analysis import tables
from analysis.agreement import Agreement
from analysis.examples import KINDS, Example
from analysis.planted import Check, Truth
from analysis.rates import Rate
from generation.manifest import ManifestRow

TEMPLATES = Path(__file__).resolve().parent.parent / "templates" / "report"


@dataclass(frozen=True)
class MethodFacts:
    """How one method's images were made."""

    name: str
    options: str
    images: int
    evaluations: str
    """Network evaluations of an image."""


@dataclass(frozen=True)
class PageContent:
    """Everything that stands on the page."""

    title: str
    name: str
    digest: str
    written_at: str
    headlines: Sequence[str]
    rates: Sequence[Rate]
    level: float
    resamples: int
    examples: Sequence[Example]
    questions: dict[str, str]
    """Title of each question."""
    rows: Sequence[ManifestRow]
    truth: Truth | None
    checks: Sequence[Check]
    notes: Sequence[str]
    agreement: Sequence[Agreement]


def render(content: PageContent, figure: str) -> str:
    """The page; every text is escaped, the figure (SVG) is put in as it is."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = tables.percent
    environment.filters["limits"] = tables.limits
    environment.filters["p_text"] = tables.p_text
    environment.filters["alpha_text"] = tables.alpha_text
    environment.filters["with_limits"] = tables.with_limits
    environment.filters["coefficient"] = tables.coefficient
    environment.filters["majority_text"] = tables.majority_text
    environment.filters["times_text"] = tables.times_text
    return environment.get_template("index.html").render(
        page=content,
        figure=figure,
        pairs=tables.pairs(content.rates),
        triples=[(rate, tables.labelled(rate)) for rate in tables.triples(content.rates)],
        groups=list(dict.fromkeys(example.methods for example in content.examples)),
        kinds=KINDS,
        methods=method_facts(content.rows),
        made=made_with(content.rows),
    )


def method_facts(rows: Sequence[ManifestRow]) -> list[MethodFacts]:
    """The methods of a manifest in order of appearance."""
    facts = []
    for name in dict.fromkeys(row.method for row in rows):
        of = [row for row in rows if row.method == name]
        options = ", ".join(f"{key} = {value}" for key, value in of[0].options.items())
        counts = sorted({row.evaluations for row in of})
        evaluations = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]}–{counts[-1]}"
        facts.append(MethodFacts(name, options, len(of), evaluations))
    return facts


def made_with(rows: Sequence[ManifestRow]) -> list[tuple[str, str]]:
    """What the images have in common; where they differ, every value with its count."""
    if not rows:
        return []
    first = [
        ("images", f"{len(rows):,}"),
        ("prompts", f"{len({row.prompt_id for row in rows}):,}"),
        ("seeds", f"{len({row.seed for row in rows}):,}"),
        ("network evaluations, all", f"{sum(row.evaluations for row in rows):,}"),
    ]
    names = ("model", "revision", "scheduler", "steps", "dtype", "device", "git_commit")
    common = [
        (name.replace("_", " "), _values([str(getattr(row, name)) for row in rows]))
        for name in names
    ]
    sizes = _values([f"{row.width} × {row.height}" for row in rows])
    versions = _values([", ".join(f"{k} {v}" for k, v in row.versions.items()) for row in rows])
    return [*first, *common, ("size, pixels", sizes), ("versions", versions)]


def _values(values: Sequence[str]) -> str:
    counts = Counter(values)
    if len(counts) == 1:
        return values[0] or "—"
    return "; ".join(f"{value or '—'} ({count})" for value, count in counts.most_common())
