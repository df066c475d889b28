"""Every table of the study's database.

Times are UTC. A study's database holds one or many studies; everything hangs on `studies.id`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    JSON,
    DateTime,
    ForeignKey,
    Index,
    MetaData,
    Numeric,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlalchemy.types import TypeDecorator

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class UtcDateTime(TypeDecorator[datetime]):
    """A time with its zone on every database: SQLite forgets the zone, this puts UTC back."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        """Refuse a time without a zone; store UTC."""
        if value is not None and value.tzinfo is None:
            raise ValueError(f"a time without a zone: {value!r}")
        return value.astimezone(UTC) if value is not None else None

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:
        """Give the zone back."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def now() -> datetime:
    """The present, in UTC."""
    return datetime.now(UTC)


class Record(DeclarativeBase):
    """Base of all records; constraints have stable names so that migrations can find them."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {datetime: UtcDateTime, dict[str, Any]: JSON, list[str]: JSON}  # noqa: RUF012


class StudyRecord(Record):
    """A study that was registered from its study file."""

    __tablename__ = "studies"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(63), unique=True)
    title: Mapped[str] = mapped_column(String(128))
    seed: Mapped[int]
    hits: Mapped[dict[str, Any]]
    """The checked table `[hits]` as published: the page reads questions and wording from here."""
    digest: Mapped[str] = mapped_column(String(64))
    votes_wanted: Mapped[int] = mapped_column(default=10)
    """Different workers for each comparison, as last launched."""
    created_at: Mapped[datetime] = mapped_column(default=now)
    closed_at: Mapped[datetime | None]
    """When its HITs were ended; who launches more opens it again."""

    comparisons: Mapped[list[Comparison]] = relationship(
        back_populates="study", order_by="Comparison.id"
    )


class ImageRecord(Record):
    """An image of the manifest."""

    __tablename__ = "images"
    __table_args__ = (UniqueConstraint("study_id", "prompt_id", "seed", "method"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[int] = mapped_column(ForeignKey("studies.id"))
    prompt_id: Mapped[str] = mapped_column(String(64))
    seed: Mapped[int]
    method: Mapped[str] = mapped_column(String(64))
    sha256: Mapped[str] = mapped_column(String(64))
    path: Mapped[str] = mapped_column(Text)
    """Where the PNG lies (absolute path)."""
    width: Mapped[int]
    height: Mapped[int]


class Comparison(Record):
    """Two or three images of one prompt and seed that meet."""

    __tablename__ = "comparisons"

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(String(32), unique=True)
    study_id: Mapped[int] = mapped_column(ForeignKey("studies.id"))
    key: Mapped[str] = mapped_column(String(64))
    """Hash of prompt, seed and methods: registering twice finds the same comparison."""
    prompt_id: Mapped[str] = mapped_column(String(64))
    prompt: Mapped[str] = mapped_column(Text)
    category: Mapped[str] = mapped_column(Text, default="")
    seed: Mapped[int]
    methods: Mapped[list[str]]
    """The methods that meet, in the study file's order (not the order shown)."""
    turn: Mapped[int] = mapped_column(default=0)
    """Which comparison of its methods it is: what one leaves unbalanced, the next makes good."""
    hit_record_id: Mapped[int | None] = mapped_column(ForeignKey("hits.id"), index=True)
    """The HIT that shows it; none where the server decides when a worker arrives."""
    reserved: Mapped[int] = mapped_column(default=0)
    """Votes that are given or on the way."""

    study: Mapped[StudyRecord] = relationship(back_populates="comparisons")
    hit: Mapped[Hit | None] = relationship(back_populates="comparisons")
    __table_args__ = (UniqueConstraint("study_id", "key"),)


