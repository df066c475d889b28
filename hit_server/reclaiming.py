"""Slots taken back from those who, as far as anybody can know, are gone.

The crowd does not tell who returned a HIT or let its time run out. What is read here is read
rarely, so it comes as records.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from hit_server.drawn import SUBMITTED
from hit_server.records import Comparison, Placement
from hit_server.tasks import Task

GRACE = timedelta(minutes=5)
"""After an assignment's time ran out, before its slots are taken back."""


class NotYours(Exception):
    """The assignment is another worker's, who has submitted it."""


def release(session: Session, placement: Placement, at: datetime) -> None:
    """Give a placement's slot back."""
    if placement.released_at is None:
        placement.released_at = at
        if placement.kind == "vote":
            placement.comparison.reserved = Comparison.reserved - 1
        session.flush()


def take_from_others(
    session: Session, others: Collection[int], assignment_id: str, at: datetime
) -> None:
    """Release what the same assignment, or the same worker with this HIT before, had reserved.

    A crowd may give the id of a returned assignment to the next worker; and a worker who comes
    again to the same HIT under a new id has returned it.

    Raises:
        NotYours: somebody else has submitted this assignment.
    """
    query = select(Placement, SUBMITTED).where(Placement.id.in_(others))
    for placement, submitted in session.execute(query.order_by(Placement.number)).all():
        if submitted:
            if placement.assignment_id == assignment_id:
                raise NotYours("This assignment was submitted by another worker.")
            continue
        release(session, placement, at)


def reclaim_expired(session: Session, task: Task, at: datetime) -> int:
    """Take back what was reserved for assignments whose time is over and nothing was saved."""
    gone = [
        each
        for each in session.scalars(_held(task).where(Placement.reserved_until < at - GRACE))
        if not _answered(each)
    ]
    for placement in gone:
        release(session, placement, at)
    return len(gone)


def likely_gone(session: Session, task: Task, worker_id: str) -> Placement | None:
    """Whose slot a further worker takes when all are taken.

    The crowd sends as many workers as there are slots. When all are reserved and one more worker
    comes, somebody has gone without a word.
    """
    wanted = select(func.count(Comparison.id) * task.votes_wanted, func.sum(Comparison.reserved))
    slots, reserved = session.execute(wanted.where(Comparison.study_id == task.study_id)).one()
    if reserved < slots:
        return None
    open_ones = session.scalars(
        _held(task).where(Placement.comparison_id.not_in(own_votes(worker_id, task)))
    ).all()
    return _stalest(open_ones)


def reclaim_slot(session: Session, task: Task, comparison_id: int, at: datetime) -> int | None:
    """Take a comparison's slot from who is gone most likely; none when nobody can be."""
    held = session.scalars(_held(task).where(Placement.comparison_id == comparison_id)).all()
    over = [each for each in held if each.reserved_until < at - GRACE]
    gone = _stalest(over or held)
    if gone is None or gone.slot is None:
        return None
    release(session, gone, at)
    return gone.slot


def own_votes(worker_id: str, task: Task) -> Any:
    """Comparisons of the study that a worker has, or had and judged."""
    return (
        select(Placement.comparison_id)
        .join(Comparison)
        .where(
            Comparison.study_id == task.study_id,
            Placement.worker_id == worker_id,
            Placement.kind == "vote",
            Placement.released_at.is_(None),
        )
    )


def _held(task: Task) -> Any:
    """Placements that hold a slot and whose assignment was not submitted as far as known."""
    return (
        select(Placement)
        .join(Comparison)
        .where(
            Comparison.study_id == task.study_id,
            Placement.kind == "vote",
            Placement.released_at.is_(None),
            ~SUBMITTED,
        )
    )


def _stalest(placements: Sequence[Placement]) -> Placement | None:
    """Whose page was closed unfinished; else the unfinished one that was seen longest ago."""

    def rank(placement: Placement) -> tuple[bool, bool, datetime]:
        return _answered(placement), placement.left_at is None, placement.seen_at

    return min(placements, key=rank, default=None)


def _answered(placement: Placement) -> bool:
    return len(placement.saved) >= len(placement.questions)
