"""Operations on HITs and HIT types."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from sqlalchemy import select

from mturk.costs import CENT, MANY, assignment_fee
from mturk.marketplace import events, rules
from mturk.marketplace.errors import ApiError, InvalidParameters
from mturk.marketplace.ids import new_id
from mturk.marketplace.operations.call import Call, Values, of_this_requester
from mturk.marketplace.policies import check_policy
from mturk.marketplace.records import HitType, MarketHit
from mturk.marketplace.requirements import check_requirements
from mturk.marketplace.settling import notice
from mturk.qualifications import MASTERS_PRODUCTION, MASTERS_SANDBOX

MONTH_S = 2_592_000
YEAR_S = 31_536_000
TYPE_MEMBERS = (
    "Title",
    "Description",
    "Keywords",
    "Reward",
    "AssignmentDurationInSeconds",
    "AutoApprovalDelayInSeconds",
    "QualificationRequirements",
)


def create_hit_type(call: Call) -> Values:
    """Equal values give the same id."""
    return {"HITTypeId": _hit_type(call).type_id}


def create_hit(call: Call) -> Values:
    """A HIT with its own type, or the one that equal values made before."""
    _check_new(call)
    return _create(call, _hit_type(call))


def create_hit_with_hit_type(call: Call) -> Values:
    """A HIT of a type that was made before."""
    _check_new(call)
    return _create(call, call.hit_type())


def create_additional_assignments(call: Call) -> Values:
    """More assignments of a HIT; not from below ten to ten or more, which cost another fee."""
    hit = call.hit(lock=True)
    _not_disposed(hit)
    call.refuse_used_token("request", "InvalidRequestToken")
    more = call.values["NumberOfAdditionalAssignments"]
    if hit.max_assignments < MANY <= hit.max_assignments + more:
        raise ApiError(
            f"A HIT made with fewer than {MANY} assignments cannot be extended to {MANY} or more.",
            "InvalidMaximumAssignmentsIncrease",
        )
    if hit.max_assignments + more > 10**9:
        raise ApiError("A HIT has at most 1000000000 assignments.", "AWS.ParameterOutOfRange")
    rules.reserve(call.requester, hit.unit_cost * more)
    hit.max_assignments += more
    hit.reviewable_told = False
    call.keep_token(hit.hit_id)
    events.raise_event(call.session, hit, "HITExtended", call.now)
    return {}


def get_hit(call: Call) -> Values:
    """A HIT by its id."""
    return {"HIT": call.shape(call.hit())}


def list_hits(call: Call) -> Values:
    """The requester's HITs by creation; disposed ones are left out."""
    return call.page(of_this_requester(call, select(MarketHit)), MarketHit, "HITs", call.shape)


def list_reviewable_hits(call: Call) -> Values:
    """HITs whose work is all in, or whose time is over."""
    wanted = call.values.get("Status", "Reviewable")
    statement = of_this_requester(call, select(MarketHit))
    if type_id := call.values.get("HITTypeId"):
        statement = statement.where(HitType.type_id == type_id)
    shapes = {hit.id: call.shape(hit) for hit in call.session.scalars(statement)}
    fitting = [key for key, shape in shapes.items() if shape["HITStatus"] == wanted]
    chosen = select(MarketHit).where(MarketHit.id.in_(fitting))
    return call.page(chosen, MarketHit, "HITs", lambda hit: shapes[hit.id])


def update_expiration(call: Call) -> Values:
    """Set when a HIT stops being offered; a time that is past ends it now."""
    hit = call.hit(lock=True)
    _not_disposed(hit)
    value = call.values["ExpireAt"]
    try:
        wanted = datetime.fromtimestamp(float(value), UTC)
    except (ValueError, OverflowError, OSError, TypeError):
        raise InvalidParameters(f"ExpireAt = {value!r} is no time in epoch seconds.") from None
    if wanted > call.now + timedelta(seconds=YEAR_S):
        raise ApiError("ExpireAt lies more than a year ahead.", "AWS.ParameterOutOfRange")
    hit.expires_at = max(wanted, call.now)
    if hit.expires_at > call.now:
        hit.expiry_told = hit.reviewable_told = False
        events.raise_event(call.session, hit, "HITExtended", call.now)
    notice(call.session, hit, call.now)
    return {}


def update_hit_type_of_hit(call: Call) -> Values:
    """Give a HIT the properties of another type of the same requester, at its price."""
    hit, kind = call.hit(lock=True), call.hit_type()
    by_status = rules.counts(call.session, hit)
    status = rules.hit_status(hit, by_status, call.now)
    if status != "Assignable" or by_status:
        raise ApiError(
            f"This HIT is currently in the state '{status}'. Its type can be changed as long as "
            "nobody has accepted it.",
            "InvalidHITState",
        )
    unit = _unit_cost(kind, hit.max_assignments)
    rules.give_back(call.requester, hit.unit_cost * hit.max_assignments)
    rules.reserve(call.requester, unit * hit.max_assignments)
    hit.hit_type, hit.unit_cost = kind, unit
    return {}


