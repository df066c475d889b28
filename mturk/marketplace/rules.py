"""The state machines of HITs and assignments, and the money that they move."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from sqlalchemy import func, select
from sqlalchemy.orm import Session, object_session

from mturk.marketplace import events
from mturk.marketplace.errors import ApiError
from mturk.marketplace.records import MarketAssignment, MarketHit, Message, Requester, Worker

OVERRIDE_TIME = timedelta(days=30)


def counts(session: Session, hit: MarketHit) -> dict[str, int]:
    """Assignments of a HIT by status."""
    rows = session.execute(
        select(MarketAssignment.status, func.count())
        .where(MarketAssignment.hit_record_id == hit.id)
        .group_by(MarketAssignment.status)
    )
    return {row[0]: row[1] for row in rows}


def hit_status(hit: MarketHit, by_status: dict[str, int], now: datetime) -> str:
    """Assignable, Unassignable, Reviewable, Reviewing or Disposed."""
    if hit.disposed:
        return "Disposed"
    pending = by_status.get("Accepted", 0)
    taken = sum(by_status.values())
    finished = taken >= hit.max_assignments or hit.expires_at <= now
    if finished and pending == 0:
        return "Reviewing" if hit.reviewing else "Reviewable"
    return "Unassignable" if finished else "Assignable"


def approve(
    session: Session, assignment: MarketAssignment, feedback: str | None, now: datetime
) -> None:
    """Pay a submitted assignment out of what was set aside for it.

    Raises:
        ApiError: it is not Submitted.
    """
    _must_be_submitted(assignment)
    assignment.status, assignment.approved_at = "Approved", now
    assignment.feedback = feedback
    events.raise_event(session, assignment.hit, "AssignmentApproved", now, assignment)


def reject(session: Session, assignment: MarketAssignment, feedback: str, now: datetime) -> None:
    """Refuse to pay an assignment; what was set aside for it comes back.

    Raises:
        ApiError: it is not Submitted.
    """
    _must_be_submitted(assignment)
    assignment.status, assignment.rejected_at = "Rejected", now
    assignment.feedback = feedback
    give_back(assignment.hit.hit_type.requester, assignment.hit.unit_cost)
    events.raise_event(session, assignment.hit, "AssignmentRejected", now, assignment)


def override_rejection(
    session: Session, assignment: MarketAssignment, feedback: str | None, now: datetime
) -> None:
    """Pay an assignment that was rejected at most 30 days ago.

    Raises:
        ApiError: that was longer ago, the HIT is disposed of, or money lacks.
    """
    late = assignment.rejected_at is None or now - assignment.rejected_at > OVERRIDE_TIME
    if late or assignment.hit.disposed:
        raise _wrong_state(
            assignment, "a rejection can be overridden for 30 days, while the HIT is there"
        )
    reserve(assignment.hit.hit_type.requester, assignment.hit.unit_cost)
    assignment.status, assignment.approved_at = "Approved", now
    assignment.rejected_at, assignment.feedback = None, feedback
    events.raise_event(session, assignment.hit, "AssignmentApproved", now, assignment)


def dispose(session: Session, hit: MarketHit, now: datetime) -> None:
    """Give back what no assignment used, and show the HIT no more."""
    unused = hit.max_assignments - sum(counts(session, hit).values())
    give_back(hit.hit_type.requester, unused * hit.unit_cost)
    hit.disposed = True
    events.raise_event(session, hit, "HITDisposed", now)


def reserve(requester: Requester, amount: Decimal) -> None:
    """Set money aside.

    Raises:
        ApiError: the account holds less.
    """
    _lock(requester)
    if amount > requester.balance:
        raise ApiError(
            f"This requester does not have sufficient funds in their account to complete this "
            f"transaction: ${amount} needed, ${requester.balance} available.",
            "InsufficientFunds",
        )
    requester.balance -= amount


def give_back(requester: Requester, amount: Decimal) -> None:
    """Put money that was set aside back into the account."""
    _lock(requester)
    requester.balance += amount


def tell_worker(
    session: Session, worker: Worker, sender: str, message: tuple[str, str], now: datetime
) -> None:
    """Put a message (subject, text) into a worker's inbox on the worker site."""
    subject, text = message
    session.add(
        Message(worker_record_id=worker.id, sender=sender, subject=subject, text=text, sent_at=now)
    )


def _lock(requester: Requester) -> None:
    """Read the balance as it is now, and let nobody else change it before this is done."""
    session = object_session(requester)
    assert session is not None
    session.flush()
    session.refresh(requester, ["balance"], with_for_update=True)


def _must_be_submitted(assignment: MarketAssignment) -> None:
    if assignment.status != "Submitted":
        raise _wrong_state(assignment, "it must be Submitted")


def _wrong_state(assignment: MarketAssignment, rule: str) -> ApiError:
    return ApiError(
        f"This Assignment is currently in the state '{assignment.status}': {rule}.",
        "InvalidAssignmentState",
    )
