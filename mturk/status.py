"""How far a study is."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from hit_server.records import Assignment, Comparison, Hit, StudyRecord, Vote
from hit_server.store import hits_of
from mturk.client import Endpoint, explained
from mturk.costs import assignment_fee
from mturk.crowd import Crowd
from mturk.launch import plan_launch

if TYPE_CHECKING:
    from mypy_boto3_mturk import MTurkClient


@dataclass(frozen=True)
class StudyStatus:
    """Counts of a study; what the crowd says stands beside what was collected."""

    comparisons: int
    hits_published: int
    assignments_wanted: int
    crowd_available: int
    crowd_pending: int
    collected: int
    unread: int
    approved: int
    rejected: int
    votes: int
    complete_comparisons: int
    spent_usd: Decimal
    committed_usd: Decimal


def status(
    session: Session, study: StudyRecord, crowd: Crowd, client: MTurkClient, endpoint: Endpoint
) -> StudyStatus:
    """Count the records, and ask the crowd what is open.

    Raises:
        CrowdError: the endpoint cannot be reached or refuses.
    """
    plan = plan_launch(session, study, crowd)
    available = pending = 0
    with explained(endpoint):
        hits = hits_of(session, study, settled=True)
        session.commit()  # a slow crowd must not hold the database
        for hit in hits:
            answer: Any = client.get_hit(HITId=hit.hit_id or "")["HIT"]
            available += answer["NumberOfAssignmentsAvailable"]
            pending += answer["NumberOfAssignmentsPending"]
    of_study = Comparison.study_id == study.id
    rows = session.execute(
        select(Assignment.status, Assignment.problem.is_not(None), Comparison.id)
        .join(Hit, Assignment.hit_record_id == Hit.id)
        .join(Comparison)
        .where(of_study)
    ).all()
    states = Counter(state for state, _, _ in rows)
    read = Counter(comparison for _, unread, comparison in rows if not unread)
    votes = session.scalar(select(func.count()).select_from(Vote).join(Comparison).where(of_study))
    fee = assignment_fee(crowd.reward_usd, crowd.assignments, masters=crowd.masters)
    return StudyStatus(
        comparisons=plan.comparisons,
        hits_published=plan.published,
        assignments_wanted=plan.comparisons * crowd.assignments,
        crowd_available=available,
        crowd_pending=pending,
        collected=len(rows),
        unread=sum(bool(unread) for _, unread, _ in rows),
        approved=states["Approved"],
        rejected=states["Rejected"],
        votes=votes or 0,
        complete_comparisons=sum(n >= crowd.assignments for n in read.values()),
        spent_usd=states["Approved"] * (crowd.reward_usd + fee),
        committed_usd=plan.spent.total,
    )
