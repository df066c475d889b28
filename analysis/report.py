"""`python analysis/report.py study.toml`: the votes as numbers, figures and one HTML page."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

if __package__ in (None, ""):
    # Run as a script, the first place Python looks is this folder: make it the repository.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import pandas as pd
from rich.console import Console
from rich.panel import Panel
from sqlalchemy import Engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from analysis import figures, tables
from analysis.agreement import Agreement, agreements
from analysis.batch_results import read_batch_results
from analysis.examples import choose_examples
from analysis.page import PageContent, render
from analysis.planted import Check, Truth, checks, read_truth
from analysis.rates import PreferenceRate, Rate, preference_rates
from analysis.settings import ReportTable
from analysis.votes import (
    CountedVotes,
    VotesError,
    count_unread,
    read_votes,
    without_rejected,
)
from analysis.wording import headline
from generation.manifest import read_manifest
from generation.study import StudyFile, UserError, read_study_file
from hit_server.database import open_database
from hit_server.hits import Hits
from hit_server.settings import Settings

EXIT_USER = 2
UNEVEN = 0.005
"""Difference between two ways of counting from which both are reported."""


@dataclass(frozen=True)
class Report:
    """A report that was written."""

    folder: Path
    paths: tuple[Path, ...]
    headlines: tuple[str, ...]
    rates: tuple[Rate, ...]
    level: float
    notes: tuple[str, ...]
    truth: Truth | None
    checks: tuple[Check, ...]
    agreement: tuple[Agreement, ...]

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
    titles = {q.key: q.title for q in study_file.table("hits", Hits).questions}
    frame, unread = _all_votes(study_file, table, engine)
    counted = without_rejected(frame)
    rates = preference_rates(
        counted.frame, resamples=table.resamples, level=table.level, seed=study.seed
    )
    agreement = agreements(
        counted.frame, resamples=table.resamples, level=table.level, seed=study.seed
    )
    truth = read_truth(study.place)
    voters = "simulated workers" if truth else "workers"
    headlines = tuple(
        headline(rate, title=titles.get(rate.question, rate.question), level=table.level,
                 voters=voters)
        for rate in rates
    )  # fmt: skip
    rows = read_manifest(study.place)
    notes = _notes(counted, unread, rates)
    content = PageContent(
        title=study.title,
        name=study.name,
        digest=study_file.digest,
        written_at=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        headlines=headlines,
        rates=rates,
        level=table.level,
        resamples=table.resamples,
        examples=choose_examples(counted.frame, rows, study.place, each=table.examples),
        questions={rate.question: titles.get(rate.question, rate.question) for rate in rates},
        rows=rows,
        truth=truth,
        checks=checks(truth, rates) if truth else (),
        notes=notes,
        agreement=agreement,
    )
    folder = study.place / "report"
    paths = _write(content, folder)
    shown = tuple(content.checks)
    return Report(folder, paths, headlines, rates, table.level, notes, truth, shown, agreement)


def print_report(report: Report, console: Console | None = None) -> None:
    """Print a report's numbers to the terminal, and where its files lie."""
    console = console or Console()
    if report.truth:
        console.print(Panel(_banner(report.truth), style="bold", border_style="yellow"))
    for sentence in report.headlines:
        console.print(f"• {sentence}", markup=False, highlight=False)
    for table in tables.terminal_tables(report.rates, level=report.level):
        console.print(table)
    console.print(tables.agreement_table(report.agreement))
    console.print(METHOD.format(level=tables.percent(report.level)), markup=False, highlight=False)
    for note in report.notes:
        console.print(f"Note: {note}", markup=False, highlight=False)
    for check in report.checks:
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


def _all_votes(
    study_file: StudyFile, table: ReportTable, engine: Engine | None
) -> tuple[pd.DataFrame, int]:
    """Every vote, and how many assignments held none: from our records, or from a file."""
    study = study_file.study
    if table.batch_results is not None:
        base = study_file.path.parent
        return read_batch_results(table.batch_results, study.name, base=base), 0
    engine = engine if engine is not None else _study_database(study.place)
    return read_votes(engine, study.name), count_unread(engine, study.name)


def _study_database(place: Path) -> Engine:
    url = Settings().database_url or f"sqlite:///{place / 'study.sqlite3'}"
    try:
        parsed = make_url(url)
    except ArgumentError:
        return open_database(url)  # says what is wrong with it
    if parsed.get_backend_name() == "sqlite" and not Path(parsed.database or "").is_file():
        raise VotesError(
            f"no database at {parsed.database}: the study has no votes yet. Run `clearwinner "
            "launch` and `clearwinner collect`, or set CLEARWINNER_DATABASE_URL."
        )
    return open_database(url)


def _notes(counted: CountedVotes, unread: int, rates: tuple[Rate, ...]) -> tuple[str, ...]:
    notes = []
    if counted.rejected_votes:
        notes.append(
            f"{counted.rejected_votes} votes of {counted.rejected_assignments} rejected "
            "assignments were left out."
        )
    if unread:
        notes.append(f"{unread} submitted assignments held no vote that could be read.")
    for rate in rates:
        uneven = isinstance(rate, PreferenceRate) and abs(rate.vote_score - rate.score.value)
        if isinstance(rate, PreferenceRate) and uneven > UNEVEN:
            notes.append(
                f"{rate.question}, {rate.method_a} vs {rate.method_b}: comparisons have unequal "
                f"numbers of votes. With every vote counting alike the score is "
                f"{100 * rate.vote_score:.1f} %."
            )
    if len(rates) > 1:
        notes.append(
            f"The intervals are not adjusted for there being {len(rates)} of them; the p values "
            "are, by Holm's method."
        )
    return tuple(notes)


def _write(content: PageContent, folder: Path) -> tuple[Path, ...]:
    folder.mkdir(parents=True, exist_ok=True)
    figure = figures.rates_figure(content.rates, level=content.level, titles=content.questions)
    csv, latex, page, numbers = (
        folder / name for name in ("rates.csv", "rates.tex", "index.html", "report.json")
    )
    tables.rates_frame(content.rates).to_csv(csv, index=False)
    latex.write_text(tables.latex(content.rates), encoding="utf-8")
    page.write_text(render(content, figures.svg(figure)), encoding="utf-8")
    kept = {
        "study": content.name,
        "study_file_sha256": content.digest,
        "written_at": content.written_at,
        "simulated": content.truth is not None,
        "level": content.level,
        "resamples": content.resamples,
        "headlines": content.headlines,
        "rates": [asdict(rate) for rate in content.rates],
        "agreement": [asdict(each) for each in content.agreement],
        "planted": [asdict(check) for check in content.checks],
        "notes": content.notes,
    }
    numbers.write_text(json.dumps(kept, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    return (page, csv, latex, numbers, *figures.save(figure, folder))


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
