"""Reserving: what a worker's assignment shows, drawn when its page is first opened.

Every comparison wants a number of votes, its slots, and each slot has its order of the images
(see `comparisons.slot_order`). A worker who arrives takes a free slot and keeps it. The crowd
does not tell who returned a HIT or let its time run out, so slots are taken back from those who,
as far as anybody can know, are gone.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, bindparam, func, insert, or_, select, update
from sqlalchemy.orm import Session, joinedload

from hit_server.checks import check_for
from hit_server.comparisons import slot_order
from hit_server.hits import Hits, hits_of_record
from hit_server.records import Assignment, Comparison, Hit, Placement, Record, StudyRecord

# Statements that every page asks are built once: building one takes longer than running it.
_MINE = and_(
    Placement.assignment_id == bindparam("assignment"), Placement.worker_id == bindparam("worker")
)
_IN_THE_WAY = and_(
    Placement.hit_record_id == bindparam("hit"),
    Placement.released_at.is_(None),
    or_(
        Placement.assignment_id == bindparam("assignment"),
        Placement.worker_id == bindparam("worker"),
    ),
)
_PLACEMENTS = (
    select(Placement)
    .order_by(Placement.number)
    .options(joinedload(Placement.comparison, innerjoin=True), joinedload(Placement.saved))
)
_PLACEMENTS_OF = _PLACEMENTS.where(_MINE)
_PLACEMENTS_TO_CHANGE = _PLACEMENTS_OF.with_for_update(of=Placement)
_PLACEMENTS_AROUND = _PLACEMENTS.where(or_(_MINE, _IN_THE_WAY))
_SUBMITTED = select(Assignment.id).where(
    Assignment.assignment_id == bindparam("assignment"), Assignment.worker_id == bindparam("worker")
)
_TAKEN = select(Placement.comparison_id, Placement.slot).where(
    Placement.comparison_id.in_(bindparam("comparisons", expanding=True)),
    Placement.kind == "vote",
    Placement.released_at.is_(None),
)
_TABLES = Record.metadata.tables
_INSERT = insert(_TABLES[Placement.__tablename__])
_RESERVE = (
    update(_TABLES[Comparison.__tablename__])
    .where(Comparison.id.in_(bindparam("comparisons", expanding=True)))
    .values(reserved=Comparison.reserved + 1)
)
_LOCKED_HIT = select(Hit.id).where(Hit.id == bindparam("id")).with_for_update()
_LOCKED_STUDY = select(StudyRecord.id).where(StudyRecord.id == bindparam("id")).with_for_update()

GRACE = timedelta(minutes=5)
"""After an assignment's time ran out, before its slots are taken back."""


class NothingLeft(Exception):
    """There is nothing that this worker could judge now; the message is shown to the worker."""


class NotYours(Exception):
    """The assignment is another worker's, who has submitted it."""


def placements_of(
    session: Session, assignment_id: str, worker_id: str, *, lock: bool = False
) -> list[Placement]:
    """What was drawn for a worker's assignment, in the order of its page.

    With `lock`, those who would change it wait for each other on PostgreSQL; SQLite has one
    writer.
    """
    names = {"assignment": assignment_id, "worker": worker_id}
    found = session.scalars(_PLACEMENTS_TO_CHANGE if lock else _PLACEMENTS_OF, names)
    return list(found.unique())


def reserve(
    session: Session, hit: Hit, assignment_id: str, worker_id: str, *, at: datetime
) -> list[Placement]:
    """What a worker's assignment shows: drawn at the first call, the same ever after.

    What was drawn at this call is written, but not among the session's objects: whoever wants to
    change it reads it again, see `placements_of`.

    Args:
        session: of the study's database.
        hit: that the worker accepted.
        assignment_id: the crowd's.
        worker_id: the crowd's.
        at: the present.

    Raises:
        NothingLeft: every comparison that is open was judged by this worker.
        NotYours: somebody else has submitted this assignment.
    """
    _wait_for_others(session, hit)
    names = {"assignment": assignment_id, "worker": worker_id, "hit": hit.id}
    found = session.scalars(_PLACEMENTS_AROUND, names).unique().all()
    there = [
        each for each in found if (each.assignment_id, each.worker_id) == (assignment_id, worker_id)
    ]
    if there:
        for placement in there:
            placement.seen_at, placement.left_at = at, None
        session.commit()
        return there
    _take_from_others(session, found, assignment_id, at)
    made = _draw(session, hit, assignment_id, worker_id, at)
    _write(session, made)
    session.commit()
    return made