def update_hit_review_status(call: Call) -> Values:
    """Between Reviewable and Reviewing."""
    hit = call.hit(lock=True)
    status = rules.hit_status(hit, rules.counts(call.session, hit), call.now)
    revert = call.values.get("Revert", False)
    if status != ("Reviewing" if revert else "Reviewable"):
        raise ApiError(
            f"This HIT is currently in the state '{status}' and cannot be moved.",
            "InvalidHITState",
        )
    hit.reviewing = not revert
    return {}


def delete_hit(call: Call) -> Values:
    """Dispose of a HIT whose work is all reviewed; unused money comes back."""
    hit = call.hit(lock=True)
    by_status = rules.counts(call.session, hit)
    status = rules.hit_status(hit, by_status, call.now)
    if status not in ("Reviewable", "Reviewing") or by_status.get("Submitted"):
        raise ApiError(
            f"This HIT is currently in the state '{status}'. This operation can be called with a "
            "status of: Reviewing, Reviewable, when every submitted assignment was approved or "
            "rejected.",
            "InvalidHITState",
        )
    rules.dispose(call.session, hit, call.now)
    return {}


def _check_new(call: Call) -> None:
    """What both ways of making a HIT refuse."""
    if call.values.get("HITLayoutId") or call.values.get("HITLayoutParameters"):
        raise ApiError(
            "This marketplace has no HIT layouts: they were templates of Amazon's requester site. "
            "Send the Question.",
            "HITLayoutDoesNotExist",
        )
    if "Question" not in call.values:
        raise InvalidParameters("Value null at 'question' failed to satisfy constraint: not null")
    for member in ("AssignmentReviewPolicy", "HITReviewPolicy"):
        if policy := call.values.get(member):
            check_policy(member, policy)
    call.refuse_used_token("HIT", "HITAlreadyExists")


def _hit_type(call: Call) -> HitType:
    """The type of these values; members left out count as their defaults."""
    check_requirements(call.session, call.values.get("QualificationRequirements", []))
    values: Values = {name: call.values.get(name) for name in TYPE_MEMBERS}
    reward = Decimal(str(values["Reward"]).rstrip(".")).quantize(CENT)
    delay = values["AutoApprovalDelayInSeconds"]
    filled = values | {
        "Reward": str(reward),
        "Keywords": values["Keywords"] or "",
        "AutoApprovalDelayInSeconds": MONTH_S if delay is None else delay,
        "QualificationRequirements": values["QualificationRequirements"] or [],
    }
    digest = hashlib.sha256(json.dumps(filled, sort_keys=True).encode()).hexdigest()
    known = call.session.scalar(
        select(HitType).where(HitType.requester_id == call.requester.id, HitType.digest == digest)
    )
    if known is not None:
        return known
    hit_type = HitType(
        type_id=new_id("3"),
        group_id=new_id("3"),
        requester_id=call.requester.id,
        digest=digest,
        title=filled["Title"],
        description=filled["Description"],
        keywords=filled["Keywords"],
        reward=reward,
        duration_s=filled["AssignmentDurationInSeconds"],
        auto_approval_s=filled["AutoApprovalDelayInSeconds"],
        requirements=filled["QualificationRequirements"],
    )
    call.session.add(hit_type)
    call.session.flush()
    return hit_type


def _create(call: Call, hit_type: HitType) -> Values:
    assignments = call.values.get("MaxAssignments", 1)
    unit = _unit_cost(hit_type, assignments)
    rules.reserve(call.requester, unit * assignments)
    hit = MarketHit(
        hit_id=new_id("3"),
        hit_type=hit_type,
        question=call.values["Question"],
        annotation=call.values.get("RequesterAnnotation", ""),
        max_assignments=assignments,
        created_at=call.now,
        expires_at=call.now + timedelta(seconds=call.values["LifetimeInSeconds"]),
        unit_cost=unit,
        assignment_policy=call.values.get("AssignmentReviewPolicy"),
        hit_policy=call.values.get("HITReviewPolicy"),
    )
    call.session.add(hit)
    call.keep_token(hit.hit_id)
    call.session.flush()
    events.raise_event(call.session, hit, "HITCreated", call.now)
    return {"HIT": call.shape(hit)}


def _unit_cost(kind: HitType, assignments: int) -> Decimal:
    """Reward and fee of one assignment."""
    masters = any(
        requirement["QualificationTypeId"] in (MASTERS_SANDBOX, MASTERS_PRODUCTION)
        for requirement in kind.requirements
    )
    return kind.reward + assignment_fee(kind.reward, assignments, masters=masters)


def _not_disposed(hit: MarketHit) -> None:
    if hit.disposed:
        raise ApiError("This HIT is currently in the state 'Disposed'.", "InvalidHITState")
