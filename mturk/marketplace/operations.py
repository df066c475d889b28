"""The requester API: a table from operation name to function.

A function takes a `Call` and gives the answer's members. Whatever a function needs of another
requester does not exist for it.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from mturk.costs import CENT, assignment_fee
from mturk.marketplace import rules
from mturk.marketplace.errors import ApiError, InvalidParameters, missing
from mturk.marketplace.records import (
    HitType,
    MarketAssignment,
    MarketHit,
    Requester,
    RequestToken,
)
from mturk.marketplace.shapes import assignment_shape, hit_shape
from mturk.qualifications import MASTERS_PRODUCTION, MASTERS_SANDBOX

Values = dict[str, Any]
MONTH_S = 2_592_000
TOKEN_LIFE = timedelta(hours=24)
TYPE_MEMBERS = (
    "Title",
    "Description",
    "Keywords",
    "Reward",
    "AssignmentDurationInSeconds",
    "AutoApprovalDelayInSeconds",
    "QualificationRequirements",
)


@dataclass(frozen=True)
class Call:
    """A checked request."""

    session: Session
    requester: Requester
    values: Values
    now: datetime

    def hit(self) -> MarketHit:
        """The HIT that the request names, if it is this requester's."""
        hit_id = self.values["HITId"]
        hit = self.session.scalar(
            select(MarketHit)
            .join(HitType)
            .where(MarketHit.hit_id == hit_id, HitType.requester_id == self.requester.id)
        )
        if hit is None:
            raise ApiError(f"HIT {hit_id} does not exist.", "HITDoesNotExist")
        return hit

    def assignment(self) -> MarketAssignment:
        """The submitted assignment that the request names; accepted ones are invisible."""
        assignment_id = self.values["AssignmentId"]
        assignment = self.session.scalar(
            select(MarketAssignment)
            .join(MarketHit)
            .join(HitType)
            .where(
                MarketAssignment.assignment_id == assignment_id,
                MarketAssignment.status != "Accepted",
                HitType.requester_id == self.requester.id,
            )
        )
        if assignment is None:
            raise missing("Assignment", assignment_id)
        return assignment

    def shape(self, hit: MarketHit) -> Values:
        """A HIT as the API shows it."""
        return hit_shape(hit, rules.counts(self.session, hit), self.now)


def create_hit_type(call: Call) -> Values:
    """Equal values give the same id."""
    return {"HITTypeId": _hit_type(call).type_id}


def create_hit(call: Call) -> Values:
    """A HIT with its own type, or the one that equal values made before."""
    if "Question" not in call.values:
        raise InvalidParameters("Value null at 'question': this marketplace has no HIT layouts.")
    _refuse_token(call)
    return _create(call, _hit_type(call))


def create_hit_with_hit_type(call: Call) -> Values:
    """A HIT of a type that was made before."""
    if "Question" not in call.values:
        raise InvalidParameters("Value null at 'question': this marketplace has no HIT layouts.")
    _refuse_token(call)
    type_id = call.values["HITTypeId"]
    hit_type = call.session.scalar(
        select(HitType).where(HitType.type_id == type_id, HitType.requester_id == call.requester.id)
    )
    if hit_type is None:
        raise missing("HITType", type_id)
    return _create(call, hit_type)


def get_hit(call: Call) -> Values:
    """A HIT by its id."""
    return {"HIT": call.shape(call.hit())}


def list_hits(call: Call) -> Values:
    """The requester's HITs by creation; disposed ones are left out."""
    statement = (
        select(MarketHit)
        .join(HitType)
        .where(HitType.requester_id == call.requester.id, MarketHit.disposed.is_(False))
    )
    return _page(call, statement, MarketHit, "HITs", call.shape)


def list_reviewable_hits(call: Call) -> Values:
    """HITs whose work is all in, or whose time is over."""
    wanted = call.values.get("Status", "Reviewable")
    statement = (
        select(MarketHit)
        .join(HitType)
        .where(HitType.requester_id == call.requester.id, MarketHit.disposed.is_(False))
    )
    if type_id := call.values.get("HITTypeId"):
        statement = statement.where(HitType.type_id == type_id)
    shapes = {hit.id: call.shape(hit) for hit in call.session.scalars(statement)}
    fitting = [key for key, shape in shapes.items() if shape["HITStatus"] == wanted]
    chosen = select(MarketHit).where(MarketHit.id.in_(fitting))
    return _page(call, chosen, MarketHit, "HITs", lambda hit: shapes[hit.id])


