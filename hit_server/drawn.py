"""What was drawn for an assignment, as plain values: pages read it at every turn."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import Connection, and_, bindparam, select

from hit_server.records import Assignment, Placement, SavedAnswer

# Built once: building a statement takes longer than running it. Columns and not records: the
# session's objects would take five times as long.
_P, _A, _S = (each.__table__.c for each in (Placement, Assignment, SavedAnswer))
MINE = and_(_P.assignment_id == bindparam("assignment"), _P.worker_id == bindparam("worker"))
"""Of a placement: it was drawn for this worker's assignment."""
SUBMITTED = (
    select(_A.id)
    .where(
        _A.assignment_id == _P.assignment_id,
        _A.worker_id == _P.worker_id,
    )
    .exists()
)
"""Of a placement: its assignment has come in from the crowd."""
_DRAWN = (
    select(
        _P.id,
        _P.comparison_id,
        _P.number,
        _P.kind,
        _P.slot,
        _P.methods,
        _P.questions,
        _P.left_at.is_not(None),
        SUBMITTED,
        _S.question,
        _S.label,
    )
    .outerjoin(SavedAnswer.__table__, _S.placement_id == _P.id)
    .where(MINE)
    .order_by(_P.number)
)
_TO_CHANGE = _DRAWN.with_for_update(of=Placement.__table__)


@dataclass(frozen=True, slots=True)
class Drawn:
    """A placement: a comparison on a worker's page, and what is known of its assignment."""

    id: int | None
    """Of its record; none before it is written."""
    comparison_id: int
    number: int
    kind: str
    slot: int | None
    methods: list[str]
    """Names of the images shown, from the first place (left) to the last."""
    questions: list[str]
    """Keys of the questions in the order asked."""
    left: bool = False
    """Whether its page was closed before all was answered."""
    submitted: bool = False
    """Whether the assignment has come in from the crowd."""
    saved: dict[str, str] = field(default_factory=dict)
    """Labels of the answers so far, by question."""


def drawn_for(
    connection: Connection, assignment_id: str, worker_id: str, *, lock: bool = False
) -> list[Drawn]:
    """What was drawn for a worker's assignment, in the order of its page.

    With `lock`, those who would change it wait for each other on PostgreSQL; SQLite has one
    writer.
    """
    names = {"assignment": assignment_id, "worker": worker_id}
    found: dict[int, Drawn] = {}
    for row in connection.execute(_TO_CHANGE if lock else _DRAWN, names):
        *placement, question, label = row
        if row.id not in found:
            found[row.id] = Drawn(*placement)
        if question is not None:
            found[row.id].saved[question] = label
    return list(found.values())