def _write(session: Session, made: Sequence[Placement]) -> None:
    """Insert placements that were drawn, and count their votes."""
    columns = [column.key for column in Placement.__table__.columns if column.key != "id"]
    session.execute(_INSERT, [{name: getattr(each, name) for name in columns} for each in made])
    votes = [each.comparison for each in made if each.kind == "vote"]
    session.execute(_RESERVE, {"comparisons": [each.id for each in votes]})
    for comparison in votes:
        session.expire(comparison, ["reserved"])


def _wait_for_others(session: Session, hit: Hit) -> None:
    """Those who come at once wait for each other on PostgreSQL; SQLite has one writer."""
    if session.get_bind().dialect.name == "sqlite":
        return
    if hit.pooled:
        session.execute(_LOCKED_STUDY, {"id": hit.study_id})
    else:
        session.execute(_LOCKED_HIT, {"id": hit.id})


def _draw(
    session: Session, hit: Hit, assignment_id: str, worker_id: str, at: datetime
) -> list[Placement]:
    """The page of a new assignment: comparisons with their slots, and checks."""
    hits = hits_of_record(hit.study.hits)
    chosen = _open_for(session, hit, worker_id, hits.per_hit, at)
    if not chosen:
        raise NothingLeft(
            "You have judged every comparison that is open now. Thank you. Please return this HIT."
        )
    taken = _taken(session, chosen)
    made: list[Placement] = []
    for comparison in chosen:
        slot = _free_slot(session, hit, comparison, taken[comparison.id], at)
        made.append(_vote(hit, comparison, slot, assignment_id, worker_id, at))
    made = _with_checks(session, hit, hits, made)
    for number, placement in enumerate(made, 1):
        placement.number = number
        placement.questions = _asked(hits, hit.study.seed, placement)
    return made


def release(session: Session, placement: Placement, at: datetime) -> None:
    """Give a placement's slot back."""
    if placement.released_at is None:
        placement.released_at = at
        if placement.kind == "vote":
            placement.comparison.reserved = Comparison.reserved - 1
        session.flush()


def _take_from_others(
    session: Session, others: Sequence[Placement], assignment_id: str, at: datetime
) -> None:
    """Release what the same assignment, or the same worker with this HIT before, had reserved.

    A crowd may give the id of a returned assignment to the next worker; and a worker who comes
    again to the same HIT under a new id has returned it.
    """
    for placement in others:
        if submitted(session, placement):
            if placement.assignment_id == assignment_id:
                raise NotYours("This assignment was submitted by another worker.")
            continue
        release(session, placement, at)


def _open_for(
    session: Session, hit: Hit, worker_id: str, number: int, at: datetime
) -> list[Comparison]:
    """The comparisons that a worker shall judge in this HIT."""
    if not hit.pooled:
        return list(hit.comparisons)
    study = hit.study
    chosen = _least_reserved(session, study, worker_id, number)
    if len(chosen) < number and _reclaim_expired(session, study, at):
        chosen = _least_reserved(session, study, worker_id, number)
    while len(chosen) < number:
        gone = _likely_gone(session, study, worker_id)
        if gone is None:
            break
        release(session, gone, at)
        chosen.append(gone.comparison)
    return chosen


def _own(worker_id: str, study: StudyRecord) -> Any:
    return (
        select(Placement.comparison_id)
        .join(Comparison)
        .where(
            Comparison.study_id == study.id,
            Placement.worker_id == worker_id,
            Placement.kind == "vote",
            Placement.released_at.is_(None),
        )
    )


def _least_reserved(
    session: Session, study: StudyRecord, worker_id: str, number: int
) -> list[Comparison]:
    """Open comparisons that the worker does not have, those that lack most votes first.

    The most lacking first is what keeps the last open votes spread over many comparisons, so
    that few workers suffice to give them.
    """
    statement = (
        select(Comparison)
        .where(
            Comparison.study_id == study.id,
            Comparison.reserved < study.votes_wanted,
            Comparison.id.not_in(_own(worker_id, study)),
        )
        # The key is a hash: a fixed, arbitrary order of equals.
        .order_by(Comparison.reserved, Comparison.key)
        .limit(number)
    )
    return list(session.scalars(statement))


def _held(study: StudyRecord) -> Any:
    """Placements that hold a slot and whose assignment was not submitted as far as known."""
    given = select(Assignment.id).where(
        Assignment.assignment_id == Placement.assignment_id,
        Assignment.worker_id == Placement.worker_id,
    )
    return (
        select(Placement)
        .join(Comparison)
        .where(
            Comparison.study_id == study.id,
            Placement.kind == "vote",
            Placement.released_at.is_(None),
            ~given.exists(),
        )
    )


