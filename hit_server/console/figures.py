"""What the console shows of a study, counted from its records."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from statistics import median

from sqlalchemy import func, select
from sqlalchemy.orm import Session, joinedload

from hit_server.checks import passed
from hit_server.hits import hits_of_record
from hit_server.reading import NONE
from hit_server.records import Assignment, Comparison, Hit, Placement, StudyRecord, Vote
from hit_server.store import votes_given
from hit_server.tokens import worker_hash


@dataclass(frozen=True)
class Progress:
    """How far a study is."""

    comparisons: int
    hits: int
    published: int
    wanted: int
    """Assignments that the HITs ask for."""
    opened: int
    """Assignments whose page was opened."""
    collected: int
    unread: int
    approved: int
    rejected: int
    votes_given: tuple[tuple[int, int], ...]
    """Workers who judged a comparison, and how many comparisons have so many."""
    spent: Decimal
    """Dollars for approved assignments, fees included."""
    committed: Decimal
    """Dollars when every assignment is approved."""
    closed: bool

    @property
    def share(self) -> float:
        """Collected assignments of those wanted, 0 to 1."""
        return min(1.0, self.collected / self.wanted) if self.wanted else 0.0


@dataclass(frozen=True)
class Share:
    """Votes of one question about the methods that meet."""

    question: str
    methods: tuple[str, ...]
    counts: tuple[tuple[str, int], ...]
    """Each method and "none", with its votes."""

    @property
    def total(self) -> int:
        """All votes."""
        return sum(count for _, count in self.counts)


@dataclass(frozen=True)
class WorkerRow:
    """What one worker did in a study; the worker is a keyed hash."""

    worker: str
    assignments: int
    votes: int
    seconds: float | None
    """Median from shown to answered."""
    agreement: float | None
    """Share of votes that are what most others said of the same comparison."""
    checks: int
    failed: int
    first_place: float
    """Share of votes for the first place."""
    ties: float
    repeats: int
    repeated: int
    """Repeats answered as before."""
    flagged: int


def progress(session: Session, study: StudyRecord) -> Progress:
    """Count a study's records."""
    hits = session.scalars(select(Hit).where(Hit.study_id == study.id)).all()
    cost = {hit.id: hit.unit_cost for hit in hits}
    rows = session.execute(
        select(Assignment.status, Assignment.problem, Assignment.hit_record_id)
        .join(Hit)
        .where(Hit.study_id == study.id)
    ).all()
    states = Counter(row.status for row in rows)
    given = votes_given(session, study)
    opened = session.scalar(
        select(func.count(Placement.assignment_id.distinct()))
        .join(Hit, Placement.hit_record_id == Hit.id)
        .where(Hit.study_id == study.id, Placement.released_at.is_(None))
    )
    return Progress(
        comparisons=len(given),
        hits=len(hits),
        published=sum(hit.hit_id is not None for hit in hits),
        wanted=sum(hit.assignments for hit in hits),
        opened=opened or 0,
        collected=len(rows),
        unread=sum(row.problem is not None for row in rows),
        approved=states["Approved"],
        rejected=states["Rejected"],
        votes_given=tuple(sorted(Counter(given.values()).items())),
        spent=sum((cost[r.hit_record_id] for r in rows if r.status == "Approved"), Decimal(0)),
        committed=sum((hit.unit_cost * hit.assignments for hit in hits), Decimal(0)),
        closed=study.closed_at is not None,
    )


def shares(session: Session, study: StudyRecord) -> list[Share]:
    """The votes so far, by question and methods that meet. Not an analysis: no intervals."""
    counts: dict[tuple[str, tuple[str, ...]], Counter[str]] = defaultdict(Counter)
    for vote, comparison in _votes(session, study):
        if vote.kind == "vote":
            counts[vote.question, tuple(comparison.methods)][vote.choice] += 1
    order = [question.key for question in hits_of_record(study.hits).questions]
    found = []
    for (question, methods), count in sorted(
        counts.items(), key=lambda item: (order.index(item[0][0]), item[0][1])
    ):
        found.append(Share(question, methods, tuple((n, count[n]) for n in (*methods, NONE))))
    return found


def workers(session: Session, study: StudyRecord, secret: str) -> list[WorkerRow]:
    """What each worker did, those with most votes first."""
    votes = _votes(session, study)
    check_question = hits_of_record(study.hits).check_question
    said: dict[tuple[int, str], Counter[str]] = defaultdict(Counter)
    first: dict[tuple[str, int, str], str] = {}
    by_worker: dict[str, list[Vote]] = defaultdict(list)
    for vote, _ in votes:
        worker = vote.assignment.worker_id
        by_worker[worker].append(vote)
        if vote.kind == "vote":
            said[vote.comparison_id, vote.question][vote.choice] += 1
            first[worker, vote.comparison_id, vote.question] = vote.choice
    rows = []
    for worker, own in by_worker.items():
        plain = [vote for vote in own if vote.kind == "vote"]
        results = [passed(v.kind, v.question, v.choice, check_question=check_question) for v in own]
        times = [vote.milliseconds for vote in plain if vote.milliseconds is not None]
        agreed = [each for vote in plain if (each := _agrees(vote, said)) is not None]
        repeats = [
            first[worker, vote.comparison_id, vote.question] == vote.choice
            for vote in own
            if vote.kind == "repeat" and (worker, vote.comparison_id, vote.question) in first
        ]
        assignments = {vote.assignment.id: vote.assignment for vote in own}
        rows.append(
            WorkerRow(
                worker=worker_hash(secret, worker),
                assignments=len(assignments),
                votes=len(plain),
                seconds=median(times) / 1000 if times else None,
                agreement=sum(agreed) / len(agreed) if agreed else None,
                checks=sum(result is not None for result in results),
                failed=sum(result is False for result in results),
                first_place=_share(plain, lambda vote: vote.choice == vote.places[0]),
                ties=_share(plain, lambda vote: vote.choice == NONE),
                repeats=len(repeats),
                repeated=sum(repeats),
                flagged=sum(bool(each.flag) for each in assignments.values()),
            )
        )
    return sorted(rows, key=lambda row: -row.votes)


def _share(votes: Sequence[Vote], counts: Callable[[Vote], bool]) -> float:
    return sum(counts(vote) for vote in votes) / len(votes) if votes else 0.0


def _agrees(vote: Vote, said: dict[tuple[int, str], Counter[str]]) -> bool | None:
    """Whether a vote is what most others said; None where there are none, or no most."""
    others = said[vote.comparison_id, vote.question].copy()
    others[vote.choice] -= 1
    ranked = [entry for entry in others.most_common() if entry[1] > 0]
    if not ranked or (len(ranked) > 1 and ranked[0][1] == ranked[1][1]):
        return None
    return ranked[0][0] == vote.choice


def _votes(session: Session, study: StudyRecord) -> list[tuple[Vote, Comparison]]:
    rows = session.execute(
        select(Vote, Comparison)
        .join(Comparison, Vote.comparison_id == Comparison.id)
        .join(Assignment, Vote.assignment_record_id == Assignment.id)
        .where(Comparison.study_id == study.id, Assignment.status != "Rejected")
        .options(joinedload(Vote.assignment))
        .order_by(Vote.id)
    )
    return [(row[0], row[1]) for row in rows]
