"""Carrying out review policies: results are written down, and assignments approved by them."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from mturk.answers import BadAnswer, decode_answers
from mturk.costs import MANY
from mturk.marketplace import rules
from mturk.marketplace.errors import ApiError
from mturk.marketplace.ids import new_id
from mturk.marketplace.policies import (
    Extension,
    Policy,
    Verdict,
    plurality,
    read_policy,
    score_known_answers,
)
from mturk.marketplace.records import MarketAssignment, MarketHit, ReviewAction, ReviewResult


def review_assignment(session: Session, assignment: MarketAssignment, now: datetime) -> None:
    """Carry out the assignment-level policy of a HIT on what was just submitted."""
    hit = assignment.hit
    if hit.assignment_policy is None:
        return
    policy = read_policy(hit.assignment_policy)
    verdict = score_known_answers(policy, assignment.assignment_id, _answers(assignment))
    _carry_out(session, hit, "Assignment", verdict, now)


def review_hit(session: Session, hit: MarketHit, now: datetime) -> None:
    """Carry out the HIT-level policy of a HIT whose work is all in."""
    if hit.hit_policy is None:
        return
    policy = read_policy(hit.hit_policy)
    counting = {
        assignment.assignment_id: _answers(assignment)
        for assignment in hit.assignments
        if assignment.status != "Accepted" and not _disregarded(session, policy, assignment)
    }
    _carry_out(session, hit, "HIT", plurality(policy, hit.hit_id, counting), now)


def _disregarded(session: Session, policy: Policy, assignment: MarketAssignment) -> bool:
    rejected = policy.text("DisregardAssignmentIfRejected").lower() == "true"
    if rejected and assignment.status == "Rejected":
        return True
    least = policy.number("DisregardAssignmentIfKnownAnswerScoreIsLessThan")
    if least is None:
        return False
    known = session.scalar(
        select(ReviewResult.value).where(
            ReviewResult.subject_id == assignment.assignment_id,
            ReviewResult.key == "KnownAnswerScore",
        )
    )
    return known is not None and int(known) < least


def _answers(assignment: MarketAssignment) -> dict[str, str]:
    try:
        return decode_answers(assignment.answer or "")
    except BadAnswer:
        return {}


def _carry_out(
    session: Session, hit: MarketHit, level: str, verdict: Verdict, now: datetime
) -> None:
    action_id = new_id("3")
    for finding in verdict.findings:
        session.add(
            ReviewResult(
                hit_record_id=hit.id,
                level=level,
                action_id=action_id,
                subject_id=finding.subject_id,
                subject_type=finding.subject_type,
                question_id=finding.question_id,
                key=finding.key,
                value=finding.value,
            )
        )
    _note(session, hit, level, ("review", hit.hit_id, "HIT"), None, now)
    for name, chosen in (("approve", verdict.approve), ("reject", verdict.reject)):
        for assignment_id, reason in chosen.items():
            error = _decide(session, name, assignment_id, reason, now)
            _note(session, hit, level, (name, assignment_id, "Assignment"), error, now)
    if verdict.extend is not None:
        error = _extend(hit, verdict.extend, now)
        _note(session, hit, level, ("extend", hit.hit_id, "HIT"), error, now)


def _decide(
    session: Session, name: str, assignment_id: str, reason: str, now: datetime
) -> str | None:
    """Approve or reject; why not, if it could not be done."""
    assignment = session.scalars(
        select(MarketAssignment).where(MarketAssignment.assignment_id == assignment_id)
    ).one()
    try:
        if name == "approve":
            rules.approve(session, assignment, reason or None, now)
        else:
            rules.reject(session, assignment, reason, now)
    except ApiError as error:
        return error.message
    return None


def _extend(hit: MarketHit, extension: Extension, now: datetime) -> str | None:
    """One more assignment, and time for it; why not, if it could not be done."""
    wanted = hit.max_assignments + 1
    if wanted > extension.most:
        return f"The HIT has {hit.max_assignments} of at most {extension.most} assignments."
    if hit.max_assignments < MANY <= wanted:
        return f"A HIT made with fewer than {MANY} assignments cannot be extended to {MANY}."
    try:
        rules.reserve(hit.hit_type.requester, hit.unit_cost)
    except ApiError as error:
        return error.message
    hit.max_assignments = wanted
    hit.expires_at = max(hit.expires_at, now + timedelta(seconds=extension.seconds))
    hit.reviewable_told = hit.expiry_told = False
    return None


def _note(
    session: Session,
    hit: MarketHit,
    level: str,
    action: tuple[str, str, str],
    error: str | None,
    now: datetime,
) -> None:
    name, target, kind = action
    session.add(
        ReviewAction(
            hit_record_id=hit.id,
            level=level,
            action_id=new_id("3"),
            name=name,
            target_id=target,
            target_type=kind,
            succeeded=error is None,
            result=error or f"{kind} {name}: done",
            completed_at=now,
        )
    )
