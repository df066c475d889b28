"""Reserving: what a worker's assignment shows, drawn when its page is first opened.

Every comparison wants a number of votes, its slots, and each slot has its order of the images
(see `comparisons.slot_order`). A worker who arrives takes a free slot and keeps it; `reclaiming`
tells whose slots are taken back.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sqlalchemy import (
    Connection,
    and_,
    bindparam,
    insert,
    literal_column,
    select,
    union_all,
    update,
)
from sqlalchemy.orm import Session, joinedload

from hit_server.checks import check_for
from hit_server.comparisons import slot_order
from hit_server.database import execute_rows
from hit_server.drawn import MINE, Drawn, drawn_for
from hit_server.known import Known, KnownComparison
from hit_server.reclaiming import (
    NotYours,
    likely_gone,
    own_votes,
    reclaim_expired,
    reclaim_slot,
    release,
    take_from_others,
)
from hit_server.records import Comparison, Hit, Placement, Record, StudyRecord
from hit_server.tasks import Arrival, Task, task_of

__all__ = ["NotYours", "NothingLeft", "place", "placements_of", "reserve"]

# Statements that every page asks are built once: building one takes longer than running it.
_P, _C = Placement.__table__.c, Comparison.__table__.c
# The kind is written out: SQLite plans a statement anew at each turn when a value that it is
# given might choose a partial index.
_HOLDS = and_(_P.kind == literal_column("'vote'"), _P.released_at.is_(None))
_OF_HIT = select(_C.id).where(_C.hit_record_id == bindparam("hit"))
_PLACEMENTS_OF = (
    select(Placement)
    .where(MINE)
    .order_by(Placement.number)
    .options(joinedload(Placement.comparison, innerjoin=True), joinedload(Placement.saved))
)
_COLUMNS = select(
    _P.id,
    _P.assignment_id,
    _P.worker_id,
    _P.hit_record_id,
    _P.comparison_id,
    _P.slot,
    _P.kind,
    _P.released_at.is_(None).label("held"),
)
# Three questions in one: "either, or" has databases read more than they need, or everything.
_AROUND = union_all(
    _COLUMNS.where(_P.assignment_id == bindparam("assignment")),
    _COLUMNS.where(_P.hit_record_id == bindparam("hit"), _P.worker_id == bindparam("worker")),
    _COLUMNS.where(_HOLDS, _P.comparison_id.in_(_OF_HIT)),
)
_TAKEN = select(_P.comparison_id, _P.slot).where(
    _HOLDS, _P.comparison_id.in_(bindparam("comparisons", expanding=True))
)
_TABLES = Record.metadata.tables
_INSERT = insert(_TABLES[Placement.__tablename__]).inline()
_RESERVE = (
    update(_TABLES[Comparison.__tablename__])
    .where(_C.id == bindparam("comparison"))
    .values(reserved=_C.reserved + 1)
)
_SEEN = (
    update(_TABLES[Placement.__tablename__])
    .where(MINE)
    .values(seen_at=bindparam("at"), left_at=None)
)
_H, _STUDY = Hit.__table__.c, StudyRecord.__table__.c
_LOCKED_HIT = select(_H.id).where(_H.id == bindparam("id")).with_for_update()
_LOCKED_STUDY = select(_STUDY.id).where(_STUDY.id == bindparam("id")).with_for_update()

Slots = dict[int, set[int | None]]
"""The slots that somebody has, by comparison."""


class NothingLeft(Exception):
    """There is nothing that this worker could judge now; the message is shown to the worker."""


def placements_of(session: Session, assignment_id: str, worker_id: str) -> list[Placement]:
    """The records of what was drawn for a worker's assignment, in the order of its page."""
    names = {"assignment": assignment_id, "worker": worker_id}
    return list(session.scalars(_PLACEMENTS_OF, names).unique())


