"""What the study's database is asked and told: functions that take a Session."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import bindparam, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, joinedload

from generation.study import UserError
from hit_server.reading import Answer
from hit_server.reclaiming import release
from hit_server.records import (
    Assignment,
    Comparison,
    Hit,
    Placement,
    ShownImage,
    StudyRecord,
    Vote,
    now,
)
from hit_server.registering import new_name
from hit_server.reserving import placements_of

# Statements that every page asks are built once: building one takes longer than running it.
_HIT = (
    select(Hit)
    .where(Hit.public_id == bindparam("name"))
    .options(joinedload(Hit.study, innerjoin=True))
)
_IMAGE = (
    select(ShownImage)
    .where(ShownImage.public_id == bindparam("name"))
    .options(
        joinedload(ShownImage.image, innerjoin=True),
        joinedload(ShownImage.comparison, innerjoin=True),
    )
)
_IMAGES = (
    select(ShownImage)
    .where(ShownImage.comparison_id.in_(bindparam("comparisons", expanding=True)))
    .options(joinedload(ShownImage.image, innerjoin=True))
)


class UnknownStudy(UserError):
    """The database holds no such study."""


@dataclass(frozen=True)
class Submission:
    """A submitted assignment as the crowd reported it, and what could be read from its answer."""

    assignment_id: str
    worker_id: str
    status: str
    accepted_at: datetime | None
    submitted_at: datetime | None
    answer: str
    answers: Sequence[Answer]
    """Empty when there is a problem."""
    problem: str | None


def study_named(session: Session, name: str) -> StudyRecord:
    """A study by its name.

    Raises:
        UnknownStudy: there is none.
    """
    study = session.scalar(select(StudyRecord).where(StudyRecord.name == name))
    if study is None:
        raise UnknownStudy(
            f"study {name!r} is not in the database yet. Run `clearwinner launch` first, and "
            "check CLEARWINNER_DATABASE_URL."
        )
    return study


def find_hit(session: Session, public_id: str) -> Hit | None:
    """A HIT by the name in its page's address."""
    return session.scalar(_HIT, {"name": public_id})


def find_image(session: Session, public_id: str) -> ShownImage | None:
    """An image by the name in its address."""
    return session.scalar(_IMAGE, {"name": public_id})


def images_of(
    session: Session, comparisons: Sequence[Comparison]
) -> dict[int, dict[str, ShownImage]]:
    """Images by the comparison's record and by name, those of its checks included."""
    found: dict[int, dict[str, ShownImage]] = {comparison.id: {} for comparison in comparisons}
    for image in session.scalars(_IMAGES, {"comparisons": list(found)}):
        found[image.comparison_id][image.name] = image
    return found


def unpublished(session: Session, study: StudyRecord) -> list[Comparison]:
    """Comparisons that no HIT shows yet, not even an intended one."""
    statement = (
        select(Comparison)
        .where(Comparison.study_id == study.id, Comparison.hit_record_id.is_(None))
        .order_by(Comparison.id)
    )
    return list(session.scalars(statement))


def hits_of(session: Session, study: StudyRecord, *, settled: bool) -> list[Hit]:
    """The study's HITs that the crowd is known to have (settled), or that are only intended."""
    known = Hit.hit_id.is_not(None) if settled else Hit.hit_id.is_(None)
    return list(
        session.scalars(select(Hit).where(Hit.study_id == study.id, known).order_by(Hit.id))
    )


def intend_hit(
    session: Session,
    study: StudyRecord,
    endpoint: str,
    token: str,
    *,
    comparisons: Sequence[Comparison],
    assignments: int,
    duration_s: int,
    unit_cost: Decimal = Decimal(0),
) -> Hit:
    """Write down that a HIT is about to be asked for; without comparisons it is pooled."""
    hit = Hit(
        study_id=study.id,
        public_id=new_name(),
        endpoint=endpoint,
        token=token,
        pooled=not comparisons,
        assignments=assignments,
        duration_s=duration_s,
        unit_cost=unit_cost,
    )
    hit.comparisons.extend(comparisons)
    session.add(hit)
    session.commit()
    return hit


def settle_hit(session: Session, hit: Hit, hit_id: str, published_at: datetime) -> None:
    """Write down the id that the crowd gave."""
    hit.hit_id, hit.published_at = hit_id, published_at
    session.commit()


def record_assignment(session: Session, hit: Hit, submission: Submission) -> bool:
    """Keep a submitted assignment with its raw answer and votes; True when it is new.

    An assignment that is known only has its status brought up to date.
    """
    known = session.scalar(
        select(Assignment).where(
            Assignment.assignment_id == submission.assignment_id,
            Assignment.worker_id == submission.worker_id,
        )
    )
    if known is not None:
        known.status = submission.status
        if known.status == "Rejected":
            _free(session, known)
        session.commit()
        return False
    assignment = Assignment(
        hit_record_id=hit.id,
        assignment_id=submission.assignment_id,
        worker_id=submission.worker_id,
        status=submission.status,
        accepted_at=submission.accepted_at,
        submitted_at=submission.submitted_at,
        answer=submission.answer,
        problem=submission.problem,
    )
    placements = placements_of(session, submission.assignment_id, submission.worker_id)
    shown = {placement.number: placement for placement in placements}
    for answer in submission.answers:
        placement = shown[answer.number]
        if placement.kind == "vote" and _voted(session, placement):
            continue  # one worker, one vote: raw answers keep the second
        assignment.votes.append(
            Vote(
                comparison_id=placement.comparison_id,
                number=answer.number,
                kind=placement.kind,
                question=answer.question,
                choice=answer.choice,
                places=list(placement.methods),
                milliseconds=answer.milliseconds,
                conditions=answer.conditions,
            )
        )
    if submission.problem or submission.status == "Rejected":
        _free(session, assignment)
    session.add(assignment)
    try:
        session.commit()
    except IntegrityError:
        # Another `collect` was quicker: its row is as good as ours.
        session.rollback()
        return False
    return True


def votes_given(session: Session, study: StudyRecord) -> dict[int, int]:
    """How many workers have judged each comparison, by its record; rejected ones left out."""
    counted = (
        select(Vote.comparison_id, func.count(Vote.assignment_record_id.distinct()))
        .join(Assignment, Vote.assignment_record_id == Assignment.id)
        .join(Hit, Assignment.hit_record_id == Hit.id)
        .where(Hit.study_id == study.id, Vote.kind == "vote", Assignment.status != "Rejected")
        .group_by(Vote.comparison_id)
    )
    given = {row[0]: row[1] for row in session.execute(counted)}
    own = session.scalars(select(Comparison.id).where(Comparison.study_id == study.id))
    return {each: given.get(each, 0) for each in own}


def _voted(session: Session, placement: Placement) -> bool:
    """Whether the worker's vote on a comparison came with another assignment before.

    It happens when time ran out, the worker was given the comparison again, and both came in.
    """
    earlier = (
        select(Vote.id)
        .join(Assignment, Vote.assignment_record_id == Assignment.id)
        .where(
            Vote.comparison_id == placement.comparison_id,
            Vote.kind == "vote",
            Assignment.worker_id == placement.worker_id,
            Assignment.assignment_id != placement.assignment_id,
            Assignment.status != "Rejected",
        )
    )
    return session.scalar(earlier.limit(1)) is not None


def _free(session: Session, assignment: Assignment) -> None:
    """An assignment that gave no votes gives its slots back: another worker shall have them."""
    for placement in placements_of(session, assignment.assignment_id, assignment.worker_id):
        release(session, placement, now())
