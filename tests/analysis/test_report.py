"""The report, end to end: from records to files."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from lxml import html
from rich.console import Console
from sqlalchemy import select
from sqlalchemy.orm import Session

from analysis.report import make_report, print_report
from analysis.votes import VotesError
from generation.study import StudyError, UserError, read_study_file
from hit_server.records import Assignment, Vote

ROOT = Path(__file__).resolve().parents[2]
Make = Callable[..., Any]


def printed(report: Any) -> str:
    console = Console(record=True, width=160, file=io.StringIO())
    print_report(report, console)
    return console.export_text()


def test_every_file_is_written_and_says_the_same(make_study: Make) -> None:
    study = make_study()
    report = make_report(study.file, engine=study.engine)
    names = {path.name for path in report.paths}
    assert names == {"index.html", "rates.csv", "rates.tex", "report.json", "figure.svg",
                     "workers.csv", "ranking.tex",
                     "rejected_rows.csv",
                     "figure.pdf", "figure.png",
                     "ranking.svg", "ranking.pdf", "ranking.png"}  # fmt: skip
    assert all(p.stat().st_size > 100 for p in report.paths if p.name != "rejected_rows.csv")
    rows = pd.read_csv(study.place / "report" / "rates.csv")
    assert len(rows) == 4
    assert not rows.filter(regex="share$|score$").isna().any().any()
    kept = json.loads((study.place / "report" / "report.json").read_text())
    assert [rate["score"]["value"] for rate in kept["rates"]] == pytest.approx(list(rows["score"]))
    assert kept["simulated"] is False
    assert "4 votes of 2 rejected assignments were left out" in printed(report)


def test_the_page_holds_everything_it_needs(make_study: Make) -> None:
    study = make_study()
    report = make_report(study.file, engine=study.engine)
    text = report.page.read_text()
    tree = html.fromstring(text)
    for name in ("src", "href"):
        addresses = [a for a in tree.xpath(f"//*/@{name}") if not a.startswith(("#", "data:"))]
        assert not addresses, "the page must not load anything"
    assert "nan" not in text.lower().replace("nano", "").split()
    assert len(tree.xpath("//article")) == 2 * 3 * 2
    assert len(tree.xpath("//article//img[starts-with(@src, 'data:image/png')]")) == 24
    assert not tree.xpath("//*[contains(@class, 'banner')]")
    assert "scale = 2.5" in text and "ddim" in text
    assert "WORKER" not in text, "no worker's id may be published"


def test_simulated_votes_are_called_simulated_everywhere(make_study: Make) -> None:
    study = make_study(truth=True)
    report = make_report(study.file, engine=study.engine)
    tree = html.fromstring(report.page.read_text())
    first = tree.xpath("//main/*")[0]
    assert "No person voted" in first.text_content()
    assert "1 careful, 1 careless" in first.text_content()
    assert "SIMULATED" in printed(report)
    assert all("simulated workers" in line for line in report.content.headlines)
    assert [check.planted for check in report.content.checks] == pytest.approx([0.52] * 4)
    assert json.loads((report.folder / "report.json").read_text())["simulated"] is True
    assert "planted truth" in tree.text_content().lower()


def test_a_broken_truth_is_refused_not_taken_for_people(make_study: Make) -> None:
    study = make_study()
    (study.place / "truth.json").write_text('{"simulated": true}')
    with pytest.raises(UserError, match=r"truth\.json"):
        make_report(study.file, engine=study.engine)


def test_three_images_side_by_side(make_study: Make) -> None:
    study = make_study(groups=[["cfg", "dnp", "answer"]])
    report = make_report(study.file, engine=study.engine)
    for rate in report.content.found.rates:
        assert sum(share.value for share in rate.shares) == pytest.approx(1)
    assert "three images side by side" in report.page.read_text()
    assert "Three images" in printed(report)


def test_prompts_are_escaped(make_study: Make) -> None:
    study = make_study(prompt="<script>alert(1)</script> & more")
    report = make_report(study.file, engine=study.engine)
    text = report.page.read_text()
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; more" in text
    assert "A &lt;small&gt; study" in text


def test_a_missing_image_and_manifest_are_said_not_hidden(make_study: Make) -> None:
    study = make_study()
    (study.place / "manifest.jsonl").unlink()
    text = make_report(study.file, engine=study.engine).page.read_text()
    assert "not found" in text and "no manifest" in text


def test_the_same_votes_give_the_same_numbers(make_study: Make) -> None:
    study = make_study()
    first = make_report(study.file, engine=study.engine)
    second = make_report(study.file, engine=study.engine)
    assert first.content.found.rates == second.content.found.rates
    assert first.content.found.rankings == second.content.found.rankings


def test_all_rejected_is_an_error(make_study: Make) -> None:
    study = make_study(prompts=1, workers=1)
    with pytest.raises(VotesError, match="all 4 votes belong to rejected"):
        make_report(study.file, engine=study.engine)


def test_a_wrong_report_table_names_the_key(make_study: Make) -> None:
    study = make_study()
    path = study.file.path
    path.write_text(path.read_text() + "exmples = 3\n")
    with pytest.raises(StudyError, match="Did you mean 'examples'"):
        make_report(read_study_file(path), engine=study.engine)


def script(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the script with Python told to see only installed libraries, not the packages."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("CLEARWINNER_")}
    return subprocess.run(
        [sys.executable, str(ROOT / "analysis" / "report.py"), *arguments],
        capture_output=True, text=True, cwd=folder, env=environment, timeout=120,
    )  # fmt: skip


@pytest.mark.slow
def test_the_script_reports_from_the_studys_own_database(make_study: Make, tmp_path: Path) -> None:
    study = make_study(truth=True)
    study.settle()
    done = script(str(study.file.path), folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "SIMULATED VOTES. No person voted" in done.stdout
    assert (study.place / "report" / "index.html").exists()


@pytest.mark.slow
def test_the_script_says_what_is_missing(make_study: Make, tmp_path: Path) -> None:
    study = make_study()
    for argument, message in (
        (str(study.file.path), "no votes yet"),
        ("absent.toml", "no such study file"),
    ):
        done = script(argument, folder=tmp_path)
        assert done.returncode == 2
        assert message in done.stderr
        assert "Traceback" not in done.stderr
    assert not (study.place / "study.sqlite3").exists(), "reporting must not make a database"


def test_a_report_can_be_written_over(make_study: Make) -> None:
    study = make_study()
    make_report(study.file, engine=study.engine)
    shutil.rmtree(study.place / "images")
    assert "not found" in make_report(study.file, engine=study.engine).page.read_text()


def test_the_page_says_whether_the_votes_can_be_trusted(make_study: Make) -> None:
    study = make_study(groups=[["cfg", "dnp"], ["cfg", "answer"]])
    report = make_report(study.file, engine=study.engine)
    tree = html.fromstring(report.page.read_text())
    regions = tree.xpath("//*[@role='region']/@aria-label")
    for name in (
        "Ranking",
        "Agreement of workers",
        "Position bias",
        "Workers",
        "The score under other choices",
        "Checks of the intervals",
        "Tests",
    ):
        assert f"{name}: table" in regions  # fmt: skip
    ranking = tree.xpath("//*[@aria-label='Ranking: table']//tbody/tr")
    assert len(ranking) == 2 * 3
    people = pd.read_csv(study.place / "report" / "workers.csv")
    assert sorted(people["votes"]) == [32] + [36] * 9, "one worker's 4 votes were rejected"
    kept = json.loads((study.place / "report" / "report.json").read_text())
    worths = [each["worth"] for each in kept["rankings"][0]["strengths"]]
    assert sum(worths) == pytest.approx(1)
    assert "Davidson" in report.content.methods_text


def test_checks_and_repeats_are_reported_apart_from_votes(make_study: Make) -> None:
    study = make_study(groups=[["cfg", "dnp"]])
    with Session(study.engine) as session:
        for number, given in enumerate(session.scalars(select(Assignment)).all()):
            vote = given.votes[0]
            shown = {
                "same": ("none" if number % 4 else "cfg", ["cfg", "cfg#copy"]),
                "repeat": (vote.choice, vote.places[::-1]),
            }
            for turn, (kind, (choice, places)) in enumerate(shown.items(), 2):
                given.votes.append(
                    Vote(comparison=vote.comparison, question=vote.question, choice=choice,
                         places=places, kind=kind, number=turn)
                )  # fmt: skip
        session.commit()
    report = make_report(study.file, engine=study.engine)
    found = {each.kind: each for each in report.content.found.controls}
    assert found["repeat"].right.value == 1.0
    assert 0.7 < found["same"].right.value < 0.8
    assert {rate.basis.votes for rate in report.content.found.rates} == {89}
    tree = html.fromstring(report.page.read_text())
    rows = tree.xpath("//*[@aria-label='Checks and repeats: table']//tbody/tr")
    assert len(rows) == 2
    assert "Checks and repeats" in printed(report)


def test_many_rates_stay_readable(tmp_path: Path) -> None:
    """Forty and more pairs of methods: the terminal and the notes say where the rest is."""
    names = [f"m{number:02}" for number in range(12)]
    pairs = [(one, other) for one in names for other in names if one < other]
    lines = [
        f"{one}{other}{item},{worker},{one},{other},{1 + (item + worker) % 2}"
        for one, other in pairs
        for item in range(2)
        for worker in range(3 - item)
    ]
    (tmp_path / "v.csv").write_text("comparison,worker,l,r,choice\n" + "\n".join(lines))
    path = tmp_path / "many.toml"
    path.write_text(
        f'[study]\nname = "many"\ntitle = "Many"\nfolder = "{tmp_path / "out"}"\n[report]\n'
        'resamples = 100\n[report.votes]\nfile = "v.csv"\nplaces = ["l", "r"]\nquestion = "q"\n'
    )
    report = make_report(read_study_file(path))
    assert len(report.content.found.rates) == len(pairs) == 66
    assert len(pd.read_csv(report.folder / "rates.csv")) == 66
    text = printed(report)
    assert text.count(" vs ") < 3 * 50
    assert "Of 66 rates the first 12 have a headline" in text
    assert "61 further rates" in text


def test_excluded_workers_are_left_out_and_counted(make_study: Make) -> None:
    study = make_study()
    text = study.file.path.read_text()
    study.file.path.write_text(
        text + "exclude_flagged = true\n[report.flags]\nmedian_seconds = 5\n"
    )
    with pytest.raises(VotesError, match="all 10 workers are flagged"):
        make_report(read_study_file(study.file.path), engine=study.engine)
    study.file.path.write_text(text + "exclude_flagged = true\n[report.flags]\nlongest_run = 6\n")
    report = make_report(read_study_file(study.file.path), engine=study.engine)
    found = report.content.found
    assert found.excluded
    assert sum(rate.basis.votes for rate in found.rates) == 356 - found.excluded_votes
    assert "flagged workers were left out" in printed(report)
    assert "exclusion rules" in report.content.methods_text
