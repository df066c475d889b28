"""What a worker does with a HIT: accept, submit, return."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from mturk.answers import encode_answers
from mturk.marketplace import events, rules
from mturk.marketplace.ids import new_id
from mturk.marketplace.records import MarketAssignment, MarketHit, Worker
from mturk.marketplace.refusals import WorkRefused
from mturk.marketplace.requirements import lacking
from mturk.marketplace.reviewing import review_assignment
from mturk.marketplace.settling import notice


def accept(session: Session, hit: MarketHit, worker: Worker, now: datetime) -> MarketAssignment:
    """Give a worker an assignment of a HIT; the one it holds already when it asks again.

    Raises:
        WorkRefused: none is left, the HIT expired, the worker did it before or may not.
    """
    # The row lock makes accepts wait for each other on PostgreSQL; SQLite has one writer.
    session.execute(select(MarketHit.id).where(MarketHit.id == hit.id).with_for_update())
    session.refresh(hit)
    own = session.scalar(
        select(MarketAssignment).where(
            MarketAssignment.hit_record_id == hit.id,
            MarketAssignment.worker_record_id == worker.id,
        )
    )
    if own is not None:
        if own.status == "Accepted":
            return own
        raise WorkRefused("You have done this HIT already. Choose another one.")
    if reason := lacking(session, hit.hit_type, worker):
        raise WorkRefused(f"You cannot accept this HIT: {reason}.")
    if rules.hit_status(hit, rules.counts(session, hit), now) != "Assignable":
        raise WorkRefused("No assignment of this HIT is left. Choose another one.")
    assignment = MarketAssignment(
        assignment_id=new_id("3"),
        hit_record_id=hit.id,
        worker_record_id=worker.id,
        status="Accepted",
        accepted_at=now,
        deadline=now + timedelta(seconds=hit.hit_type.duration_s),
    )
    session.add(assignment)
    events.raise_event(session, hit, "AssignmentAccepted", now, assignment)
    try:
        session.commit()
    except IntegrityError:
        session.rollback()
        raise WorkRefused("You have accepted this HIT in another window.") from None
    return assignment


def submit(
    session: Session, assignment_id: str, fields: dict[str, str], now: datetime
) -> MarketAssignment:
    """Take a worker's answer.

    Raises:
        WorkRefused: there is no such open assignment, or no answer.
    """
    assignment = session.scalar(
        select(MarketAssignment)
        .where(MarketAssignment.assignment_id == assignment_id)
        .with_for_update()
    )
    if assignment is None:
        raise WorkRefused("This assignment was returned, its time ran out, or it never was.")
    if assignment.status != "Accepted":
        raise WorkRefused("This assignment was submitted before. It counts once.")
    if not fields:
        raise WorkRefused("The form holds no answer besides assignmentId.")
    assignment.answer = encode_answers(fields)
    assignment.status, assignment.submitted_at = "Submitted", now
    delay = timedelta(seconds=assignment.hit.hit_type.auto_approval_s)
    assignment.auto_approval_at = now + delay
    session.flush()
    events.raise_event(session, assignment.hit, "AssignmentSubmitted", now, assignment)
    review_assignment(session, assignment, now)
    session.flush()
    notice(session, assignment.hit, now)
    session.commit()
    return assignment


def give_back(session: Session, assignment: MarketAssignment, now: datetime) -> None:
    """Return an assignment: its place is free again.

    Raises:
        WorkRefused: it was submitted.
    """
    if assignment.status != "Accepted":
        raise WorkRefused("Only work that was not submitted can be returned.")
    hit = assignment.hit
    events.raise_event(session, hit, "AssignmentReturned", now, assignment)
    session.delete(assignment)
    session.flush()
    notice(session, hit, now)
    session.commit()
