"""Saving answers while a worker works, and noticing who left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Executable, bindparam, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from hit_server.database import execute_rows
from hit_server.drawn import Drawn
from hit_server.reading import read_answer
from hit_server.records import Placement, Record, SavedAnswer

# Written without the session's objects: pages do this most, while all other writers wait.
_TABLES = Record.metadata.tables
_SAVED = _TABLES[SavedAnswer.__tablename__]
_PLACEMENTS = _TABLES[Placement.__tablename__]
_ANSWER = ("label", "milliseconds", "conditions", "saved_at")
_SEEN = (
    update(_PLACEMENTS)
    .where(_PLACEMENTS.c.id == bindparam("placement"))
    .values(seen_at=bindparam("at"), left_at=None)
)


def _upsert(insert: Any) -> Executable:
    """Insert answers; one that is there already, perhaps since a moment ago, is changed."""
    statement = insert(_SAVED).inline()
    changed = {name: statement.excluded[name] for name in _ANSWER}
    found: Executable = statement.on_conflict_do_update(
        index_elements=["placement_id", "question"], set_=changed
    )
    return found


_KEEP = {"sqlite": _upsert(sqlite.insert), "postgresql": _upsert(postgresql.insert)}


class TooLate(Exception):
    """The assignment was submitted: what it holds does not change any more."""


def save(
    connection: Connection, drawn: Sequence[Drawn], fields: Mapping[str, str], *, at: datetime
) -> None:
    """Keep the answers that a form holds so far; sending them again changes nothing.

    Args:
        connection: to the study's database, in a transaction.
        drawn: for the assignment, locked.
        fields: as the page's form names them; questions that are open are left out.
        at: the present.

    Raises:
        TooLate: the assignment was submitted.
        Unreadable: an answer is none of the choices; nothing is kept then.
    """
    if drawn[0].submitted:
        raise TooLate("This assignment was submitted. It counts once, as it was.")
    answers = []
    for each in drawn:
        for question in each.questions:
            label = fields.get(f"{each.number}.{question}")
            if label is None:
                continue
            answer = read_answer(each, question, fields)
            if each.saved.get(question) == label and answer.milliseconds is None:
                continue  # a page that was loaded again did not time what it shows answered
            values = (label, answer.milliseconds, answer.conditions, at)
            named = {"placement_id": each.id, "question": question}
            answers.append(named | dict(zip(_ANSWER, values, strict=True)))
    execute_rows(connection, _KEEP[connection.dialect.name], answers)
    execute_rows(connection, _SEEN, [{"placement": each.id, "at": at} for each in drawn])


def leave(session: Session, drawn: Sequence[Drawn | Placement], *, at: datetime) -> None:
    """Note that a page was closed. Loading it again, or answering, takes that back."""
    closed = [each.id for each in drawn]
    session.execute(update(Placement).where(Placement.id.in_(closed)).values(left_at=at))
    session.commit()
