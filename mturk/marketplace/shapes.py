"""HITs and assignments as the API shows them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from mturk.marketplace.records import MarketAssignment, MarketHit
from mturk.marketplace.rules import hit_status


def hit_shape(hit: MarketHit, by_status: dict[str, int], now: datetime) -> dict[str, Any]:
    """The members of a HIT. Completed counts only what was approved or rejected."""
    kind = hit.hit_type
    taken = sum(by_status.values())
    shape = {
        "HITId": hit.hit_id,
        "HITTypeId": kind.type_id,
        "HITGroupId": kind.group_id,
        "CreationTime": hit.created_at.timestamp(),
        "Title": kind.title,
        "Description": kind.description,
        "Question": hit.question,
        "Keywords": kind.keywords,
        "HITStatus": hit_status(hit, by_status, now),
        "MaxAssignments": hit.max_assignments,
        "Reward": f"{kind.reward:.2f}",
        "AutoApprovalDelayInSeconds": kind.auto_approval_s,
        "Expiration": hit.expires_at.timestamp(),
        "AssignmentDurationInSeconds": kind.duration_s,
        "QualificationRequirements": kind.requirements,
        "HITReviewStatus": "NotReviewed",
        "NumberOfAssignmentsPending": by_status.get("Accepted", 0),
        "NumberOfAssignmentsAvailable": 0 if hit.disposed else hit.max_assignments - taken,
        "NumberOfAssignmentsCompleted": by_status.get("Approved", 0) + by_status.get("Rejected", 0),
    }
    if hit.annotation:
        shape["RequesterAnnotation"] = hit.annotation
    return shape


def assignment_shape(assignment: MarketAssignment) -> dict[str, Any]:
    """The members of a submitted assignment."""
    times = {
        "AcceptTime": assignment.accepted_at,
        "Deadline": assignment.deadline,
        "SubmitTime": assignment.submitted_at,
        "AutoApprovalTime": assignment.auto_approval_at,
        "ApprovalTime": assignment.approved_at,
        "RejectionTime": assignment.rejected_at,
    }
    shape: dict[str, Any] = {
        "AssignmentId": assignment.assignment_id,
        "WorkerId": assignment.worker.worker_id,
        "HITId": assignment.hit.hit_id,
        "AssignmentStatus": assignment.status,
        "Answer": assignment.answer,
    }
    shape |= {name: time.timestamp() for name, time in times.items() if time is not None}
    if assignment.feedback:
        shape["RequesterFeedback"] = assignment.feedback
    return shape