def reserve(
    session: Session, hit: Hit, assignment_id: str, worker_id: str, *, at: datetime
) -> list[Placement]:
    """What `place` draws, as records: for whoever works with records and not with pages."""
    session.flush()
    arrival = Arrival(task_of(hit), assignment_id, worker_id)
    place(session.connection(), session, Known(), arrival, at=at)
    # It was written without the session's objects: what they hold is old.
    fresh = _PLACEMENTS_OF.execution_options(populate_existing=True)
    found = session.scalars(fresh, {"assignment": assignment_id, "worker": worker_id})
    placements = list(found.unique())
    session.commit()
    return placements


def place(
    connection: Connection, session: Session, known: Known, arrival: Arrival, *, at: datetime
) -> list[Drawn]:
    """What a worker's assignment shows: drawn at the first call, the same ever after.

    Args:
        connection: to the study's database, in a transaction that the caller commits.
        session: of the same connection, for what is asked so rarely that it may take objects.
        known: what this process remembers of the database's comparisons.
        arrival: the worker's assignment, and the HIT that was accepted.
        at: the present.

    Raises:
        NothingLeft: every comparison that is open was judged by this worker.
        NotYours: somebody else has submitted this assignment.
    """
    task, names = arrival.task, (arrival.assignment_id, arrival.worker_id)
    _wait_for_others(connection, task)
    bound = [] if task.pooled else known.of_hit(connection, task.id)
    around = _around(connection, arrival, bound)
    if around.mine:
        connection.execute(_SEEN, {"assignment": names[0], "worker": names[1], "at": at})
        return drawn_for(connection, *names)
    if around.others:
        take_from_others(session, around.others, arrival.assignment_id, at)
        around = _around(connection, arrival, bound)
    made = _Drawing(connection, session, known, arrival, at).page(bound, around.taken)
    session.flush()
    _write(connection, arrival, made, at)
    return made


def _wait_for_others(connection: Connection, task: Task) -> None:
    """Those who come at once wait for each other on PostgreSQL; SQLite has one writer."""
    if connection.dialect.name == "sqlite":
        return
    if task.pooled:
        connection.execute(_LOCKED_STUDY, {"id": task.study_id})
    else:
        connection.execute(_LOCKED_HIT, {"id": task.id})


@dataclass
class _Around:
    """The placements that decide what an assignment may show."""

    taken: Slots
    mine: bool = False
    """Whether something was drawn for the assignment before."""
    others: set[int] = field(default_factory=set)
    """Records of what the same assignment, or the same worker with this HIT, had reserved."""


def _around(connection: Connection, arrival: Arrival, bound: Sequence[KnownComparison]) -> _Around:
    found = _Around({each.id: set() for each in bound})
    names = {
        "assignment": arrival.assignment_id,
        "worker": arrival.worker_id,
        "hit": arrival.task.id,
    }
    for each in connection.execute(_AROUND, names):
        same = (
            each.assignment_id == arrival.assignment_id,
            each.worker_id == arrival.worker_id,
        )
        if all(same):
            found.mine = True
            continue
        if not each.held:
            continue
        if any(same) and each.hit_record_id == arrival.task.id:
            found.others.add(each.id)
        if each.kind == "vote" and each.comparison_id in found.taken:
            found.taken[each.comparison_id].add(each.slot)
    return found


def _taken(connection: Connection, comparisons: Sequence[KnownComparison]) -> Slots:
    taken: Slots = {each.id: set() for each in comparisons}
    for comparison_id, slot in connection.execute(_TAKEN, {"comparisons": list(taken)}):
        taken[comparison_id].add(slot)
    return taken


