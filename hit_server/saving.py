"""Saving answers while a worker works, and noticing who left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from hit_server.reading import read_answer
from hit_server.records import Placement, SavedAnswer
from hit_server.reserving import submitted


class TooLate(Exception):
    """The assignment was submitted: what it holds does not change any more."""


def save(
    session: Session, placements: Sequence[Placement], fields: Mapping[str, str], *, at: datetime
) -> None:
    """Keep the answers that a form holds so far; sending them again changes nothing.

    Args:
        session: of the study's database.
        placements: of the assignment, locked.
        fields: as the page's form names them; questions that are open are left out.
        at: the present.

    Raises:
        TooLate: the assignment was submitted.
        Unreadable: an answer is none of the choices; nothing is kept then.
    """
    if submitted(session, placements[0]):
        raise TooLate("This assignment was submitted. It counts once, as it was.")
    for placement in placements:
        saved = {each.question: each for each in placement.saved}
        for question in placement.questions:
            label = fields.get(f"{placement.number}.{question}")
            if label is None:
                continue
            answer = read_answer(placement, question, fields)
            kept = saved.get(question)
            if kept is not None and kept.label == label and answer.milliseconds is None:
                continue  # a page that was loaded again did not time what it shows answered
            if kept is None:
                kept = SavedAnswer(placement_id=placement.id, question=question)
                session.add(kept)
            kept.label, kept.milliseconds = label, answer.milliseconds
            kept.conditions, kept.saved_at = answer.conditions, at
        placement.seen_at, placement.left_at = at, None
    session.commit()


def leave(session: Session, placements: Sequence[Placement], *, at: datetime) -> None:
    """Note that a page was closed. Loading it again, or answering, takes that back."""
    for placement in placements:
        placement.left_at = at
    session.commit()
