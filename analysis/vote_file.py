"""Votes that someone else collected: a CSV or Parquet file, its columns mapped."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.settings import VoteFile
from analysis.votes import (
    JOIN,
    NONE,
    VOTE_COLUMNS,
    VotesError,
    checked,
    mapped,
    pseudonym,
    read_table,
)
from generation.study import nearest

NEEDED = ("comparison", "question", "places", "choice", "worker")
ROW = "row"
SEPARATOR = "\n"


@dataclass(frozen=True)
class RejectedRow:
    """A row that holds no vote."""

    row: int
    """Where it stands in the file: the header is row 1."""
    reason: str


@dataclass(frozen=True)
class FileVotes:
    """The votes of a file, and the rows that hold none."""

    frame: pd.DataFrame
    rejected: tuple[RejectedRow, ...]


def read_vote_file(table: VoteFile, study: str, *, base: Path) -> FileVotes:
    """Read the votes that `[report.votes]` describes.

    Rows without a worker, comparison, question or answer, and a worker's later answers to the same
    question on the same comparison, are rejected and listed. A label without a meaning is an error.

    Args:
        table: what the columns and labels mean.
        study: name of the study.
        base: the folder to which the file is relative.

    Raises:
        VotesError: the file cannot be read, a column is missing, or a label is unknown.
    """
    path = base / table.file
    frame = _mapped(read_table(path), table, path)
    frame[ROW] = range(2, len(frame) + 2)
    rejected = _empty(frame)
    frame = frame[~frame[ROW].isin([each.row for each in rejected])]
    frame, again = without_second_answers(frame)
    frame = frame.reset_index(drop=True)
    if frame.empty:
        raise VotesError(f"{path}: all {len(rejected)} rows were rejected: {rejected[0].reason}.")
    votes = _completed(frame, table, study, path)
    return FileVotes(
        checked(votes, where=str(path)),
        tuple(sorted((*rejected, *again), key=lambda each: each.row)),
    )


def _mapped(found: pd.DataFrame, table: VoteFile, path: Path) -> pd.DataFrame:
    """The columns under this software's names; places joined from several columns."""
    for name, column in table.columns.items():
        if column not in found.columns:
            raise VotesError(
                f"{path}: no column {column!r}, which report.votes.columns.{name} names."
                f"{nearest(column, list(found.columns))}"
            )
    for column in table.places:
        if column not in found.columns:
            hint = nearest(column, list(found.columns))
            raise VotesError(f"{path}: no column {column!r}, a place of report.votes.{hint}")
    known = [column.name for column in VOTE_COLUMNS]
    frame = found[[name for name in known if name in found.columns]].copy()
    for name, column in table.columns.items():
        frame[name] = found[column]
    if table.places:
        named = found[table.places].astype("string").fillna("")
        frame["places"] = [JOIN.join(filter(None, row)) for row in named.itertuples(index=False)]
    if table.question is not None:
        frame["question"] = table.question
    for name in NEEDED:
        if name not in frame:
            raise VotesError(
                f"{path}: no column {name!r}: name it in report.votes.columns."
                f"{nearest(name, list(found.columns))}"
            )
    text = [
        str(name) for name in frame if name not in ("milliseconds", "accepted_at", "submitted_at")
    ]
    frame[text] = frame[text].astype("string").fillna("")
    return frame


def _empty(frame: pd.DataFrame) -> list[RejectedRow]:
    found: dict[int, list[str]] = {}
    for name in NEEDED:
        for row in frame.loc[frame[name].str.strip() == "", ROW]:
            found.setdefault(int(row), []).append(name)
    return [RejectedRow(row, f"no {', no '.join(names)}") for row, names in sorted(found.items())]


def without_second_answers(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[RejectedRow]]:
    """Leave out a worker's later answers to a question on the same comparison, and list them.

    Checks may be answered again, and what was rejected does not stand in a later answer's way.

    Args:
        frame: of votes, with a column `row`; `check` and `status` where they are known.
    """
    counts = pd.Series(True, index=frame.index)
    if "check" in frame:
        counts &= frame["check"] == "vote"
    if "status" in frame:
        counts &= frame["status"] != "Rejected"
    of_those = frame.loc[counts]
    later = of_those[of_those.duplicated(["comparison", "question", "worker"])]
    why = "this worker's second answer to the question on this comparison"
    return frame.drop(index=later.index), [RejectedRow(int(row), why) for row in later[ROW]]


def _completed(frame: pd.DataFrame, table: VoteFile, study: str, path: Path) -> pd.DataFrame:
    """With what the file leaves out made from what it holds, and worker names hashed."""
    frame = frame.assign(study=study)
    if "methods" not in frame:
        frame["methods"] = mapped(frame["places"], lambda each: JOIN.join(sorted(each.split(JOIN))))
    if "prompt_id" not in frame:
        frame["prompt_id"] = frame["comparison"]
    frame["choice"] = _choices(frame, table, path)
    key = secrets.token_bytes(32)
    frame["worker"] = mapped(frame["worker"], lambda each: pseudonym(key, each))
    if "assignment" in frame:
        frame["assignment"] = mapped(frame["assignment"], lambda each: pseudonym(key, each))
    else:
        frame["assignment"] = frame["comparison"] + JOIN + frame["worker"]
    return frame.drop(columns=ROW)


def _choices(frame: pd.DataFrame, table: VoteFile, path: Path) -> pd.Series[str]:
    """What each label means: a method that was shown, or "none"."""
    asked = frame["places"] + SEPARATOR + frame["choice"]

    def meaning(text: str) -> str:
        places, label = text.split(SEPARATOR, 1)
        names = places.split(JOIN)
        found = table.choices.get(label.strip(), label.strip())
        if found.isdecimal() and found not in names and 1 <= int(found) <= len(names):
            return names[int(found) - 1]
        if found in (*names, NONE):
            return found
        row = frame[ROW].iloc[int(np.argmax(asked == text))]
        raise VotesError(
            f"{path}, row {row}: unknown choice {label[:60]!r} on {places!r}. Say what it means "
            f"in report.votes.choices.{nearest(label, [*table.choices, *names, NONE])}"
        )

    return mapped(asked, meaning)
