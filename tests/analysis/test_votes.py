"""The vote frame: from records, from CSV, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sqlalchemy import update

from analysis.votes import (
    VOTE_COLUMNS,
    VotesError,
    checked,
    count_unread,
    read_vote_table,
    read_votes,
    without_rejected,
)
from hit_server.records import Assignment, Vote

Make = Callable[..., Any]


def test_one_row_a_vote_in_the_declared_columns(make_study: Make) -> None:
    study = make_study(prompts=2, workers=3)
    frame = read_votes(study.engine, "small")
    assert len(frame) == 2 * 2 * 3 * 2
    assert list(frame.columns) == [column.name for column in VOTE_COLUMNS]
    assert [str(dtype) for dtype in frame.dtypes] == [column.dtype for column in VOTE_COLUMNS]
    assert frame["worker"].nunique() == 3
    assert not frame["worker"].str.contains("WORKER").any()


def test_hashes_hold_under_one_key_only(make_study: Make) -> None:
    study = make_study(prompts=1, workers=2)
    one, same, other = (
        read_votes(study.engine, "small", key=key)["worker"][0] for key in (b"k", b"k", b"other")
    )
    assert one == same != other


def test_csv_gives_the_same_frame_back(make_study: Make, tmp_path: Path) -> None:
    frame = read_votes(make_study(prompts=2, workers=2).engine, "small")
    frame.to_csv(tmp_path / "votes.csv", index=False)
    pd.testing.assert_frame_equal(read_vote_table(tmp_path / "votes.csv"), frame)


def test_rejected_assignments_are_left_out_and_counted(make_study: Make) -> None:
    study = make_study(prompts=2, workers=3)
    counted = without_rejected(read_votes(study.engine, "small"))
    assert (counted.rejected_votes, counted.rejected_assignments) == (4, 2)
    assert len(counted.frame) == 24 - 4
    assert set(counted.frame["status"]) == {"Approved"}


def test_an_unknown_choice_in_the_database_is_named(make_study: Make) -> None:
    study = make_study(prompts=1, workers=2)
    with study.engine.begin() as connection:
        connection.execute(update(Vote).where(Vote.id == 1).values(choice="tie"))
    with pytest.raises(VotesError, match=r"unknown choice 'tie'.*Known: cfg, dnp, none"):
        read_votes(study.engine, "small")


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("choice", "cgf", "unknown choice 'cgf'. Did you mean 'cfg'"),
        ("choice", "None", "unknown choice 'None'"),
        ("choice", "", "unknown choice ''"),
        ("places", "cfg|answer", "places 'cfg|answer' are not the methods"),
        ("methods", "cfg", "two or three different names"),
        ("status", "approved", "unknown status 'approved'"),
        ("seed", "zero", "column 'seed'"),
        ("submitted_at", "yesterday-ish", "column 'submitted_at'"),
        ("worker", None, "column 'worker' has an empty cell"),
    ],
)
def test_what_has_no_meaning_is_refused(
    frame_of: Any, column: str, value: Any, message: str
) -> None:
    frame = frame_of([("p", "a", "cfg"), ("q", "a", "dnp")]).astype(object)
    frame.loc[1, column] = value
    with pytest.raises(VotesError) as caught:
        checked(frame)
    assert message in str(caught.value)


def test_a_missing_column_is_named(frame_of: Any) -> None:
    with pytest.raises(VotesError, match="no column 'choice'"):
        checked(frame_of([("p", "a", "cfg")]).drop(columns="choice"))


def test_missing_and_empty_studies(make_study: Make, tmp_path: Path) -> None:
    study = make_study(prompts=1, workers=1)
    with pytest.raises(VotesError, match=r"'smal' is not in this database\. Did you mean 'small'"):
        read_votes(study.engine, "smal")
    with study.engine.begin() as connection:
        connection.execute(Vote.__table__.delete())
    with pytest.raises(VotesError, match="no votes yet"):
        read_votes(study.engine, "small")
    with pytest.raises(VotesError, match="cannot be read"):
        read_vote_table(tmp_path / "absent.csv")


def test_unread_answers_are_counted(make_study: Make) -> None:
    study = make_study(prompts=1, workers=2)
    with study.engine.begin() as connection:
        connection.execute(update(Assignment).where(Assignment.id == 1).values(problem="empty"))
    assert count_unread(study.engine, "small") == 1
