"""Saving answers while a worker works, and noticing who left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, insert, update
from sqlalchemy.orm import Session

from hit_server.database import execute_rows
from hit_server.drawn import Drawn
from hit_server.reading import read_answer
from hit_server.records import Placement, Record, SavedAnswer

# Written without the session's objects: pages do this most, while all other writers wait.
_TABLES = Record.metadata.tables
_SAVED = _TABLES[SavedAnswer.__tablename__]
_PLACEMENTS = _TABLES[Placement.__tablename__]
_INSERT = insert(_SAVED).inline()
_UPDATE = update(_SAVED).where(_SAVED.c.id == bindparam("kept"))
_SEEN = (
    update(_PLACEMENTS)
    .where(_PLACEMENTS.c.id == bindparam("placement"))
    .values(seen_at=bindparam("at"), left_at=None)
)


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
    new, changed = [], []
    for each in drawn:
        for question in each.questions:
            label = fields.get(f"{each.number}.{question}")
            if label is None:
                continue
            answer = read_answer(each, question, fields)
            kept = each.saved.get(question)
            if kept is not None and kept.label == label and answer.milliseconds is None:
                continue  # a page that was loaded again did not time what it shows answered
            values: dict[str, Any] = {
                "label": label,
                "milliseconds": answer.milliseconds,
                "conditions": answer.conditions,
                "saved_at": at,
            }
            if kept is None:
                new.append({"placement_id": each.id, "question": question} | values)
            else:
                changed.append({"kept": kept.id} | values)
    execute_rows(connection, _INSERT, new)
    execute_rows(connection, _UPDATE, changed)
    execute_rows(connection, _SEEN, [{"placement": each.id, "at": at} for each in drawn])


def leave(session: Session, drawn: Sequence[Drawn | Placement], *, at: datetime) -> None:
    """Note that a page was closed. Loading it again, or answering, takes that back."""
    closed = [each.id for each in drawn]
    session.execute(update(Placement).where(Placement.id.in_(closed)).values(left_at=at))
    session.commit()
