"""`python analysis/report.py study.toml`: the votes as numbers, figures and one HTML page."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

if __package__ in (None, ""):
    # Run as a script, the first place Python looks is this folder: make it the repository.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import pandas as pd
from rich.console import Console
from rich.panel import Panel
from sqlalchemy import Engine

from analysis import figures, grid, grids, tables
from analysis.batch_results import read_batch_results
from analysis.examples import choose_examples
from analysis.findings import Findings, find
from analysis.page import PageContent, render
from analysis.planted import Check, Truth, checks, read_truth
from analysis.rates import PreferenceRate
from analysis.scores import Scores, analyse_scores, read_scores
from analysis.settings import ReportTable
from analysis.source import study_database
from analysis.vote_file import RejectedRow, read_vote_file
from analysis.votes import (
    CountedVotes,
    count_unread,
    read_votes,
    without_rejected,
)
from analysis.wording import headlines, methods_text
from analysis.workers import flagged, workers_frame
from generation.manifest import ManifestRow, read_manifest
from generation.study import StudyFile, UserError, read_study_file
from hit_server.hits import Hits

EXIT_USER = 2
HEADLINES, SHOWN = 12, 40
"""So many rates have a headline, and a bar in the figure and a line in the terminal; the page's
tables and the files have all of them."""
UNEVEN = 0.005
"""Difference between two ways of counting from which both are reported."""
UNEVEN_SHOWN = 5
"""So many rates with such a difference have a note of their own."""


@dataclass(frozen=True)
class Report:
    """A report that was written."""

    folder: Path
    paths: tuple[Path, ...]
    content: PageContent

    @property
    def page(self) -> Path:
        """The HTML page."""
        return self.folder / "index.html"


def make_report(study_file: StudyFile, *, engine: Engine | None = None) -> Report:
    """Count the votes of a study and write its report into `<place>/report`.

    Args:
        study_file: the study.
        engine: the study's database; opened from the settings when not given.

    Raises:
        UserError: no database, no votes, or a vote that cannot be counted.
    """
    study, table = study_file.study, study_file.table("report", ReportTable)
    hits = study_file.table("hits", Hits)
    frame, unread, refused = _all_votes(study_file, table, engine)
    counted = without_rejected(frame)
    found = find(counted, table, seed=study.seed, check_question=hits.check_question)
    truth = read_truth(study.place)
    titles = {name: name for name in counted.frame["question"].unique()}
    titles |= {question.key: question.title for question in hits.questions}
    rows = read_manifest(study.place)
    kept = counted.frame[~counted.frame["worker"].isin(found.excluded)].reset_index(drop=True)
    content = PageContent(
        title=study.title,
        name=study.name,
        digest=study_file.digest,
        written_at=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        headlines=headlines(
            found.rates[:HEADLINES], titles=titles, level=table.level, simulated=bool(truth)
        ),
        found=found,
        table=table,
        examples=choose_examples(kept, rows, study.place, each=table.examples),
        questions=titles,
        rows=rows,
        truth=truth,
        checks=checks(truth, found.rates) if truth else (),
        notes=_notes(counted, unread, refused, found),
        scores=_scores(study_file, table, rows, kept),
        refused=refused,
        methods_text=methods_text(found, table),
    )
    folder = study.place / "report"
    return Report(folder, _write(content, folder), content)


def print_report(report: Report, console: Console | None = None) -> None:
    """Print a report's numbers to the terminal, and where its files lie."""
    console, content = console or Console(), report.content
    found, titles, level = content.found, content.questions, content.table.level
    if content.truth:
        console.print(Panel(_banner(content.truth), style="bold", border_style="yellow"))
    for sentence in content.headlines:
        console.print(f"• {sentence}", markup=False, highlight=False)
    for each in (
        *tables.terminal_grids(found.rates[:SHOWN], level=level),
        grids.ranking_grid(found.rankings, titles),
        grids.agreement_grid(found.agreement[:SHOWN], titles),
        grids.controls_grid(found.controls, titles),
        grids.sensitivity_grid(found.sensitivity[:SHOWN], titles),
        grids.scores_grid(content.scores.rates if content.scores else ()),
        grids.predictions_grid(content.scores.predictions if content.scores else (), titles),
    ):
        if each.body:
            console.print(grid.terminal(each, console.width))
    console.print(METHOD.format(level=tables.percent(level)), markup=False, highlight=False)
    for note in content.notes:
        console.print(f"Note: {note}", markup=False, highlight=False)
    for check in content.checks:
        console.print(_check_line(check), markup=False, highlight=False)
    console.print(f"The page: {report.page}", markup=False, highlight=False, soft_wrap=True)


def run(path: Path) -> None:
    """Make the report of a study file and print it."""
    print_report(make_report(read_study_file(path)))


