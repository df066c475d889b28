"""A HIT as its page needs it, with what its study says at this moment: one question, one row."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, Text, bindparam, cast, select

from hit_server.drawn import MINE
from hit_server.hits import Hits, hits_of_record, hits_of_text
from hit_server.records import Hit, Placement, StudyRecord

# Built once, and of columns: loading records as objects takes five times as long as asking.
_HITS, _STUDIES = Hit.__table__, StudyRecord.__table__
_SHOWN_BY = _HITS.alias()
_P = Placement.__table__.c
_OTHERS = (
    select(_P.assignment_id)
    .distinct()
    .join(_SHOWN_BY, _P.hit_record_id == _SHOWN_BY.c.id)
    .where(
        _P.worker_id == bindparam("worker"),
        _P.assignment_id != bindparam("assignment"),
        _P.released_at.is_(None),
    )
)
_TASK = (
    select(
        _HITS.c.id,
        _HITS.c.study_id,
        _HITS.c.hit_id,
        _HITS.c.pooled,
        _HITS.c.duration_s,
        _STUDIES.c.seed,
        _STUDIES.c.votes_wanted,
        cast(_STUDIES.c.hits, Text),
        select(_P.id).where(MINE).exists(),
        _OTHERS.where(_SHOWN_BY.c.study_id == _HITS.c.study_id).exists(),
    )
    .join(_STUDIES, _HITS.c.study_id == _STUDIES.c.id)
    .where(_HITS.c.public_id == bindparam("name"))
)
_COUNTED = _OTHERS.where(_SHOWN_BY.c.study_id == bindparam("study")).limit(bindparam("most"))


@dataclass(frozen=True, slots=True)
class Task:
    """A HIT and its study as they are now."""

    hits: Hits
    id: int
    study_id: int
    hit_id: str | None
    """The crowd's id; none while only intended."""
    pooled: bool
    duration_s: int
    seed: int
    votes_wanted: int


@dataclass(frozen=True, slots=True)
class Arrival:
    """A worker's assignment before a HIT's page."""

    task: Task
    assignment_id: str
    worker_id: str
    drawn: bool = False
    """Whether something was drawn for the assignment before."""
    others: bool = False
    """Whether the worker has opened another assignment of the study and not given it back."""


def find_arrival(
    connection: Connection, public_id: str, assignment_id: str, worker_id: str
) -> Arrival | None:
    """A HIT by the name in its page's address, and what matters of who opens it."""
    names = {"name": public_id, "assignment": assignment_id, "worker": worker_id}
    row = connection.execute(_TASK, names).one_or_none()
    if row is None:
        return None
    *columns, hits, drawn, others = row
    task = Task(hits_of_text(hits), *columns)
    return Arrival(task, assignment_id, worker_id, drawn, others)


def task_of(hit: Hit) -> Task:
    """A HIT's record as its page needs it."""
    study = hit.study
    return Task(
        hits_of_record(study.hits),
        hit.id,
        hit.study_id,
        hit.hit_id,
        hit.pooled,
        hit.duration_s,
        study.seed,
        study.votes_wanted,
    )


def others_opened(connection: Connection, arrival: Arrival, *, most: int) -> int:
    """How many other assignments of a study a worker has opened and not given back.

    Counting ends at `most`.
    """
    names = {
        "study": arrival.task.study_id,
        "assignment": arrival.assignment_id,
        "worker": arrival.worker_id,
        "most": most,
    }
    return len(connection.execute(_COUNTED, names).all())
