"""What the study's database is asked and told: functions that take a Session."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from generation.manifest import ManifestRow
from generation.study import StudyFile, UserError
from hit_server.comparisons import comparison_key, draw_order, judged, scenes
from hit_server.hits import checked_hits
from hit_server.records import (
    Assignment,
    Comparison,
    Hit,
    ImageRecord,
    Placement,
    StudyRecord,
    Vote,
)


class UnknownStudy(UserError):
    """The database holds no such study."""


@dataclass(frozen=True)
class VoteAnswer:
    """A readable answer to one question: the method chosen (or "none"), and how long it took."""

    choice: str
    milliseconds: int | None


@dataclass(frozen=True)
class Submission:
    """A submitted assignment as the crowd reported it, and what could be read from its answer."""

    assignment_id: str
    worker_id: str
    status: str
    accepted_at: datetime | None
    submitted_at: datetime | None
    answer: str
    places: Sequence[str]
    """The methods as they were shown."""
    votes: Mapping[str, VoteAnswer]
    """By question; empty when there is a problem."""
    problem: str | None


def register_study(
    session: Session, file: StudyFile, rows: Sequence[ManifestRow], folder: Path
) -> StudyRecord:
    """Write a study and the comparisons whose images all exist; again and again adds what is new.

    Images that were replaced since are taken over as long as no HIT shows them.

    Raises:
        StudyError: the table `[hits]` does not hold.
    """
    hits = checked_hits(file)
    study = session.scalar(select(StudyRecord).where(StudyRecord.name == file.study.name))
    if study is None:
        study = StudyRecord(name=file.study.name, seed=file.study.seed)
        session.add(study)
    study.title, study.hits = file.study.title, hits.model_dump()
    study.digest = file.digest
    session.flush()
    _register_images(session, study, rows, folder)
    there = list(session.scalars(select(Comparison).where(Comparison.study_id == study.id)))
    known = {comparison.key for comparison in there}
    already = {(comparison.prompt_id, comparison.seed) for comparison in there}
    wanted = judged(scenes(rows), hits.pairs, seed=file.study.seed, already=already)
    for scene, by_method in wanted.items():
        for group in hits.comparisons:
            key = comparison_key(scene, group)
            if key in known or not all(name in by_method for name in group):
                continue
            row = by_method[group[0]]
            session.add(
                Comparison(
                    public_id=secrets.token_hex(12),
                    study_id=study.id,
                    key=key,
                    prompt_id=row.prompt_id,
                    prompt=row.prompt,
                    category=row.category,
                    seed=row.seed,
                    methods=list(group),
                )
            )
    session.commit()
    return study


def _register_images(
    session: Session, study: StudyRecord, rows: Sequence[ManifestRow], folder: Path
) -> None:
    present = {
        (image.prompt_id, image.seed, image.method): image
        for image in session.scalars(select(ImageRecord).where(ImageRecord.study_id == study.id))
    }
    published = {
        (comparison.prompt_id, comparison.seed, method)
        for comparison in session.scalars(
            select(Comparison).join(Hit).where(Comparison.study_id == study.id)
        )
        for method in comparison.methods
    }
    for row in rows:
        image = present.get(row.scene)
        if image is None:
            # A random public name: nothing in an address may betray the method.
            image = ImageRecord(public_id=secrets.token_hex(12), study_id=study.id)
            image.prompt_id, image.seed, image.method = row.scene
            session.add(image)
        elif row.scene in published:
            continue
        image.sha256, image.path = row.sha256, str((folder / row.path).resolve())
        image.width, image.height = row.width, row.height
    session.flush()


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


def find_comparison(session: Session, public_id: str) -> Comparison | None:
    """A comparison by the name in its HIT's address."""
    return session.scalar(select(Comparison).where(Comparison.public_id == public_id))


def find_image(session: Session, public_id: str) -> ImageRecord | None:
    """An image by the name in its address."""
    return session.scalar(select(ImageRecord).where(ImageRecord.public_id == public_id))


def images_of(session: Session, comparison: Comparison) -> dict[str, ImageRecord]:
    """The images that meet, by method."""
    found = session.scalars(
        select(ImageRecord).where(
            ImageRecord.study_id == comparison.study_id,
            ImageRecord.prompt_id == comparison.prompt_id,
            ImageRecord.seed == comparison.seed,
            ImageRecord.method.in_(comparison.methods),
        )
    )
    return {image.method: image for image in found}


def opened_by(session: Session, study_id: int, worker_id: str) -> set[str]:
    """Assignments of a study whose page a worker has opened."""
    return set(
        session.scalars(
            select(Placement.assignment_id)
            .join(Comparison)
            .where(Comparison.study_id == study_id, Placement.worker_id == worker_id)
        )
    )


def placement_for(
    session: Session, comparison: Comparison, assignment_id: str, worker_id: str
) -> Placement | None:
    """The placement that was drawn for a worker's assignment, if one was."""
    return session.scalar(
        select(Placement).where(
            Placement.comparison_id == comparison.id,
            Placement.assignment_id == assignment_id,
            Placement.worker_id == worker_id,
        )
    )


def place(
    session: Session, comparison: Comparison, assignment_id: str, worker_id: str
) -> Placement:
    """The placement of a worker's assignment: drawn at the first call, the same ever after."""
    # The row lock makes two first calls on PostgreSQL count each other; SQLite has one writer.
    session.execute(select(Comparison.id).where(Comparison.id == comparison.id).with_for_update())
    existing = placement_for(session, comparison, assignment_id, worker_id)
    if existing is not None:
        return existing
    used = session.scalars(
        select(Placement.methods).where(Placement.comparison_id == comparison.id)
    ).all()
    order = draw_order(
        comparison.methods,
        used,
        seed=comparison.study.seed,
        about=f"{comparison.key}|{len(used)}",
    )
    placement = Placement(
        comparison_id=comparison.id,
        assignment_id=assignment_id,
        worker_id=worker_id,
        methods=order,
    )
    session.add(placement)
    session.commit()
    return placement


def unpublished(session: Session, study: StudyRecord) -> list[Comparison]:
    """Comparisons that have no HIT yet, not even an intended one."""
    statement = (
        select(Comparison)
        .outerjoin(Hit)
        .where(Comparison.study_id == study.id, Hit.id.is_(None))
        .order_by(Comparison.id)
    )
    return list(session.scalars(statement))


def hits_of(session: Session, study: StudyRecord, *, settled: bool) -> list[Hit]:
    """The study's HITs that the crowd is known to have (settled), or that are only intended."""
    known = Hit.hit_id.is_not(None) if settled else Hit.hit_id.is_(None)
    statement = (
        select(Hit).join(Comparison).where(Comparison.study_id == study.id, known).order_by(Hit.id)
    )
    return list(session.scalars(statement))


def intend_hit(session: Session, comparison: Comparison, endpoint: str, token: str) -> Hit:
    """Write down that a HIT is about to be asked for."""
    hit = Hit(comparison_id=comparison.id, endpoint=endpoint, token=token)
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
    for question, vote in submission.votes.items():
        assignment.votes.append(
            Vote(
                comparison_id=hit.comparison_id,
                question=question,
                choice=vote.choice,
                places=list(submission.places),
                milliseconds=vote.milliseconds,
            )
        )
    session.add(assignment)
    try:
        session.commit()
    except IntegrityError:
        # Another `collect` was quicker: its row is as good as ours.
        session.rollback()
        return False
    return True