def main(arguments: list[str] | None = None) -> int:
    """The script: one argument, the study file. Returns the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    console = Console(stderr=True)
    if len(arguments) != 1 or arguments[0] in ("-h", "--help"):
        console.print("usage: python analysis/report.py STUDY.toml", markup=False)
        return 0 if arguments[:1] in (["-h"], ["--help"]) else EXIT_USER
    try:
        run(Path(arguments[0]))
    except UserError as error:
        console.print(f"error: {error}", markup=False, highlight=False, soft_wrap=True)
        return EXIT_USER
    return 0


METHOD = (
    "Score: share of votes won plus half the share without a clear winner; 50 % is even. Its "
    "{level} interval is two-way clustered t, by comparison and by worker; the intervals of the "
    "shares are clustered alike, by Wilson's formula."
)


def _scores(
    study_file: StudyFile, table: ReportTable, rows: Sequence[ManifestRow], votes: pd.DataFrame
) -> Scores | None:
    if table.scores is None:
        return None
    scores = read_scores(table.scores, rows, base=study_file.path.parent)
    return analyse_scores(
        scores, votes, level=table.level, resamples=table.resamples, seed=study_file.study.seed
    )


def _all_votes(
    study_file: StudyFile, table: ReportTable, engine: Engine | None
) -> tuple[pd.DataFrame, int, tuple[RejectedRow, ...]]:
    """Every vote, how many assignments held none, and a file's rows that hold none."""
    study, base = study_file.study, study_file.path.parent
    if table.batch_results is not None:
        found = read_batch_results(table.batch_results, study.name, base=base)
        return found.frame, 0, found.rejected
    if table.votes is not None:
        found = read_vote_file(table.votes, study.name, base=base)
        return found.frame, 0, found.rejected
    engine = engine if engine is not None else study_database(study.place)
    frame = read_votes(engine, study.name, prompt_set=study_file.prompt_set)
    return frame, count_unread(engine, study.name), ()


def _notes(
    counted: CountedVotes, unread: int, refused: Sequence[RejectedRow], found: Findings
) -> tuple[str, ...]:
    notes, rates = [], found.rates
    if counted.rejected_votes:
        notes.append(
            f"{counted.rejected_votes} votes of {counted.rejected_assignments} rejected "
            "assignments were left out."
        )
    if unread:
        notes.append(f"{unread} submitted assignments held no vote that could be read.")
    if refused:
        notes.append(
            f"{len(refused):,} rows of the file hold no vote; rejected_rows.csv lists them. The "
            f"first: row {refused[0].row}, {refused[0].reason}."
        )
    out = flagged(found.workers)
    if found.excluded:
        notes.append(
            f"{found.excluded_votes:,} votes of {len(found.excluded)} flagged workers were left "
            "out, as report.exclude_flagged = true asks."
        )
    elif out:
        notes.append(
            f"{len(out)} of {len(found.workers)} workers are flagged; their votes count. "
            "report.exclude_flagged = true would leave them out."
        )
    notes += _uneven(tables.pairs(rates))
    if len(rates) > HEADLINES:
        notes.append(
            f"Of {len(rates)} rates the first {HEADLINES} have a headline and the first {SHOWN} a "
            "place in the figure and the terminal; the page's tables and the files have all."
        )
    notes += [f"{each.question}: no ranking. {each.reason}" for each in found.unranked]
    if len(rates) > 1:
        notes.append(
            f"The intervals are not adjusted for there being {len(rates)} of them; the p values "
            "are, by Holm's method."
        )
    return tuple(notes)


def _uneven(rates: Sequence[PreferenceRate]) -> list[str]:
    """Where every vote counting alike gives another score than every comparison."""
    notes = [
        f"{rate.question}, {rate.method_a} vs {rate.method_b}: comparisons have unequal numbers of "
        f"votes. With every vote counting alike the score is {100 * rate.vote_score:.1f} %."
        for rate in rates
        if abs(rate.vote_score - rate.score.value) > UNEVEN
    ]
    more = len(notes) - UNEVEN_SHOWN
    if more > 0:
        notes[UNEVEN_SHOWN:] = [
            f"So have {more} further rates: score_every_vote_alike in rates.csv has their scores."
        ]
    return notes


def _write(content: PageContent, folder: Path) -> tuple[Path, ...]:
    folder.mkdir(parents=True, exist_ok=True)
    found, level = content.found, content.table.level
    drawn = {
        "figure": figures.rates_figure(found.rates[:SHOWN], level=level, titles=content.questions)
    }
    if found.rankings:
        drawn["ranking"] = figures.ranking_figure(found.rankings, content.questions)
    shown = {name: figures.svg(figure) for name, figure in drawn.items()}
    texts = {
        "index.html": render(content, shown["figure"], shown.get("ranking", "")),
        "rates.csv": tables.rates_frame((*found.rates, *found.parts)).to_csv(index=False),
        "workers.csv": workers_frame(found.workers).to_csv(index=False),
        "rejected_rows.csv": pd.DataFrame(
            [asdict(row) for row in content.refused], columns=["row", "reason"]
        ).to_csv(index=False),
        "rates.tex": tables.latex(found.rates),
        "ranking.tex": grid.latex(grids.ranking_grid(found.rankings, content.questions)),
        "report.json": json.dumps(_kept(content), indent=1, allow_nan=False) + "\n",
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    saved = [path for name, each in drawn.items() for path in figures.save(each, folder, name)]
    return (*(folder / name for name in texts), *saved)


def _kept(content: PageContent) -> dict[str, Any]:
    """Every number of the report, for `report.json`."""
    return {
        "study": content.name,
        "study_file_sha256": content.digest,
        "written_at": content.written_at,
        "simulated": content.truth is not None,
        "settings": content.table.model_dump(mode="json"),
        "headlines": content.headlines,
        **asdict(content.found),
        "scores": asdict(content.scores) if content.scores else None,
        "planted": [asdict(check) for check in content.checks],
        "notes": content.notes,
    }


def _banner(truth: Truth) -> str:
    return (
        f"SIMULATED VOTES. No person voted: {truth.careful + truth.careless} programs stood in "
        f"for workers ({truth.careful} careful, {truth.careless} careless)."
    )


def _check_line(check: Check) -> str:
    held = {True: "inside the interval", False: "OUTSIDE the interval", None: "no interval"}
    return (
        f"Planted, {check.question}, {check.what}: {100 * check.planted:.1f} %, estimated "
        f"{100 * check.estimate:.1f} % ({100 * check.difference:+.1f} points, "
        f"{held[check.inside]})."
    )


if __name__ == "__main__":
    sys.exit(main())