@dataclass
class _Drawing:
    """The page of a new assignment, being drawn: comparisons with their slots, and checks."""

    connection: Connection
    session: Session
    known: Known
    arrival: Arrival
    at: datetime

    def page(self, bound: Sequence[KnownComparison], taken: Slots) -> list[Drawn]:
        """Everything on it, in its order."""
        task, chosen = self.arrival.task, list(bound)
        if task.pooled:
            chosen = self.known.named(self.connection, self._open_ones(task.hits.per_hit))
            taken = _taken(self.connection, chosen)
        if not chosen:
            raise NothingLeft(
                "You have judged every comparison that is open now. Thank you. Please return "
                "this HIT."
            )
        votes = [self._vote(each, taken[each.id]) for each in chosen]
        return [
            replace(each, number=number, questions=self._asked(each, number))
            for number, each in enumerate(self._with_checks(chosen, votes), 1)
        ]

    def _open_ones(self, number: int) -> list[int]:
        """The comparisons that a worker shall judge in a pooled HIT."""
        session, task, worker_id = self.session, self.arrival.task, self.arrival.worker_id
        chosen = _least_reserved(session, task, worker_id, number)
        if len(chosen) < number and reclaim_expired(session, task, self.at):
            chosen = _least_reserved(session, task, worker_id, number)
        while len(chosen) < number:
            gone = likely_gone(session, task, worker_id)
            if gone is None:
                break
            release(session, gone, self.at)
            chosen.append(gone.comparison_id)
        return chosen

    def _vote(self, comparison: KnownComparison, taken: set[int | None]) -> Drawn:
        """The first slot that nobody has; when all are taken, that of somebody who is gone."""
        task = self.arrival.task
        slot = next(slot for slot in range(len(taken) + 1) if slot not in taken)
        if slot >= task.votes_wanted:
            gone = reclaim_slot(self.session, task, comparison.id, self.at)
            slot = slot if gone is None else gone
        order = slot_order(
            comparison.methods,
            slot,
            wanted=task.votes_wanted,
            turn=comparison.turn,
            seed=task.seed,
            about=comparison.key,
        )
        return Drawn(None, comparison.id, 0, "vote", slot, order, [])

    def _with_checks(
        self, chosen: Sequence[KnownComparison], votes: Sequence[Drawn]
    ) -> list[Drawn]:
        """The page's comparisons with the checks that the study's seed draws for their slots."""
        task, page = self.arrival.task, list(votes)
        for comparison, vote in zip(chosen, votes, strict=True):
            rng = random.Random(f"{task.seed}|check|{comparison.key}|{vote.slot}")
            if rng.random() < task.hits.checks.share:
                check = check_for(self.session, self.arrival, comparison, votes, rng)
                # A repeat must come after what it repeats.
                first = page.index(vote) + 1 if check.kind == "repeat" else 0
                page.insert(rng.randint(first, len(page)), check)
        return page

    def _asked(self, drawn: Drawn, number: int) -> list[str]:
        """Keys of the questions in the order in which they are asked."""
        task = self.arrival.task
        keys = [question.key for question in task.hits.questions]
        if task.hits.question_order == "random":
            (comparison,) = self.known.named(self.connection, [drawn.comparison_id])
            about = f"{task.seed}|questions|{comparison.key}|{drawn.slot}|{number}"
            random.Random(about).shuffle(keys)
        return keys


def _least_reserved(session: Session, task: Task, worker_id: str, number: int) -> list[int]:
    """Open comparisons that the worker does not have, those that lack most votes first.

    The most lacking first is what keeps the last open votes spread over many comparisons, so
    that few workers suffice to give them.
    """
    statement = (
        select(Comparison.id)
        .where(
            Comparison.study_id == task.study_id,
            Comparison.reserved < task.votes_wanted,
            Comparison.id.not_in(own_votes(worker_id, task)),
        )
        # The key is a hash: a fixed, arbitrary order of equals.
        .order_by(Comparison.reserved, Comparison.key)
        .limit(number)
    )
    return list(session.scalars(statement))


def _write(connection: Connection, arrival: Arrival, made: Sequence[Drawn], at: datetime) -> None:
    """Insert what was drawn, and count its votes."""
    task = arrival.task
    same = {
        "hit_record_id": task.id,
        "assignment_id": arrival.assignment_id,
        "worker_id": arrival.worker_id,
        "drawn_at": at,
        "seen_at": at,
        "reserved_until": at + timedelta(seconds=task.duration_s),
    }
    columns = ("comparison_id", "number", "kind", "slot", "methods", "questions")
    rows = [same | {name: getattr(each, name) for name in columns} for each in made]
    execute_rows(connection, _INSERT, rows)
    votes = [{"comparison": each.comparison_id} for each in made if each.kind == "vote"]
    execute_rows(connection, _RESERVE, votes)
