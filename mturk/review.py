"""Reviewing: what looks careless is flagged, what was collected is approved and paid.

A decision is written down before the crowd is asked, and settled after. Nothing is rejected unless
somebody names the assignments and a reason.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError
from sqlalchemy import select
from sqlalchemy.orm import Session

from generation.study import UserError
from hit_server.checks import passed
from hit_server.hits import hits_of_record
from hit_server.records import Assignment, Hit, StudyRecord, now
from mturk.client import Endpoint, explained
from mturk.crowd import ReviewRules
from mturk.in_flight import in_flight

if TYPE_CHECKING:
    from mypy_boto3_mturk import MTurkClient

INVALID_STATE = "AWS.MechanicalTurk.InvalidAssignmentState"
Progress = Callable[[int, int], None]


class ReviewError(UserError):
    """Assignments that are not there, or were decided otherwise."""


@dataclass(frozen=True)
class Flag:
    """An assignment that somebody should look at, and why."""

    assignment_id: str
    worker_id: str
    status: str
    reasons: tuple[str, ...]


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
    only: str | None = None,
    progress: Progress | None = None,
) -> Approved:
    """Approve every collected assignment whose answer could be read, or one of them.

    Raises:
        CrowdError: the endpoint cannot be reached or refuses; run it again and it goes on.
    """
    everything = [
        each for each in assignments_of(session, study) if only in (None, each.assignment_id)
    ]
    unread = sum(a.status == "Submitted" and a.problem is not None for a in everything)
    already = sum(a.status == "Approved" for a in everything)
    waiting = [
        a
        for a in everything
        if a.status == "Submitted" and a.problem is None and a.decision != "reject"
    ]
    _decide(session, endpoint, waiting, "approve", lambda one: _approve(client, one), progress)
    approved = sum(a.status == "Approved" for a in waiting)
    return Approved(approved, already, unread)


def reject(
    session: Session,
    study: StudyRecord,
    client: MTurkClient,
    endpoint: Endpoint,
    *,
    assignments: Sequence[str],
    reason: str,
) -> int:
    """Reject the named assignments; how many were.

    Raises:
        ReviewError: one of them is not collected or was reviewed before; none is rejected then.
        CrowdError: the endpoint cannot be reached or refuses; run it again and it goes on.
    """
    known = {each.assignment_id: each for each in assignments_of(session, study)}
    chosen: list[Assignment] = []
    for name in dict.fromkeys(assignments):
        each = known.get(name)
        if each is None:
            raise ReviewError(f"assignment {name!r} was not collected. Run `clearwinner collect`.")
        if each.status == "Approved":
            raise ReviewError(f"assignment {name} was approved: it cannot be rejected any more.")
        if each.status == "Submitted":
            chosen.append(each)
    _decide(session, endpoint, chosen, "reject", lambda one: _reject(client, one, reason))
    return sum(each.status == "Rejected" for each in chosen)


def flags(session: Session, study: StudyRecord, rules: ReviewRules) -> list[Flag]:
    """Assignments that the rules of the study file find careless, and unread ones."""
    everything = assignments_of(session, study)
    one_sided = _one_sided(everything, rules)
    check_question = hits_of_record(study.hits).check_question
    found = []
    for each in everything:
        reasons = []
        if each.problem:
            reasons.append(each.problem)
        seconds = _seconds(each)
        if seconds is not None and seconds < rules.min_seconds:
            reasons.append(f"answered in {seconds:.1f} s, under {rules.min_seconds:g} s")
        failed = _failed_checks(each, check_question)
        if failed >= rules.failed_checks:
            reasons.append(f"{failed} check{'s' if failed > 1 else ''} answered wrong")
        if each.flag:
            reasons.append(f"noted: {each.flag}")
        if each.worker_id in one_sided:
            reasons.append(one_sided[each.worker_id])
        if reasons:
            found.append(Flag(each.assignment_id, each.worker_id, each.status, tuple(reasons)))
    return found


def assignments_of(session: Session, study: StudyRecord) -> list[Assignment]:
    """Every collected assignment of a study."""
    found = list(
        session.scalars(
            select(Assignment).join(Hit).where(Hit.study_id == study.id).order_by(Assignment.id)
        )
    )
    session.commit()
    return found


def _seconds(assignment: Assignment) -> float | None:
    """Seconds from shown to the last answer, by the page's clock where it told it."""
    times = [vote.milliseconds for vote in assignment.votes if vote.milliseconds is not None]
    if times:
        return max(times) / 1000
    if assignment.accepted_at is None or assignment.submitted_at is None:
        return None
    return (assignment.submitted_at - assignment.accepted_at).total_seconds()


def _failed_checks(assignment: Assignment, check_question: str) -> int:
    return sum(
        passed(vote.kind, vote.question, vote.choice, check_question=check_question) is False
        for vote in assignment.votes
    )


def _one_sided(everything: Sequence[Assignment], rules: ReviewRules) -> dict[str, str]:
    """Workers who chose the same place nearly always, and in how many votes."""
    sides: dict[str, list[int]] = defaultdict(list)
    for each in everything:
        for vote in (vote for vote in each.votes if vote.kind == "vote"):
            place = vote.places.index(vote.choice) + 1 if vote.choice in vote.places else 0
            sides[each.worker_id].append(place)
    found = {}
    for worker, places in sides.items():
        most = max(set(places), key=places.count)
        share = places.count(most) / len(places)
        if len(places) >= rules.same_side_votes and share >= rules.same_side_share:
            what = f"place {most}" if most else "no clear winner"
            found[worker] = f"chose {what} in {share:.0%} of {len(places)} votes"
    return found


def _decide(
    session: Session,
    endpoint: Endpoint,
    chosen: Sequence[Assignment],
    decision: str,
    ask: Callable[[str], str],
    progress: Progress | None = None,
) -> None:
    """Write each decision down, ask the crowd, settle its answer."""
    done = 0

    def intended() -> Iterator[tuple[Assignment, str]]:
        for each in chosen:
            each.decision, each.decided_at = decision, now()
            session.commit()
            yield each, each.assignment_id

    def settle(item: tuple[Assignment, str], status: str) -> None:
        nonlocal done
        item[0].status = status
        session.commit()
        done += 1
        if progress:
            progress(done, len(chosen))

    with explained(endpoint):
        in_flight(intended(), lambda item: ask(item[1]), settle)


def _reject(client: MTurkClient, assignment_id: str, reason: str) -> str:
    try:
        client.reject_assignment(AssignmentId=assignment_id, RequesterFeedback=reason)
    except ClientError as error:
        if error.response.get("TurkErrorCode") != INVALID_STATE:
            raise
        answer = client.get_assignment(AssignmentId=assignment_id)
        return str(answer["Assignment"]["AssignmentStatus"])
    return "Rejected"


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