class ShownImage(Record):
    """An image in one comparison, under the random name by which browsers ask for it there.

    The same image has another name in each comparison, so that nobody can follow a method from
    one HIT to the next.
    """

    __tablename__ = "shown_images"
    __table_args__ = (UniqueConstraint("comparison_id", "name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(String(32), unique=True)
    comparison_id: Mapped[int] = mapped_column(ForeignKey("comparisons.id"), index=True)
    image_id: Mapped[int] = mapped_column(ForeignKey("images.id"))
    name: Mapped[str] = mapped_column(String(80))
    """The method; for check comparisons the method and "#copy", or "#distractor"."""

    image: Mapped[ImageRecord] = relationship()
    comparison: Mapped[Comparison] = relationship()


class Hit(Record):
    """A HIT: written down before it is asked for, settled after."""

    __tablename__ = "hits"

    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[int] = mapped_column(ForeignKey("studies.id"), index=True)
    public_id: Mapped[str] = mapped_column(String(32), unique=True)
    """Its name in its page's address."""
    endpoint: Mapped[str] = mapped_column(String(255))
    token: Mapped[str] = mapped_column(String(64), unique=True)
    """UniqueRequestToken and RequesterAnnotation: the same at every try."""
    pooled: Mapped[bool] = mapped_column(default=False)
    """Whether the server decides what to show when a worker arrives."""
    assignments: Mapped[int]
    """Workers that the crowd sends, as first asked for."""
    duration_s: Mapped[int]
    """Seconds that a worker has."""
    unit_cost: Mapped[Decimal] = mapped_column(Numeric(12, 4), default=Decimal(0))
    """Dollars that one approved assignment costs, fee included."""
    hit_id: Mapped[str | None] = mapped_column(String(64), unique=True)
    """The crowd's id; empty while only intended."""
    intended_at: Mapped[datetime] = mapped_column(default=now)
    published_at: Mapped[datetime | None]

    study: Mapped[StudyRecord] = relationship()
    comparisons: Mapped[list[Comparison]] = relationship(
        back_populates="hit", order_by="Comparison.id"
    )
    """What it shows; empty when it is pooled."""
    given: Mapped[list[Assignment]] = relationship(back_populates="hit")


_HELD = text("released_at IS NULL AND kind = 'vote'")


class Placement(Record):
    """A comparison on a worker's page, and who is on which side: drawn once, kept for ever.

    It reserves the comparison for the worker until it is released: because the crowd gave the
    assignment to somebody else, or its time ran out.
    """

    __tablename__ = "placements"
    __table_args__ = (
        UniqueConstraint("assignment_id", "worker_id", "number"),
        # One worker judges a comparison once, and each of its places is taken once.
        Index(
            "uq_placements_worker",
            "comparison_id",
            "worker_id",
            unique=True,
            sqlite_where=_HELD,
            postgresql_where=_HELD,
        ),
        Index(
            "uq_placements_slot",
            "comparison_id",
            "slot",
            unique=True,
            sqlite_where=_HELD,
            postgresql_where=_HELD,
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    comparison_id: Mapped[int] = mapped_column(ForeignKey("comparisons.id"), index=True)
    hit_record_id: Mapped[int] = mapped_column(ForeignKey("hits.id"), index=True)
    assignment_id: Mapped[str] = mapped_column(String(64))
    worker_id: Mapped[str] = mapped_column(String(64), index=True)
    number: Mapped[int] = mapped_column(default=1)
    """Its turn on the page, from 1."""
    kind: Mapped[str] = mapped_column(String(16), default="vote")
    """vote; or a check: same, distractor, repeat."""
    slot: Mapped[int | None]
    """Which of the comparison's votes it is, from 0; none for checks."""
    methods: Mapped[list[str]]
    """Names of the images shown, from the first place (left) to the last."""
    questions: Mapped[list[str]]
    """Keys of the questions in the order asked."""
    drawn_at: Mapped[datetime] = mapped_column(default=now)
    seen_at: Mapped[datetime] = mapped_column(default=now)
    """When the worker's page last asked for it or answered."""
    left_at: Mapped[datetime | None]
    """When the worker's page was closed before all was answered."""
    reserved_until: Mapped[datetime]
    released_at: Mapped[datetime | None]

    comparison: Mapped[Comparison] = relationship()
    hit: Mapped[Hit] = relationship()
    saved: Mapped[list[SavedAnswer]] = relationship(back_populates="placement")


class SavedAnswer(Record):
    """An answer that a page sent before its form was submitted: so that leaving loses nothing."""

    __tablename__ = "saved_answers"
    __table_args__ = (UniqueConstraint("placement_id", "question"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    placement_id: Mapped[int] = mapped_column(ForeignKey("placements.id"))
    question: Mapped[str] = mapped_column(String(64))
    label: Mapped[str] = mapped_column(String(16))
    """The place chosen, from 1, or "none"."""
    milliseconds: Mapped[int | None]
    conditions: Mapped[dict[str, Any]]
    saved_at: Mapped[datetime] = mapped_column(default=now)

    placement: Mapped[Placement] = relationship(back_populates="saved")


class Assignment(Record):
    """A submitted assignment as the crowd reported it, its raw answer kept as it came."""

    __tablename__ = "assignments"
    __table_args__ = (UniqueConstraint("assignment_id", "worker_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    hit_record_id: Mapped[int] = mapped_column(ForeignKey("hits.id"), index=True)
    assignment_id: Mapped[str] = mapped_column(String(64))
    worker_id: Mapped[str] = mapped_column(String(64))
    status: Mapped[str] = mapped_column(String(16))
    """Submitted, Approved or Rejected, as last seen."""
    accepted_at: Mapped[datetime | None]
    submitted_at: Mapped[datetime | None]
    answer: Mapped[str] = mapped_column(Text)
    problem: Mapped[str | None] = mapped_column(Text)
    """Why no vote could be read from the answer; empty when votes were."""
    decision: Mapped[str | None] = mapped_column(String(16))
    """What we decided (approve, reject): written before it is asked for."""
    decided_at: Mapped[datetime | None]
    flag: Mapped[str | None] = mapped_column(Text)
    """What a researcher noted about it."""

    hit: Mapped[Hit] = relationship(back_populates="given")
    votes: Mapped[list[Vote]] = relationship(back_populates="assignment")


class Vote(Record):
    """One worker's answer to one question about one comparison."""

    __tablename__ = "votes"
    __table_args__ = (UniqueConstraint("assignment_record_id", "number", "question"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    assignment_record_id: Mapped[int] = mapped_column(ForeignKey("assignments.id"))
    comparison_id: Mapped[int] = mapped_column(ForeignKey("comparisons.id"), index=True)
    number: Mapped[int] = mapped_column(default=1)
    """The comparison's turn on the page, from 1."""
    kind: Mapped[str] = mapped_column(String(16), default="vote")
    """vote; or a check: same, distractor, repeat."""
    question: Mapped[str] = mapped_column(String(64))
    choice: Mapped[str] = mapped_column(String(80))
    """The method chosen, or "none" for no clear winner."""
    places: Mapped[list[str]]
    """The methods as they were shown, from the first place to the last."""
    milliseconds: Mapped[int | None]
    """From shown to answered, as the page measured it."""
    conditions: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """As the page told them: focus_losses, zooms, viewport, pixel_ratio, asked (the question's
    turn); only what it told."""

    assignment: Mapped[Assignment] = relationship(back_populates="votes")
    comparison: Mapped[Comparison] = relationship()


class Intent(Record):
    """Something that the crowd is asked to do once: written down before, settled after.

    HITs and reviews of assignments have records of their own; these are bonuses, top-ups and
    messages.
    """

    __tablename__ = "intents"

    id: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[int] = mapped_column(ForeignKey("studies.id"), index=True)
    endpoint: Mapped[str] = mapped_column(String(255))
    kind: Mapped[str] = mapped_column(String(16))
    """bonus, extend or message."""
    token: Mapped[str] = mapped_column(String(64), unique=True)
    """Made of what is asked for: the same at every try, and UniqueRequestToken where one is."""
    subject: Mapped[str] = mapped_column(String(64))
    """The assignment, HIT or worker that it is about."""
    detail: Mapped[dict[str, Any]]
    intended_at: Mapped[datetime] = mapped_column(default=now)
    settled_at: Mapped[datetime | None]
    outcome: Mapped[str | None] = mapped_column(Text)


class Secret(Record):
    """What signs pages' values, made when none is set: every process of a server shares it."""

    __tablename__ = "secrets"

    id: Mapped[int] = mapped_column(primary_key=True)
    value: Mapped[str] = mapped_column(String(64))
