"""Past studies, from the batch-results CSV of Amazon's requester site."""

from __future__ import annotations

import csv
from datetime import UTC, datetime
from pathlib import Path

import pytest

from analysis.batch_results import read_batch_results, read_time
from analysis.report import make_report
from analysis.settings import BatchResults
from analysis.votes import VotesError
from generation.study import StudyError, read_study_file

STUDY = """
[study]
name = "past"
title = "A past study"
seed = 1
folder = "run"
[generation.prompts]
kind = "scenes"
count = 1
[generation.methods.cfg]
kind = "cfg"
[generation.methods.answer]
kind = "answer"
[report.batch_results]
file = "Batch_1_batch_results.csv"
prompt = "Input.caption"
places = ["Input.left", "Input.right"]
questions = { correctness = "Answer.q1", appeal = "Answer.q2" }
choices = { left = "1", right = "2", same = "none" }
"""
HEAD = [
    "HITId", "HITTypeId", "Title", "Reward", "AssignmentId", "WorkerId", "AssignmentStatus",
    "AcceptTime", "SubmitTime", "Input.caption", "Input.left", "Input.right", "Answer.q1",
    "Answer.q2", "Approve", "Reject",
]  # fmt: skip
TIME = "Mon Nov 23 12:34:56 PST 2020"


def row(number: int, **changes: str) -> dict[str, str]:
    values = dict.fromkeys(HEAD, "")
    values |= {
        "HITId": f"3HIT{number // 4}",
        "AssignmentId": f"3A{number}",
        "WorkerId": f"AW{number % 4}",
        "AssignmentStatus": "Approved",
        "SubmitTime": TIME,
        "Input.caption": f"caption {number // 4}",
        "Input.left": "cfg" if number % 2 else "answer",
        "Input.right": "answer" if number % 2 else "cfg",
        "Answer.q1": "left" if number % 2 else "right",
        "Answer.q2": "same",
    }
    return values | {name.replace("__", "."): text for name, text in changes.items()}


def write(folder: Path, rows: list[dict[str, str]]) -> None:
    (folder / "past.toml").write_text(STUDY.replace('"run"', f'"{folder}/run"'))
    with (folder / "Batch_1_batch_results.csv").open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.DictWriter(file, HEAD)
        writer.writeheader()
        writer.writerows(rows)


def test_a_past_study_gets_a_report(tmp_path: Path) -> None:
    """Everybody chooses CFG, on whichever side it stood; blank rows and rejected ones are told."""
    rows = [row(number) for number in range(40)]
    rows.insert(3, dict.fromkeys(HEAD, ""))
    rows[10] |= {"AssignmentStatus": "Rejected"}
    write(tmp_path, rows)
    report = make_report(read_study_file(tmp_path / "past.toml"))
    assert any("2 votes of 1 rejected" in note for note in report.content.notes)
    rates = {rate.question: rate for rate in report.content.found.rates}
    assert set(rates) == {"correctness", "appeal"}
    text = " ".join(report.content.headlines)
    assert "100" in text
    assert report.page.exists()


def test_the_frame_is_one_of_votes(tmp_path: Path) -> None:
    write(tmp_path, [row(n) for n in range(8)])
    table = BatchResults(
        file="Batch_1_batch_results.csv",
        prompt="Input.caption",
        places=["Input.left", "Input.right"],
        questions={"correctness": "Answer.q1"},
        choices={"left": "1", "right": "2", "same": "none"},
    )
    frame = read_batch_results(table, "past", base=tmp_path).frame
    assert len(frame) == 8
    assert frame["comparison"].nunique() == 2
    assert set(frame["choice"]) == {"cfg"}
    assert set(frame["methods"]) == {"answer|cfg"}
    assert frame["worker"].nunique() == 4
    assert not frame["worker"].str.contains("AW").any()


def test_rows_without_a_vote_are_listed_with_their_reason(tmp_path: Path) -> None:
    rows = [row(n) for n in range(8)]
    rows[1] |= {"AssignmentStatus": "Rejected"}
    rows[3] |= {"Answer.q2": " "}
    rows.insert(4, dict.fromkeys(HEAD, ""))
    # The same people judge the first caption again, in another HIT.
    rows += [row(0, AssignmentId="3B0", HITId="3HIT9"), row(1, AssignmentId="3B1", HITId="3HIT9")]
    write(tmp_path, rows)
    report = make_report(read_study_file(tmp_path / "past.toml"))
    found = [(each.row, each.reason) for each in report.content.refused]
    second = "this worker's second answer to the question on this comparison"
    # What was rejected does not stand in the way of row 12.
    assert found == [(5, "no answer to appeal"), (6, "no assignment"), (11, second), (11, second)]
    votes = {rate.question: rate.basis.votes for rate in report.content.found.rates}
    assert votes == {"correctness": 8, "appeal": 7}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"Answer__q1": "leftt"}, "'left'"),
        ({"SubmitTime": "2020-11-23"}, "SubmitTime"),
        ({"AssignmentStatus": "Aproved"}, "Approved"),
        ({"AssignmentId": "3A1"}, "twice"),
        ({"Input__left": "cfg", "Input__right": "cfg"}, "different"),
    ],
)
def test_what_has_no_meaning_is_an_error(
    tmp_path: Path, changes: dict[str, str], said: str
) -> None:
    write(tmp_path, [row(0, **changes), row(1), row(2)])
    with pytest.raises(VotesError, match=said):
        make_report(read_study_file(tmp_path / "past.toml"))


def test_a_missing_column_is_named_with_the_nearest(tmp_path: Path) -> None:
    write(tmp_path, [row(0)])
    file = tmp_path / "past.toml"
    file.write_text(file.read_text().replace("Answer.q1", "Answer.Q1"))
    with pytest.raises(VotesError, match=r"Answer\.q1"):
        make_report(read_study_file(file))
    file.write_text(file.read_text().replace('"none" }', '"tie" }'))
    with pytest.raises(StudyError, match="tie"):
        make_report(read_study_file(file))


def test_times_of_the_requester_site() -> None:
    assert read_time(TIME) == datetime(2020, 11, 23, 20, 34, 56, tzinfo=UTC)
    assert read_time("Sat Jul 04 01:02:03 PDT 2020") == datetime(2020, 7, 4, 8, 2, 3, tzinfo=UTC)
    assert read_time("") is None
    with pytest.raises(ValueError, match="no time"):
        read_time("Mon Nov 23 12:34:56 XYZ 2020")
