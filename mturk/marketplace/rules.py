"""The state machines of HITs and assignments, and the money that they move."""

from __future__ import annotations

import secrets
import string
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import case, delete, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from generation.study import UserError
from mturk.answers import encode_answers
from mturk.marketplace.errors import ApiError
from mturk.marketplace.records import HitType, MarketAssignment, MarketHit, Requester, Worker
from mturk.qualifications import (
    APPROVED_HITS,
    APPROVED_PERCENT,
    LOCALE,
    MASTERS_PRODUCTION,
    MASTERS_SANDBOX,
)

COMPARATORS: dict[str, Callable[[Any, list[Any]], bool]] = {
    "LessThan": lambda value, wanted: value < wanted[0],
    "LessThanOrEqualTo": lambda value, wanted: value <= wanted[0],
    "GreaterThan": lambda value, wanted: value > wanted[0],
    "GreaterThanOrEqualTo": lambda value, wanted: value >= wanted[0],
    "EqualTo": lambda value, wanted: value == wanted[0],
    "NotEqualTo": lambda value, wanted: value != wanted[0],
    "In": lambda value, wanted: value in wanted,
    "NotIn": lambda value, wanted: value not in wanted,
}
FEW = 100
"""The approval percentage reads 100 until a worker has this many reviewed assignments."""
_LETTERS = string.ascii_uppercase + string.digits


class WorkRefused(UserError):
    """A worker cannot do this now; the message is shown to the worker."""


def new_id(prefix: str, length: int = 30) -> str:
    """A random id of capitals and digits."""
    return prefix + "".join(secrets.choice(_LETTERS) for _ in range(length - len(prefix)))


def settle(session: Session, now: datetime) -> None:
    """Bring everything up to a moment: abandoned work is given back, old work approved."""
    session.execute(
        delete(MarketAssignment).where(
            MarketAssignment.status == "Accepted", MarketAssignment.deadline <= now
        )
    )
    session.execute(
        update(MarketAssignment)
        .where(MarketAssignment.status == "Submitted", MarketAssignment.auto_approval_at <= now)
        .values(status="Approved", approved_at=MarketAssignment.auto_approval_at)
    )


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


def accept(session: Session, hit: MarketHit, worker: Worker, now: datetime) -> MarketAssignment:
    """Give a worker an assignment of a HIT; the one it holds already when it asks again.

    Raises:
        WorkRefused: none is left, the HIT expired, the worker did it before or may not.
    """
    # The row lock makes accepts wait for each other on PostgreSQL; SQLite has one writer.
    session.execute(select(MarketHit.id).where(MarketHit.id == hit.id).with_for_update())
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
    if hit_status(hit, counts(session, hit), now) != "Assignable":
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
        select(MarketAssignment).where(MarketAssignment.assignment_id == assignment_id)
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
    session.commit()
    return assignment


def give_back(session: Session, assignment: MarketAssignment) -> None:
    """Return an assignment: its place is free again."""
    if assignment.status != "Accepted":
        raise WorkRefused("Only work that was not submitted can be returned.")
    session.delete(assignment)
    session.commit()


def reserve(requester: Requester, amount: Decimal) -> None:
    """Set money aside.

    Raises:
        ApiError: the account holds less.
    """
    if amount > requester.balance:
        raise ApiError(
            f"This requester does not have sufficient funds in their account to complete this "
            f"transaction: ${amount} needed, ${requester.balance} available.",
            "InsufficientFunds",
        )
    requester.balance -= amount


def lacking(session: Session, hit_type: HitType, worker: Worker) -> str | None:
    """Why a worker does not meet a HIT's requirements; None when it does."""
    for requirement in hit_type.requirements:
        value = _value(session, worker, requirement["QualificationTypeId"])
        if not _meets(requirement, value):
            return _reason(requirement)
    return None


def standing(session: Session, worker: Worker) -> tuple[int, int]:
    """How many of a worker's assignments were approved, and how many rejected."""
    approved, rejected = session.execute(
        select(
            func.coalesce(func.sum(case((MarketAssignment.status == "Approved", 1), else_=0)), 0),
            func.coalesce(func.sum(case((MarketAssignment.status == "Rejected", 1), else_=0)), 0),
        ).where(MarketAssignment.worker_record_id == worker.id)
    ).one()
    return int(approved), int(rejected)


def _value(session: Session, worker: Worker, type_id: str) -> Any:
    """A worker's value of a built-in qualification; None when it has none."""
    if type_id in (MASTERS_SANDBOX, MASTERS_PRODUCTION):
        return 1 if worker.masters else None
    if type_id == LOCALE:
        return worker.country or None
    approved, rejected = standing(session, worker)
    if type_id == APPROVED_HITS:
        return approved
    if type_id == APPROVED_PERCENT:
        reviewed = approved + rejected
        return 100 if reviewed < FEW else approved * 100 // reviewed
    return None


def _meets(requirement: dict[str, Any], value: Any) -> bool:
    comparator = requirement["Comparator"]
    if comparator == "Exists":
        return value is not None
    if comparator == "DoesNotExist":
        return value is None
    if value is None:
        return False
    wanted = requirement.get("IntegerValues") or [
        locale["Country"] for locale in requirement.get("LocaleValues", [])
    ]
    if not wanted:
        return False
    return COMPARATORS[comparator](value, wanted)


def _reason(requirement: dict[str, Any]) -> str:
    names = {
        MASTERS_SANDBOX: "it is for Masters",
        MASTERS_PRODUCTION: "it is for Masters",
        LOCALE: "it is not offered in your country",
        APPROVED_HITS: "it asks for more approved work",
        APPROVED_PERCENT: "it asks for a higher approval rate",
    }
    return names.get(
        requirement["QualificationTypeId"], "you lack a qualification that it asks for"
    )
