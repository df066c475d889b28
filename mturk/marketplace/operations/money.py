"""Operations on money: balance and bonuses."""

from __future__ import annotations

from decimal import Decimal

from sqlalchemy import select

from mturk.costs import CENT, bonus_fee
from mturk.marketplace import rules
from mturk.marketplace.errors import ApiError, InvalidParameters
from mturk.marketplace.operations.call import Call, Values
from mturk.marketplace.records import Bonus, HitType, MarketAssignment, MarketHit
from mturk.marketplace.rules import tell_worker

MOST = Decimal(10_000)


def get_account_balance(call: Call) -> Values:
    """Dollars that are not set aside for published HITs."""
    return {"AvailableBalance": f"{call.requester.balance:.2f}"}


def send_bonus(call: Call) -> Values:
    """Pay a worker besides the reward, at once."""
    call.refuse_used_token("bonus", "BonusAlreadyPaid")
    worker, assignment = call.worker(), call.assignment()
    if assignment.worker_record_id != worker.id:
        raise ApiError(
            f"Worker {worker.worker_id} did not submit assignment {assignment.assignment_id}.",
            "InvalidParameterValue",
        )
    amount = Decimal(str(call.values["BonusAmount"]).rstrip(".")).quantize(CENT)
    if not CENT <= amount <= MOST:
        raise ApiError(
            f"BonusAmount {amount} must lie between {CENT} and {MOST}.", "AWS.ParameterOutOfRange"
        )
    fee = bonus_fee(amount)
    rules.reserve(call.requester, amount + fee)
    call.session.add(
        Bonus(
            requester_id=call.requester.id,
            assignment_record_id=assignment.id,
            amount=amount,
            fee=fee,
            reason=call.values["Reason"],
            granted_at=call.now,
        )
    )
    call.keep_token(assignment.assignment_id)
    subject = f"A bonus of ${amount} for {assignment.hit.hit_type.title}"
    tell_worker(
        call.session, worker, call.requester.name, (subject, call.values["Reason"]), call.now
    )
    return {}


def list_bonus_payments(call: Call) -> Values:
    """Bonuses of a HIT or of an assignment."""
    chosen = [name for name in ("HITId", "AssignmentId") if name in call.values]
    if len(chosen) != 1:
        raise InvalidParameters("Exactly one of HITId and AssignmentId must be given.")
    statement = (
        select(Bonus)
        .join(MarketAssignment)
        .join(MarketHit)
        .join(HitType)
        .where(HitType.requester_id == call.requester.id)
    )
    if chosen == ["HITId"]:
        statement = statement.where(MarketHit.id == call.hit().id)
    else:
        statement = statement.where(MarketAssignment.id == call.assignment().id)
    return call.page(statement, Bonus, "BonusPayments", _bonus_shape)


def _bonus_shape(bonus: Bonus) -> Values:
    return {
        "WorkerId": bonus.assignment.worker.worker_id,
        "BonusAmount": f"{bonus.amount:.2f}",
        "AssignmentId": bonus.assignment.assignment_id,
        "Reason": bonus.reason,
        "GrantTime": bonus.granted_at.timestamp(),
    }
