"""Votes as one tidy frame, from the study's database or a CSV file: one row a vote."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from generation.study import UserError, nearest
from hit_server.records import Assignment, Comparison, Hit, StudyRecord, Vote

NONE = "none"
"""The choice "no clear winner"."""
JOIN = "|"
"""Between the method names of one cell."""
STATUSES = ("Submitted", "Approved", "Rejected")


class VotesError(UserError):
    """The votes are missing, or hold a value that has no meaning in this study."""


@dataclass(frozen=True)
class Column:
    """A column of the vote frame."""

    name: str
    dtype: str
    description: str


VOTE_COLUMNS = (
    Column("study", "string", "name of the study"),
    Column("comparison", "string", "public id of the comparison"),
    Column("prompt_id", "string", "id of the prompt"),
    Column("prompt", "string", "the prompt as workers read it"),
    Column("category", "string", "category of the prompt, empty when it has none"),
    Column("seed", "Int64", "seed of the images' starting noise"),
    Column("question", "string", "key of the question"),
    Column("methods", "string", "methods that meet, in the study file's order, joined by |"),
    Column("places", "string", "methods from the first place shown to the last, joined by |"),
    Column("choice", "string", "the method chosen, or none for no clear winner"),
    Column("worker", "string", "keyed hash of the worker's id, never the id"),
    Column("assignment", "string", "keyed hash of the assignment's id"),
    Column("milliseconds", "Int64", "from shown to answered; empty when not measured"),
    Column("status", "string", "Submitted, Approved or Rejected, as last seen"),
    Column("submitted_at", "datetime64[us, UTC]", "when the assignment was submitted"),
)


@dataclass(frozen=True)
class CountedVotes:
    """The votes that count, and how many were left out because they were rejected."""

    frame: pd.DataFrame
    rejected_votes: int
    rejected_assignments: int


def read_votes(
    source: Session | Engine, study_name: str, *, key: bytes | None = None
) -> pd.DataFrame:
    """Read all votes of a study, rejected ones included, checked.

    Args:
        source: an open session, or an engine.
        study_name: name of the study.
        key: of the hashes that stand for workers and assignments. Without one a random key is
            drawn, so that hashes hold within this frame only and lead back to nobody.

    Raises:
        VotesError: the study is unknown here, has no votes, or a vote has an unknown label.
    """
    if isinstance(source, Engine):
        with Session(source) as session:
            return read_votes(session, study_name, key=key)
    study = _study_id(source, study_name)
    key = key or secrets.token_bytes(32)
    rows = source.execute(
        select(Vote, Assignment, Comparison)
        .join(Assignment, Vote.assignment_record_id == Assignment.id)
        .join(Comparison, Vote.comparison_id == Comparison.id)
        .where(Comparison.study_id == study, Vote.kind == "vote")
        .order_by(Comparison.id, Vote.id)
    ).all()
    if not rows:
        raise VotesError(f"study {study_name!r} has no votes yet. Run `clearwinner collect`.")
    table = [_row(study_name, vote, given, of, key) for vote, given, of in rows]
    return checked(pd.DataFrame(table, columns=[column.name for column in VOTE_COLUMNS]))


def count_unread(source: Session | Engine, study_name: str) -> int:
    """How many assignments were submitted from whose answer no vote could be read."""
    if isinstance(source, Engine):
        with Session(source) as session:
            return count_unread(session, study_name)
    query = (
        select(func.count(Assignment.id))
        .join(Hit, Assignment.hit_record_id == Hit.id)
        .where(Hit.study_id == _study_id(source, study_name))
        .where(Assignment.problem.is_not(None))
    )
    return source.execute(query).scalar_one()


def read_votes_csv(path: Path) -> pd.DataFrame:
    """Read a vote frame from a CSV file with the columns of `VOTE_COLUMNS`, checked.

    Raises:
        VotesError: the file cannot be read, a column is missing, or a label is unknown.
    """
    try:
        frame = pd.read_csv(path, dtype="string", keep_default_na=False)
    except (OSError, ValueError) as error:
        raise VotesError(f"{path}: cannot be read as a table of votes: {error}.") from None
    return checked(frame, where=str(path))


def checked(frame: pd.DataFrame, *, where: str = "votes") -> pd.DataFrame:
    """Give a frame of votes its columns and types, and check every label.

    Raises:
        VotesError: naming column, value and row. An unknown label is never taken for a tie.
    """
    for column in VOTE_COLUMNS:
        if column.name not in frame.columns:
            raise VotesError(
                f"{where}: no column {column.name!r}.{nearest(column.name, list(frame.columns))}"
            )
    if frame.empty:
        raise VotesError(f"{where}: there are no votes.")
    frame = frame[[column.name for column in VOTE_COLUMNS]].reset_index(drop=True)
    for column in VOTE_COLUMNS:
        frame[column.name] = _converted(frame[column.name], column, where)
    labels = frame[["methods", "places", "choice", "status"]].drop_duplicates()
    for number, methods, places, choice, status in labels.itertuples():
        _check_labels(f"{where}, row {number + 1}", methods, places, choice, status)
    return frame


def without_rejected(frame: pd.DataFrame) -> CountedVotes:
    """Leave out the votes of rejected assignments, and count them.

    Raises:
        VotesError: nothing is left.
    """
    rejected = frame["status"] == "Rejected"
    kept = frame[~rejected].reset_index(drop=True)
    if kept.empty:
        raise VotesError(f"all {len(frame)} votes belong to rejected assignments: none counts.")
    return CountedVotes(
        frame=kept,
        rejected_votes=int(rejected.sum()),
        rejected_assignments=int(frame.loc[rejected, "assignment"].nunique()),
    )


def _study_id(session: Session, name: str) -> int:
    found = session.execute(select(StudyRecord.id).where(StudyRecord.name == name)).scalar()
    if found is None:
        known = list(session.execute(select(StudyRecord.name)).scalars())
        hint = nearest(name, known) if known else " It holds no study: run `clearwinner launch`."
        raise VotesError(f"study {name!r} is not in this database.{hint}")
    return found


def _row(
    study: str, vote: Vote, assignment: Assignment, comparison: Comparison, key: bytes
) -> dict[str, Any]:
    return {
        "study": study,
        "comparison": comparison.public_id,
        "prompt_id": comparison.prompt_id,
        "prompt": comparison.prompt,
        "category": comparison.category,
        "seed": comparison.seed,
        "question": vote.question,
        "methods": JOIN.join(comparison.methods),
        "places": JOIN.join(vote.places),
        "choice": vote.choice,
        "worker": pseudonym(key, assignment.worker_id),
        "assignment": pseudonym(key, assignment.assignment_id),
        "milliseconds": vote.milliseconds,
        "status": assignment.status,
        "submitted_at": assignment.submitted_at,
    }


def pseudonym(key: bytes, text: str) -> str:
    """A keyed hash that stands for a worker or an assignment."""
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()[:16]


def _converted(values: pd.Series[Any], column: Column, where: str) -> pd.Series[Any]:
    try:
        if column.dtype.startswith("datetime"):
            return pd.to_datetime(values.replace("", None), utc=True).astype("datetime64[us, UTC]")
        if column.dtype == "Int64":
            return pd.to_numeric(values.replace("", None)).astype("Int64")
    except (ValueError, TypeError) as error:
        raise VotesError(f"{where}: column {column.name!r}: {error}.") from None
    converted = values.astype("string")
    if converted.isna().any():
        raise VotesError(f"{where}: column {column.name!r} has an empty cell.")
    return converted


def _check_labels(where: str, methods: str, places: str, choice: str, status: str) -> None:
    names = methods.split(JOIN)
    if len(names) not in (2, 3) or len(set(names)) != len(names) or NONE in names:
        raise VotesError(f"{where}: methods {methods!r}: two or three different names must meet.")
    if sorted(places.split(JOIN)) != sorted(names):
        raise VotesError(f"{where}: places {places!r} are not the methods {methods!r}.")
    if choice not in (*names, NONE):
        raise VotesError(f"{where}: unknown choice {choice!r}.{nearest(choice, [*names, NONE])}")
    if status not in STATUSES:
        raise VotesError(f"{where}: unknown status {status!r}.{nearest(status, STATUSES)}")
