"""Every table of the study's database.

Times are UTC. A study's database holds one or many studies; everything hangs on `studies.id`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, DateTime, ForeignKey, MetaData, String, Text, UniqueConstraint
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
    created_at: Mapped[datetime] = mapped_column(default=now)

    comparisons: Mapped[list[Comparison]] = relationship(
        back_populates="study", order_by="Comparison.id"
    )


class ImageRecord(Record):
    """An image of the manifest, under the random name by which workers' browsers ask for it."""

    __tablename__ = "images"
    __table_args__ = (UniqueConstraint("study_id", "prompt_id", "seed", "method"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(String(32), unique=True)
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

    study: Mapped[StudyRecord] = relationship(back_populates="comparisons")
    hit: Mapped[Hit | None] = relationship(back_populates="comparison")
    __table_args__ = (UniqueConstraint("study_id", "key"),)


class Hit(Record):
    """A HIT for one comparison: written down before it is asked for, settled after."""

    __tablename__ = "hits"

    id: Mapped[int] = mapped_column(primary_key=True)
    comparison_id: Mapped[int] = mapped_column(ForeignKey("comparisons.id"), unique=True)
    endpoint: Mapped[str] = mapped_column(String(255))
    token: Mapped[str] = mapped_column(String(64), unique=True)
    """UniqueRequestToken and RequesterAnnotation: the same at every try."""
    hit_id: Mapped[str | None] = mapped_column(String(64), unique=True)
    """The crowd's id; empty while only intended."""
    intended_at: Mapped[datetime] = mapped_column(default=now)
    published_at: Mapped[datetime | None]

    comparison: Mapped[Comparison] = relationship(back_populates="hit")
    assignments: Mapped[list[Assignment]] = relationship(back_populates="hit")


class Placement(Record):
    """Who is on which side for one worker's assignment: drawn once, kept for ever."""

    __tablename__ = "placements"
    __table_args__ = (UniqueConstraint("assignment_id", "worker_id", "comparison_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    comparison_id: Mapped[int] = mapped_column(ForeignKey("comparisons.id"), index=True)
    assignment_id: Mapped[str] = mapped_column(String(64))
    worker_id: Mapped[str] = mapped_column(String(64))
    methods: Mapped[list[str]]
    """Methods from the first place (left) to the last."""
    drawn_at: Mapped[datetime] = mapped_column(default=now)

    comparison: Mapped[Comparison] = relationship()


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

    hit: Mapped[Hit] = relationship(back_populates="assignments")
    votes: Mapped[list[Vote]] = relationship(back_populates="assignment")


class Vote(Record):
    """One worker's answer to one question about one comparison."""

    __tablename__ = "votes"
    __table_args__ = (UniqueConstraint("assignment_record_id", "comparison_id", "question"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    assignment_record_id: Mapped[int] = mapped_column(ForeignKey("assignments.id"))
    comparison_id: Mapped[int] = mapped_column(ForeignKey("comparisons.id"), index=True)
    question: Mapped[str] = mapped_column(String(64))
    choice: Mapped[str] = mapped_column(String(64))
    """The method chosen, or "none" for no clear winner."""
    places: Mapped[list[str]]
    """The methods as they were shown, from the first place to the last."""
    milliseconds: Mapped[int | None]
    """From shown to answered, as the page measured it."""

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
