"""Votes that someone else collected."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from analysis.report import make_report
from analysis.settings import VoteFile
from analysis.vote_file import read_vote_file
from analysis.votes import VotesError
from generation.study import StudyError, read_study_file

MAPPING = VoteFile(
    file="votes.csv",
    columns={"worker": "annotator", "comparison": "item", "choice": "label"},
    places=["left", "right"],
    question="overall",
    choices={"A": "1", "B": "2", "same": "none"},
)
ROWS = [
    ("i1", "ann", "x", "y", "A"),
    ("i1", "ben", "y", "x", "A"),
    ("i1", "eve", "x", "y", "same"),
    ("i2", "ann", "y", "x", "B"),
    ("i2", "ben", "x", "y", "A"),
    ("i2", "eve", "x", "y", "y"),
]


def write(folder: Path, rows: list[tuple[str, ...]], name: str = "votes.csv") -> None:
    frame = pd.DataFrame(rows, columns=["item", "annotator", "left", "right", "label"])
    if name.endswith(".parquet"):
        frame.to_parquet(folder / name)
    else:
        frame.to_csv(folder / name, index=False)


@pytest.mark.parametrize("name", ["votes.csv", "votes.parquet"])
def test_labels_mean_methods_whatever_the_side(tmp_path: Path, name: str) -> None:
    write(tmp_path, ROWS, name)
    found = read_vote_file(MAPPING.model_copy(update={"file": name}), "others", base=tmp_path)
    assert list(found.frame["choice"]) == ["x", "y", "none", "x", "x", "y"]
    assert set(found.frame["methods"]) == {"x|y"}
    assert not set(found.frame["worker"]) & {"ann", "ben", "eve"}
    assert found.rejected == ()


def test_rows_without_a_vote_are_listed_with_their_reason(tmp_path: Path) -> None:
    rows = [
        *ROWS,
        ("i3", "", "x", "y", "A"),
        ("", "ann", "x", "y", ""),
        ("i1", "ann", "x", "y", "B"),
    ]
    write(tmp_path, rows)
    found = read_vote_file(MAPPING, "others", base=tmp_path)
    assert len(found.frame) == 6
    assert [(each.row, each.reason) for each in found.rejected] == [
        (8, "no worker"),
        (9, "no comparison, no choice"),
        (10, "this worker's second answer to the question on this comparison"),
    ]


def test_a_repeat_is_no_second_answer(tmp_path: Path) -> None:
    rows = [(*row, "vote") for row in ROWS] + [("i1", "ann", "y", "x", "B", "repeat")]
    names = ["item", "annotator", "left", "right", "label", "kind"]
    pd.DataFrame(rows, columns=names).to_csv(tmp_path / "votes.csv", index=False)
    columns = {**MAPPING.columns, "check": "kind"}
    table = MAPPING.model_copy(update={"columns": columns})
    found = read_vote_file(table, "others", base=tmp_path)
    assert found.rejected == ()
    assert (found.frame["check"] == "repeat").sum() == 1


def test_an_unknown_label_is_an_error_with_its_row_never_a_tie(tmp_path: Path) -> None:
    write(tmp_path, [*ROWS, ("i3", "", "x", "y", "A"), ("i3", "ann", "x", "y", "C")])
    with pytest.raises(VotesError, match=r"row 9: unknown choice 'C'.*report.votes.choices"):
        read_vote_file(MAPPING, "others", base=tmp_path)


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    write(tmp_path, ROWS)
    wrong = MAPPING.model_copy(update={"columns": {**MAPPING.columns, "worker": "anotator"}})
    with pytest.raises(VotesError, match=r"'anotator'.*annotator"):
        read_vote_file(wrong, "others", base=tmp_path)
    with pytest.raises(VotesError, match="cannot be read"):
        read_vote_file(MAPPING.model_copy(update={"file": "no.csv"}), "others", base=tmp_path)


def test_a_report_from_a_file_alone(tmp_path: Path) -> None:
    write(tmp_path, [*ROWS, ("i3", "", "x", "y", "A")])
    path = tmp_path / "others.toml"
    text = (
        f'[study]\nname = "others"\ntitle = "Others"\nfolder = "{tmp_path / "out"}"\n'
        '[report.votes]\nfile = "votes.csv"\nplaces = ["left", "right"]\nquestion = "overall"\n'
        '[report.votes.columns]\nworker = "annotator"\ncomparison = "item"\nchoice = "label"\n'
        '[report.votes.choices]\nA = "1"\nB = "2"\nsame = "none"\n'
    )
    path.write_text(text)
    report = make_report(read_study_file(path))
    (rate,) = report.content.found.rates
    assert (rate.basis.votes, rate.score.value) == (6, pytest.approx((0.5 + 2 / 3) / 2))
    assert any("1 rows of the file hold no vote" in note for note in report.content.notes)
    assert pd.read_csv(report.folder / "rejected_rows.csv")["row"].tolist() == [8]
    path.write_text(text.replace("worker =", "wrker ="))
    with pytest.raises(StudyError, match="'wrker' is no column of votes"):
        make_report(read_study_file(path))
