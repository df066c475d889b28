"""Qualifications: what workers have, what they ask for, and the tests that they take."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from mturk.answers import encode_answers
from mturk.marketplace.answer_keys import score
from mturk.marketplace.ids import new_id
from mturk.marketplace.records import (
    MarketAssignment,
    Qualification,
    QualificationRequest,
    QualificationType,
    Worker,
)
from mturk.marketplace.refusals import WorkRefused
from mturk.qualifications import (
    ADULT,
    APPROVED_HITS,
    APPROVED_PERCENT,
    LOCALE,
    MASTERS_PRODUCTION,
    MASTERS_SANDBOX,
)

BUILT_IN = {
    MASTERS_SANDBOX: "Masters (sandbox)",
    MASTERS_PRODUCTION: "Masters",
    APPROVED_PERCENT: "Percentage of assignments approved",
    APPROVED_HITS: "Number of HITs approved",
    LOCALE: "Location",
    ADULT: "Adult content",
}
FEW = 100
"""The approval percentage reads 100 until a worker has this many reviewed assignments."""


def standing(session: Session, worker: Worker) -> tuple[int, int]:
    """How many of a worker's assignments were approved, and how many rejected."""
    approved, rejected = session.execute(
        select(
            func.coalesce(func.sum(case((MarketAssignment.status == "Approved", 1), else_=0)), 0),
            func.coalesce(func.sum(case((MarketAssignment.status == "Rejected", 1), else_=0)), 0),
        ).where(MarketAssignment.worker_record_id == worker.id)
    ).one()
    return int(approved), int(rejected)


def value_of(session: Session, worker: Worker, type_id: str) -> Any:
    """A worker's value of a qualification; None when it has none."""
    if type_id in (MASTERS_SANDBOX, MASTERS_PRODUCTION):
        return 1 if worker.masters else None
    if type_id == LOCALE:
        return (worker.country, worker.subdivision) if worker.country else None
    if type_id == ADULT:
        return 1 if worker.adult else None
    if type_id in (APPROVED_HITS, APPROVED_PERCENT):
        approved, rejected = standing(session, worker)
        reviewed = approved + rejected
        if type_id == APPROVED_HITS:
            return approved
        return 100 if reviewed < FEW else approved * 100 // reviewed
    return session.scalar(
        select(Qualification.value)
        .join(QualificationType)
        .where(
            QualificationType.type_id == type_id,
            Qualification.worker_record_id == worker.id,
            Qualification.granted,
        )
    )


def grant(
    session: Session, kind: QualificationType, worker: Worker, value: int, now: datetime
) -> None:
    """Give a worker a qualification; one that it has or had gets this value."""
    held = session.scalar(
        select(Qualification).where(
            Qualification.type_record_id == kind.id, Qualification.worker_record_id == worker.id
        )
    )
    if held is None:
        held = Qualification(type_record_id=kind.id, worker_record_id=worker.id)
        session.add(held)
    held.value, held.granted, held.granted_at = value, True, now
    session.flush()


def ask(
    session: Session, kind: QualificationType, worker: Worker, now: datetime
) -> QualificationRequest:
    """A worker asks for a qualification: granted, waiting, or its test begins.

    Raises:
        WorkRefused: the type takes no requests, or this worker has asked before.
    """
    # One request after the other: two windows must not both begin.
    session.execute(select(Worker.id).where(Worker.id == worker.id).with_for_update())
    if kind.deleted or not kind.active:
        raise WorkRefused("This qualification cannot be requested now.")
    last = session.scalar(
        select(QualificationRequest)
        .where(
            QualificationRequest.type_record_id == kind.id,
            QualificationRequest.worker_record_id == worker.id,
        )
        .order_by(QualificationRequest.id.desc())
    )
    if last is not None:
        if last.status == "Taking":
            return last
        _may_ask_again(kind, last, now)
    asked = QualificationRequest(
        request_id=new_id("3"),
        kind=kind,
        worker=worker,
        status="Taking" if kind.test else "Pending",
        begun_at=now,
        test=kind.test,
    )
    session.add(asked)
    if kind.auto_granted:
        asked.status, asked.submitted_at = "Granted", now
        grant(session, kind, worker, kind.auto_granted_value, now)
    session.flush()
    return asked


def answer_test(
    session: Session, asked: QualificationRequest, fields: dict[str, str], now: datetime
) -> None:
    """Take a test's answers; with an answer key it is scored and granted at once.

    Raises:
        WorkRefused: its time is over, or it was answered before.
    """
    kind = asked.kind
    if asked.status != "Taking":
        raise WorkRefused("This test was answered before. It counts once.")
    asked.answer, asked.submitted_at = encode_answers(fields), now
    if kind.answer_key is None:
        asked.status = "Pending"
    else:
        asked.status = "Granted"
        grant(session, kind, asked.worker, score(kind.answer_key, fields), now)
    session.flush()


def end_tests(session: Session, now: datetime) -> None:
    """Tests whose time is over are abandoned."""
    taking = session.scalars(
        select(QualificationRequest).where(QualificationRequest.status == "Taking")
    )
    for asked in taking:
        if now >= asked.begun_at + timedelta(seconds=asked.kind.test_duration_s or 0):
            asked.status = "Abandoned"


def _may_ask_again(kind: QualificationType, last: QualificationRequest, now: datetime) -> None:
    if last.status == "Pending":
        raise WorkRefused("You have asked for this qualification; it was not answered yet.")
    if kind.retry_delay_s is None:
        raise WorkRefused("This qualification can be requested once only.")
    earliest = last.begun_at + timedelta(seconds=kind.retry_delay_s)
    if now < earliest:
        raise WorkRefused(
            f"You can ask for this qualification again after {earliest:%Y-%m-%d %H:%M} UTC."
        )
