"""Operations on assignments: list, approve, reject."""

from __future__ import annotations

from sqlalchemy import select

from mturk.marketplace import rules
from mturk.marketplace.errors import ApiError
from mturk.marketplace.operations.call import Call, Values
from mturk.marketplace.records import MarketAssignment
from mturk.marketplace.shapes import assignment_shape


def list_assignments(call: Call) -> Values:
    """Submitted, approved and rejected assignments of a HIT; all three when none is named."""
    hit = call.hit()
    statuses = call.values.get("AssignmentStatuses") or ["Submitted", "Approved", "Rejected"]
    statement = select(MarketAssignment).where(
        MarketAssignment.hit_record_id == hit.id, MarketAssignment.status.in_(statuses)
    )
    return call.page(statement, MarketAssignment, "Assignments", assignment_shape)


def get_assignment(call: Call) -> Values:
    """An assignment with its HIT."""
    assignment = call.assignment()
    return {"Assignment": assignment_shape(assignment), "HIT": call.shape(assignment.hit)}


def approve_assignment(call: Call) -> Values:
    """Pay an assignment; a rejected one only with OverrideRejection, within 30 days."""
    assignment = call.assignment(lock=True)
    feedback = call.values.get("RequesterFeedback")
    if assignment.status == "Rejected" and call.values.get("OverrideRejection", False):
        rules.override_rejection(call.session, assignment, feedback, call.now)
    else:
        rules.approve(call.session, assignment, feedback, call.now)
    return {}


def reject_assignment(call: Call) -> Values:
    """Refuse to pay an assignment; what was set aside for it comes back."""
    rules.reject(
        call.session, call.assignment(lock=True), call.values["RequesterFeedback"], call.now
    )
    return {}


def get_file_upload_url(call: Call) -> Values:
    """Amazon ended uploads in 2017; nothing was ever uploaded here."""
    call.assignment()
    raise ApiError(
        "There is no uploaded file: FileUploadAnswer is no longer supported. Let workers upload "
        "to storage of your own.",
        "AWS.ServiceUnavailable",
    )