def list_assignments_for_hit(call: Call) -> Values:
    """Submitted, approved and rejected assignments of a HIT; all three when none is named."""
    hit = call.hit()
    statuses = call.values.get("AssignmentStatuses") or ["Submitted", "Approved", "Rejected"]
    statement = select(MarketAssignment).where(
        MarketAssignment.hit_record_id == hit.id, MarketAssignment.status.in_(statuses)
    )
    return _page(call, statement, MarketAssignment, "Assignments", assignment_shape)


def get_assignment(call: Call) -> Values:
    """An assignment with its HIT."""
    assignment = call.assignment()
    return {"Assignment": assignment_shape(assignment), "HIT": call.shape(assignment.hit)}


def approve_assignment(call: Call) -> Values:
    """Pay an assignment; a rejected one only with OverrideRejection, within 30 days."""
    assignment = call.assignment()
    overridden = call.values.get("OverrideRejection", False)
    if assignment.status == "Rejected" and overridden and assignment.rejected_at is not None:
        if call.now - assignment.rejected_at > timedelta(seconds=MONTH_S):
            raise _wrong_state(assignment, "a rejection can be overridden for 30 days")
        rules.reserve(call.requester, assignment.hit.unit_cost)
        assignment.rejected_at = None
    elif assignment.status != "Submitted":
        raise _wrong_state(assignment, "it must be Submitted")
    assignment.status, assignment.approved_at = "Approved", call.now
    assignment.feedback = call.values.get("RequesterFeedback")
    return {}


def reject_assignment(call: Call) -> Values:
    """Refuse to pay an assignment; what was set aside for it comes back."""
    assignment = call.assignment()
    if assignment.status != "Submitted":
        raise _wrong_state(assignment, "it must be Submitted")
    assignment.status, assignment.rejected_at = "Rejected", call.now
    assignment.feedback = call.values["RequesterFeedback"]
    call.requester.balance += assignment.hit.unit_cost
    return {}


def update_expiration_for_hit(call: Call) -> Values:
    """Set when a HIT stops being offered; a time that is past ends it now."""
    hit = call.hit()
    _not_disposed(hit)
    value = call.values["ExpireAt"]
    try:
        wanted = datetime.fromtimestamp(float(value), UTC)
    except (ValueError, OverflowError, OSError, TypeError):
        raise InvalidParameters(f"ExpireAt = {value!r} is no time in epoch seconds.") from None
    if wanted > call.now + timedelta(seconds=31_536_000):
        raise ApiError("ExpireAt lies more than a year ahead.", "AWS.ParameterOutOfRange")
    hit.expires_at = max(wanted, call.now)
    return {}


def delete_hit(call: Call) -> Values:
    """Dispose of a HIT whose work is all reviewed; unused money comes back."""
    hit = call.hit()
    by_status = rules.counts(call.session, hit)
    status = rules.hit_status(hit, by_status, call.now)
    if status not in ("Reviewable", "Reviewing") or by_status.get("Submitted"):
        raise ApiError(
            f"This HIT is currently in the state '{status}'. This operation can be called with a "
            "status of: Reviewing, Reviewable, when every submitted assignment was approved or "
            "rejected.",
            "InvalidHITState",
        )
    unused = hit.max_assignments - sum(by_status.values())
    call.requester.balance += unused * hit.unit_cost
    hit.disposed = True
    return {}


def update_hit_review_status(call: Call) -> Values:
    """Between Reviewable and Reviewing."""
    hit = call.hit()
    status = rules.hit_status(hit, rules.counts(call.session, hit), call.now)
    revert = call.values.get("Revert", False)
    if status != ("Reviewing" if revert else "Reviewable"):
        raise ApiError(
            f"This HIT is currently in the state '{status}' and cannot be moved.",
            "InvalidHITState",
        )
    hit.reviewing = not revert
    return {}


def get_account_balance(call: Call) -> Values:
    """Dollars that are not set aside for published HITs."""
    return {"AvailableBalance": f"{call.requester.balance:.2f}"}


OPERATIONS: dict[str, Callable[[Call], Values]] = {
    "ApproveAssignment": approve_assignment,
    "CreateHIT": create_hit,
    "CreateHITType": create_hit_type,
    "CreateHITWithHITType": create_hit_with_hit_type,
    "DeleteHIT": delete_hit,
    "GetAccountBalance": get_account_balance,
    "GetAssignment": get_assignment,
    "GetHIT": get_hit,
    "ListAssignmentsForHIT": list_assignments_for_hit,
    "ListHITs": list_hits,
    "ListReviewableHITs": list_reviewable_hits,
    "RejectAssignment": reject_assignment,
    "UpdateExpirationForHIT": update_expiration_for_hit,
    "UpdateHITReviewStatus": update_hit_review_status,
}


