"""Votes as one tidy frame, from the study's database or a CSV file: one row a vote."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable
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
CHECKS = ("vote", "same", "distractor", "repeat")


class VotesError(UserError):
    """The votes are missing, or hold a value that has no meaning in this study."""


@dataclass(frozen=True)
class Column:
    """A column of the vote frame."""

    name: str
    dtype: str
    description: str
    default: str | None = None
    """What stands for a column that a file lacks; None where it must not."""


VOTE_COLUMNS = (
    Column("study", "string", "name of the study", ""),
    Column("prompt_set", "string", "the set that the prompt is from, empty when not known", ""),
    Column("comparison", "string", "public id of the comparison"),
    Column("prompt_id", "string", "id of the prompt"),
    Column("prompt", "string", "the prompt as workers read it", ""),
    Column("category", "string", "category of the prompt, empty when it has none", ""),
    Column("seed", "Int64", "seed of the images' starting noise", "0"),
    Column("question", "string", "key of the question"),
    Column("methods", "string", "methods that meet, in the study file's order, joined by |"),
    Column("places", "string", "methods from the first place shown to the last, joined by |"),
    Column("choice", "string", "the method chosen, or none for no clear winner"),
    Column("worker", "string", "keyed hash of the worker's id, never the id"),
    Column("assignment", "string", "keyed hash of the assignment's id"),
    Column("milliseconds", "Int64", "from shown to answered; empty when not measured", ""),
    Column("check", "string", "vote; or a check: same, distractor, repeat", "vote"),
    Column("status", "string", "Submitted, Approved or Rejected, as last seen", "Approved"),
    Column("accepted_at", "datetime64[us, UTC]", "when the assignment was accepted", ""),
    Column("submitted_at", "datetime64[us, UTC]", "when the assignment was submitted", ""),
)


_COLUMNS = (
    Comparison.public_id.label("comparison"),
    Comparison.prompt_id,
    Comparison.prompt,
    Comparison.category,
    Comparison.seed,
    Vote.question,
    Comparison.methods,
    Vote.places,
    Vote.choice,
    Assignment.worker_id.label("worker"),
    Assignment.assignment_id.label("assignment"),
    Vote.milliseconds,
    Vote.kind.label("check"),
    Assignment.status,
    Assignment.accepted_at,
    Assignment.submitted_at,
)


@dataclass(frozen=True)
class CountedVotes:
    """The votes that count, and how many were left out because they were rejected."""

    frame: pd.DataFrame
    checks: pd.DataFrame
    """Answers to check comparisons and repeats: no votes, but they tell of workers."""
    rejected_votes: int
    rejected_assignments: int


def read_votes(
    source: Session | Engine,
    study_name: str,
    *,
    key: bytes | None = None,
    prompt_set: str = "",
) -> pd.DataFrame:
    """Read all answers of a study, rejected ones and checks included, checked.

    Args:
        source: an open session, or an engine.
        study_name: name of the study.
        key: of the hashes that stand for workers and assignments. Without one a random key is
            drawn, so that hashes hold within this frame only and lead back to nobody.
        prompt_set: that the study's prompts are from.

    Raises:
        VotesError: the study is unknown here, has no votes, or a vote has an unknown label.
    """
    if isinstance(source, Engine):
        with Session(source) as session:
            return read_votes(session, study_name, key=key, prompt_set=prompt_set)
    study = _study_id(source, study_name)
    key = key or secrets.token_bytes(32)
    rows = source.execute(
        select(*_COLUMNS)
        .join(Assignment, Vote.assignment_record_id == Assignment.id)
        .join(Comparison, Vote.comparison_id == Comparison.id)
        .where(Comparison.study_id == study)
        .order_by(Comparison.id, Vote.id)
    ).all()
    if not rows:
        raise VotesError(f"study {study_name!r} has no votes yet. Run `clearwinner collect`.")
    frame = pd.DataFrame(rows, columns=[column.key for column in _COLUMNS])
    frame["study"], frame["prompt_set"] = study_name, prompt_set
    for name in ("methods", "places"):
        frame[name] = frame[name].map(JOIN.join)
    for name in ("worker", "assignment"):
        frame[name] = mapped(frame[name], lambda each: pseudonym(key, each))
    return checked(frame)


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


def read_vote_table(path: Path) -> pd.DataFrame:
    """Read a vote frame from a CSV or Parquet file with the columns of `VOTE_COLUMNS`, checked.

    Raises:
        VotesError: the file cannot be read, a column is missing, or a label is unknown.
    """
    return checked(read_table(path), where=str(path))


def read_table(path: Path) -> pd.DataFrame:
    """Read a Parquet file, or a CSV file as text.

    Raises:
        VotesError: it cannot be read.
    """
    try:
        if path.suffix == ".parquet":
            return pd.read_parquet(path)
        return pd.read_csv(path, dtype="string", keep_default_na=False, encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise VotesError(f"{path}: cannot be read as a table: {error}.") from None


def checked(frame: pd.DataFrame, *, where: str = "votes") -> pd.DataFrame:
    """Give a frame of votes its columns and types, and check every label.

    Raises:
        VotesError: naming column, value and row. An unknown label is never taken for a tie.
    """
    for column in VOTE_COLUMNS:
        if column.name not in frame.columns and column.default is not None:
            frame = frame.assign(**{column.name: column.default})
        elif column.name not in frame.columns:
            raise VotesError(
                f"{where}: no column {column.name!r}.{nearest(column.name, list(frame.columns))}"
            )
    if frame.empty:
        raise VotesError(f"{where}: there are no votes.")
    frame = frame[[column.name for column in VOTE_COLUMNS]].reset_index(drop=True)
    for column in VOTE_COLUMNS:
        frame[column.name] = _converted(frame[column.name], column, where)
    labels = frame[["methods", "places", "choice", "status", "check"]].drop_duplicates()
    for number, methods, places, choice, status, check in labels.itertuples():
        row = f"{where}, row {number + 1}"
        if check not in CHECKS:
            raise VotesError(f"{row}: unknown check {check!r}.{nearest(check, CHECKS)}")
        # What a check shows is not only the methods that meet.
        _check_labels(row, methods, places if check in ("vote", "repeat") else methods, status)
        _check_choice(row, choice, places)
    return frame


def without_rejected(frame: pd.DataFrame) -> CountedVotes:
    """Leave out the votes of rejected assignments, and count them; put checks apart.

    Raises:
        VotesError: nothing is left.
    """
    votes = frame["check"] == "vote"
    checks = frame[~votes & (frame["status"] != "Rejected")].reset_index(drop=True)
    frame = frame[votes]
    rejected = frame["status"] == "Rejected"
    kept = frame[~rejected].reset_index(drop=True)
    if kept.empty:
        raise VotesError(f"all {len(frame)} votes belong to rejected assignments: none counts.")
    return CountedVotes(
        frame=kept,
        checks=checks,
        rejected_votes=int(rejected.sum()),
        rejected_assignments=int(frame.loc[rejected, "assignment"].nunique()),
    )


def mapped(values: pd.Series[str], meaning: Callable[[str], str]) -> pd.Series[str]:
    """Each value's meaning, asked for once a value: for columns that repeat a few."""
    codes, known = pd.factorize(values)
    meanings = pd.array([meaning(str(each)) for each in known], dtype="string")
    return pd.Series(meanings.take(codes), index=values.index)


def _study_id(session: Session, name: str) -> int:
    found = session.execute(select(StudyRecord.id).where(StudyRecord.name == name)).scalar()
    if found is None:
        known = list(session.execute(select(StudyRecord.name)).scalars())
        hint = nearest(name, known) if known else " It holds no study: run `clearwinner launch`."
        raise VotesError(f"study {name!r} is not in this database.{hint}")
    return found


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


def _check_labels(where: str, methods: str, places: str, status: str) -> None:
    names = methods.split(JOIN)
    if len(names) not in (2, 3) or len(set(names)) != len(names) or NONE in names:
        raise VotesError(f"{where}: methods {methods!r}: two or three different names must meet.")
    if sorted(places.split(JOIN)) != sorted(names):
        raise VotesError(f"{where}: places {places!r} are not the methods {methods!r}.")
    if status not in STATUSES:
        raise VotesError(f"{where}: unknown status {status!r}.{nearest(status, STATUSES)}")


def _check_choice(where: str, choice: str, places: str) -> None:
    known = [*sorted(places.split(JOIN)), NONE]
    if choice not in known:
        raise VotesError(f"{where}: unknown choice {choice!r}.{nearest(choice, known)}")