def _reclaim_expired(session: Session, study: StudyRecord, at: datetime) -> int:
    """Take back what was reserved for assignments whose time is over and nothing was saved."""
    gone = [
        each
        for each in session.scalars(_held(study).where(Placement.reserved_until < at - GRACE))
        if not _answered(each)
    ]
    for placement in gone:
        release(session, placement, at)
    return len(gone)


def _likely_gone(session: Session, study: StudyRecord, worker_id: str) -> Placement | None:
    """Whose slot a further worker takes when all are taken.

    The crowd sends as many workers as there are slots. When all are reserved and one more worker
    comes, somebody has gone without a word.
    """
    wanted = select(func.count(Comparison.id) * study.votes_wanted, func.sum(Comparison.reserved))
    slots, reserved = session.execute(wanted.where(Comparison.study_id == study.id)).one()
    if reserved < slots:
        return None
    open_ones = session.scalars(
        _held(study).where(Placement.comparison_id.not_in(_own(worker_id, study)))
    ).all()
    return _stalest(open_ones)


def _stalest(placements: Sequence[Placement]) -> Placement | None:
    """Whose page was closed unfinished; else the unfinished one that was seen longest ago."""

    def rank(placement: Placement) -> tuple[bool, bool, datetime]:
        return _answered(placement), placement.left_at is None, placement.seen_at

    return min(placements, key=rank, default=None)


def _answered(placement: Placement) -> bool:
    return len(placement.saved) >= len(placement.questions)


def submitted(session: Session, placement: Placement) -> bool:
    """Whether the assignment of a placement has come in from the crowd."""
    names = {"assignment": placement.assignment_id, "worker": placement.worker_id}
    return session.scalar(_SUBMITTED, names) is not None


def _vote(
    hit: Hit,
    comparison: Comparison,
    slot: int,
    assignment_id: str,
    worker_id: str,
    at: datetime,
) -> Placement:
    """Take a slot of a comparison."""
    study = hit.study
    order = slot_order(
        comparison.methods,
        slot,
        wanted=study.votes_wanted,
        turn=comparison.turn,
        seed=study.seed,
        about=comparison.key,
    )
    return Placement(
        comparison=comparison,
        comparison_id=comparison.id,
        hit=hit,
        hit_record_id=hit.id,
        assignment_id=assignment_id,
        worker_id=worker_id,
        kind="vote",
        slot=slot,
        methods=order,
        questions=[],
        drawn_at=at,
        seen_at=at,
        reserved_until=at + timedelta(seconds=hit.duration_s),
        saved=[],
    )


def _taken(session: Session, comparisons: Sequence[Comparison]) -> dict[int, set[int | None]]:
    """The slots that somebody has, by comparison."""
    taken: dict[int, set[int | None]] = {comparison.id: set() for comparison in comparisons}
    for comparison_id, slot in session.execute(_TAKEN, {"comparisons": list(taken)}):
        taken[comparison_id].add(slot)
    return taken


def _free_slot(
    session: Session, hit: Hit, comparison: Comparison, taken: set[int | None], at: datetime
) -> int:
    """The first slot that nobody has; when all are taken, that of somebody who is gone."""
    study = hit.study
    free = next(slot for slot in range(len(taken) + 1) if slot not in taken)
    if free < study.votes_wanted:
        return free
    held = session.scalars(_held(study).where(Placement.comparison_id == comparison.id)).all()
    over = [each for each in held if each.reserved_until < at - GRACE]
    gone = _stalest(over or held)
    if gone is None or gone.slot is None:
        return free
    release(session, gone, at)
    return gone.slot


def _with_checks(session: Session, hit: Hit, hits: Hits, votes: list[Placement]) -> list[Placement]:
    """The page's comparisons with the checks that the study's seed draws for their slots."""
    page = list(votes)
    for vote in votes:
        rng = random.Random(f"{hit.study.seed}|check|{vote.comparison.key}|{vote.slot}")
        if rng.random() < hits.checks.share:
            check = check_for(session, vote, votes, hits.checks.kinds, rng)
            # A repeat must come after what it repeats.
            first = page.index(vote) + 1 if check.kind == "repeat" else 0
            page.insert(rng.randint(first, len(page)), check)
    return page


def _asked(hits: Hits, seed: int, placement: Placement) -> list[str]:
    """Keys of the questions in the order in which they are asked."""
    keys = [question.key for question in hits.questions]
    if hits.question_order == "random":
        about = f"{seed}|questions|{placement.comparison.key}|{placement.slot}|{placement.number}"
        random.Random(about).shuffle(keys)
    return keys