def _hit_type(call: Call) -> HitType:
    values: Values = {name: call.values.get(name) for name in TYPE_MEMBERS}
    reward = Decimal(str(values["Reward"]).rstrip(".")).quantize(CENT)
    values["Reward"] = str(reward)
    text = json.dumps(values, sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()
    known = call.session.scalar(
        select(HitType).where(HitType.requester_id == call.requester.id, HitType.digest == digest)
    )
    if known is not None:
        return known
    delay = values["AutoApprovalDelayInSeconds"]
    hit_type = HitType(
        type_id=rules.new_id("3"),
        group_id=rules.new_id("3"),
        requester_id=call.requester.id,
        digest=digest,
        title=values["Title"],
        description=values["Description"],
        keywords=values["Keywords"] or "",
        reward=reward,
        duration_s=values["AssignmentDurationInSeconds"],
        auto_approval_s=MONTH_S if delay is None else delay,
        requirements=values["QualificationRequirements"] or [],
    )
    call.session.add(hit_type)
    call.session.flush()
    return hit_type


def _create(call: Call, hit_type: HitType) -> Values:
    assignments = call.values.get("MaxAssignments", 1)
    masters = any(
        requirement["QualificationTypeId"] in (MASTERS_SANDBOX, MASTERS_PRODUCTION)
        for requirement in hit_type.requirements
    )
    unit = hit_type.reward + assignment_fee(hit_type.reward, assignments, masters=masters)
    rules.reserve(call.requester, unit * assignments)
    hit = MarketHit(
        hit_id=rules.new_id("3"),
        hit_type=hit_type,
        question=call.values["Question"],
        annotation=call.values.get("RequesterAnnotation", ""),
        max_assignments=assignments,
        created_at=call.now,
        expires_at=call.now + timedelta(seconds=call.values["LifetimeInSeconds"]),
        unit_cost=unit,
    )
    call.session.add(hit)
    if token := call.values.get("UniqueRequestToken"):
        call.session.add(
            RequestToken(
                requester_id=call.requester.id, token=token, hit_id=hit.hit_id, used_at=call.now
            )
        )
    call.session.flush()
    return {"HIT": call.shape(hit)}


def _refuse_token(call: Call) -> None:
    """A token that was used within 24 hours names the HIT that it made."""
    token = call.values.get("UniqueRequestToken")
    if token is None:
        return
    used = call.session.scalar(
        select(RequestToken).where(
            RequestToken.requester_id == call.requester.id, RequestToken.token == token
        )
    )
    if used is None:
        return
    if call.now - used.used_at >= TOKEN_LIFE:
        call.session.delete(used)
        call.session.flush()
        return
    raise ApiError(
        f"You have already submitted this HIT. The value of the token {token} you specified has "
        f"already been used for an existing HIT: {used.hit_id}",
        "HITAlreadyExists",
    )


def _page(
    call: Call, statement: Any, row: Any, member: str, shape: Callable[[Any], Values]
) -> Values:
    """One page of a listing; every page that is not empty says after which row the next begins.

    Counted by row, not by number: what is approved or deleted between two pages hides nothing.
    """
    after, size = _window(call)
    found = call.session.scalars(statement.where(row.id > after).order_by(row.id).limit(size)).all()
    answer: Values = {member: [shape(item) for item in found], "NumResults": len(found)}
    if found:
        text = f"after:{found[-1].id}".encode()
        answer["NextToken"] = base64.urlsafe_b64encode(text).decode()
    return answer


def _window(call: Call) -> tuple[int, int]:
    size = int(call.values.get("MaxResults", 10))
    token = call.values.get("NextToken")
    if token is None:
        return 0, size
    try:
        kind, _, start = base64.urlsafe_b64decode(token.encode()).decode().partition(":")
        if kind != "after" or not start.isdecimal() or len(start) > 12:
            raise ValueError(start)
    except ValueError:
        raise ApiError(f"The NextToken {token[:40]!r} is invalid.", "InvalidNextToken") from None
    return int(start), size


def _not_disposed(hit: MarketHit) -> None:
    if hit.disposed:
        raise ApiError("This HIT is currently in the state 'Disposed'.", "InvalidHITState")


def _wrong_state(assignment: MarketAssignment, rule: str) -> ApiError:
    return ApiError(
        f"This Assignment is currently in the state '{assignment.status}': {rule}.",
        "InvalidAssignmentState",
    )
