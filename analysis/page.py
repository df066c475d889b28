"""The report as one self-contained HTML page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from analysis import grids, tables
from analysis.examples import KINDS, Example
from analysis.findings import Findings
from analysis.grid import Grid
from analysis.planted import Check, Truth
from analysis.scores import Scores
from analysis.settings import ReportTable
from analysis.vote_file import RejectedRow
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
    found: Findings
    table: ReportTable
    examples: Sequence[Example]
    questions: dict[str, str]
    """Title of each question."""
    rows: Sequence[ManifestRow]
    truth: Truth | None
    checks: Sequence[Check]
    notes: Sequence[str]
    scores: Scores | None
    refused: Sequence[RejectedRow]
    """Rows of a file of votes that hold none."""
    methods_text: str
    """A paragraph for a paper."""


def render(content: PageContent, figure: str, ranking: str = "") -> str:
    """The page; every text is escaped, the figures (SVG) are put in as they are."""
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
    environment.filters["majority_text"] = tables.majority_text
    return environment.get_template("index.html").render(
        page=content,
        figure=figure,
        ranking=ranking,
        pairs=tables.pairs(content.found.rates),
        triples=[(rate, tables.labelled(rate)) for rate in tables.triples(content.found.rates)],
        grids=page_grids(content),
        groups=list(dict.fromkeys(example.methods for example in content.examples)),
        kinds=KINDS,
        methods=method_facts(content.rows),
        made=made_with(content.rows),
    )


def page_grids(content: PageContent) -> dict[str, Grid]:
    """The page's tables by name; those without rows are left out."""
    found, titles = content.found, content.questions
    every = {
        "checks": grids.checks_grid(found.rates, titles),
        "tests": grids.tests_grid(found.rates, titles, margin=content.table.margin),
        "implied": grids.implied_grid(tables.triples(found.rates), titles),
        "ranking": grids.ranking_grid(found.rankings, titles),
        "parts": grids.parts_grid(found, titles),
        "agreement": grids.agreement_grid(found.agreement, titles),
        "controls": grids.controls_grid(found.controls, titles),
        "sensitivity": grids.sensitivity_grid(found.sensitivity, titles),
        "position": grids.position_grid(found.position, titles),
        "scores": grids.scores_grid(content.scores.rates if content.scores else ()),
        "predictions": grids.predictions_grid(
            content.scores.predictions if content.scores else (), titles
        ),
        "workers": grids.workers_grid(found.workers),
    }
    return {name: grid for name, grid in every.items() if grid.body}


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
