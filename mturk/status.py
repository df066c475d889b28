"""How far a study is."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from hit_server.hits import hits_of_record
from hit_server.records import Assignment, Hit, StudyRecord
from hit_server.store import hits_of, votes_given
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
    votes_wanted: int
    crowd_available: int
    crowd_pending: int
    collected: int
    unread: int
    approved: int
    rejected: int
    votes: int
    votes_given: tuple[tuple[int, int], ...]
    """How many comparisons have so many workers' votes: pairs of workers and comparisons."""
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
    questions = len(hits_of_record(study.hits).questions)
    rows = session.execute(
        select(Assignment.status, Assignment.problem.is_not(None))
        .join(Hit, Assignment.hit_record_id == Hit.id)
        .where(Hit.study_id == study.id)
    ).all()
    states = Counter(state for state, _ in rows)
    given = votes_given(session, study)
    fee = assignment_fee(crowd.reward_usd, crowd.hit_assignments, masters=crowd.masters)
    return StudyStatus(
        comparisons=plan.comparisons,
        hits_published=plan.published,
        votes_wanted=plan.comparisons * crowd.assignments * questions,
        crowd_available=available,
        crowd_pending=pending,
        collected=len(rows),
        unread=sum(bool(unread) for _, unread in rows),
        approved=states["Approved"],
        rejected=states["Rejected"],
        votes=sum(given.values()) * questions,
        votes_given=tuple(sorted(Counter(given.values()).items())),
        complete_comparisons=sum(n >= crowd.assignments for n in given.values()),
        spent_usd=states["Approved"] * (crowd.reward_usd + fee),
        committed_usd=plan.spent.total,
    )
