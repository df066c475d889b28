"""Approving: pays what was collected; decided in writing first, settled after."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError
from sqlalchemy import select
from sqlalchemy.orm import Session

from hit_server.records import Assignment, Comparison, Hit, StudyRecord, now
from mturk.client import Endpoint, explained

if TYPE_CHECKING:
    from mypy_boto3_mturk import MTurkClient

INVALID_STATE = "AWS.MechanicalTurk.InvalidAssignmentState"
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Approved:
    """What a run approved."""

    approved: int
    already: int
    unread: int
    """Submitted assignments that were left alone because their answer could not be read."""


def approve(
    session: Session,
    study: StudyRecord,
    client: MTurkClient,
    endpoint: Endpoint,
    *,
    progress: Progress | None = None,
) -> Approved:
    """Approve every collected assignment whose answer could be read.

    Raises:
        CrowdError: the endpoint cannot be reached or refuses; run it again and it goes on.
    """
    everything = list(
        session.scalars(
            select(Assignment)
            .join(Hit)
            .join(Comparison)
            .where(Comparison.study_id == study.id)
            .order_by(Assignment.id)
        )
    )
    session.commit()
    waiting = [a for a in everything if a.status == "Submitted" and a.problem is None]
    unread = sum(a.status == "Submitted" and a.problem is not None for a in everything)
    already = sum(a.status == "Approved" for a in everything)
    with explained(endpoint):
        for number, assignment in enumerate(waiting, 1):
            assignment.decision, assignment.decided_at = "approve", now()
            session.commit()
            assignment.status = _approve(client, assignment.assignment_id)
            session.commit()
            if progress:
                progress(number, len(waiting))
    approved = sum(a.status == "Approved" for a in waiting)
    return Approved(approved, already, unread)


def _approve(client: MTurkClient, assignment_id: str) -> str:
    """Ask for the approval; an assignment that was reviewed before tells its state itself."""
    try:
        client.approve_assignment(AssignmentId=assignment_id)
    except ClientError as error:
        if error.response.get("TurkErrorCode") != INVALID_STATE:
            raise
        answer = client.get_assignment(AssignmentId=assignment_id)
        return str(answer["Assignment"]["AssignmentStatus"])
    return "Approved"
