"""Every table of the marketplace. Its database is its own, apart from any study's."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import JSON, ForeignKey, MetaData, String, Text, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlalchemy.types import TypeDecorator

from hit_server.records import NAMING, UtcDateTime
from mturk.marketplace.ids import new_id


class Money(TypeDecorator[Decimal]):
    """Dollars and cents, exact on every database: stored as text."""

    impl = String(24)
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Any) -> str | None:
        """Store the digits."""
        return None if value is None else str(value)

    def process_result_value(self, value: str | None, dialect: Any) -> Decimal | None:
        """Give a Decimal back."""
        return None if value is None else Decimal(value)


class MarketRecord(DeclarativeBase):
    """Base of the marketplace's records."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {  # noqa: RUF012
        datetime: UtcDateTime,
        Decimal: Money,
        dict[str, Any]: JSON,
        list[dict[str, Any]]: JSON,
        list[str]: JSON,
    }


class Requester(MarketRecord):
    """Someone who publishes HITs."""

    __tablename__ = "requesters"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(128))
    access_key: Mapped[str] = mapped_column(String(128), unique=True)
    secret: Mapped[str] = mapped_column(String(128))
    """The signing secret: a signature cannot be checked from a hash of it."""
    account_id: Mapped[str] = mapped_column(String(64), default=lambda: new_id("A", 14))
    """What notifications call the requester."""
    balance: Mapped[Decimal]
    """What is left after everything that published HITs may still cost is set aside."""


class Worker(MarketRecord):
    """Someone who works."""

    __tablename__ = "workers"

    id: Mapped[int] = mapped_column(primary_key=True)
    worker_id: Mapped[str] = mapped_column(String(64), unique=True)
    name: Mapped[str] = mapped_column(String(128))
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    """sha256 of the secret in the sign-in link; the link itself is not kept."""
    masters: Mapped[bool] = mapped_column(default=False)
    country: Mapped[str] = mapped_column(String(2), default="")
    """ISO 3166-1, two letters; empty when not known."""
    subdivision: Mapped[str] = mapped_column(String(3), default="")
    """ISO 3166-2 without the country, such as CA for California."""
    adult: Mapped[bool] = mapped_column(default=False)


class HitType(MarketRecord):
    """What equal HITs share."""

    __tablename__ = "hit_types"
    __table_args__ = (UniqueConstraint("requester_id", "digest"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    type_id: Mapped[str] = mapped_column(String(64), unique=True)
    group_id: Mapped[str] = mapped_column(String(64))
    requester_id: Mapped[int] = mapped_column(ForeignKey("requesters.id"))
    digest: Mapped[str] = mapped_column(String(64))
    title: Mapped[str] = mapped_column(Text)
    description: Mapped[str] = mapped_column(Text)
    keywords: Mapped[str] = mapped_column(Text)
    reward: Mapped[Decimal]
    duration_s: Mapped[int]
    auto_approval_s: Mapped[int]
    requirements: Mapped[list[dict[str, Any]]]

    requester: Mapped[Requester] = relationship()


class MarketHit(MarketRecord):
    """A HIT."""

    __tablename__ = "market_hits"

    id: Mapped[int] = mapped_column(primary_key=True)
    hit_id: Mapped[str] = mapped_column(String(64), unique=True)
    type_record_id: Mapped[int] = mapped_column(ForeignKey("hit_types.id"), index=True)
    question: Mapped[str] = mapped_column(Text)
    annotation: Mapped[str] = mapped_column(Text)
    max_assignments: Mapped[int]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    reviewing: Mapped[bool] = mapped_column(default=False)
    disposed: Mapped[bool] = mapped_column(default=False)
    unit_cost: Mapped[Decimal]
    """Reward and fee of one assignment, as set aside when the HIT was made."""
    assignment_policy: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    """An assignment-level review policy as CreateHIT had it."""
    hit_policy: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    expiry_told: Mapped[bool] = mapped_column(default=False)
    """Whether the event HITExpired was raised; a later expiration raises it anew."""
    reviewable_told: Mapped[bool] = mapped_column(default=False, index=True)
    """Whether reaching Reviewable was noticed: its event raised, its review policy run."""

    hit_type: Mapped[HitType] = relationship()
    assignments: Mapped[list[MarketAssignment]] = relationship(
        back_populates="hit", order_by="MarketAssignment.id"
    )


class MarketAssignment(MarketRecord):
    """One worker's work on a HIT. A returned or abandoned one is removed."""

    __tablename__ = "market_assignments"
    __table_args__ = (UniqueConstraint("hit_record_id", "worker_record_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    assignment_id: Mapped[str] = mapped_column(String(64), unique=True)
    hit_record_id: Mapped[int] = mapped_column(ForeignKey("market_hits.id"), index=True)
    worker_record_id: Mapped[int] = mapped_column(ForeignKey("workers.id"), index=True)
    status: Mapped[str] = mapped_column(String(16), index=True)
    """Accepted, Submitted, Approved or Rejected."""
    accepted_at: Mapped[datetime]
    deadline: Mapped[datetime]
    submitted_at: Mapped[datetime | None]
    auto_approval_at: Mapped[datetime | None]
    approved_at: Mapped[datetime | None]
    rejected_at: Mapped[datetime | None]
    answer: Mapped[str | None] = mapped_column(Text)
    feedback: Mapped[str | None] = mapped_column(Text)

    hit: Mapped[MarketHit] = relationship(back_populates="assignments")
    worker: Mapped[Worker] = relationship()


class RequestToken(MarketRecord):
    """A UniqueRequestToken and what it made."""

    __tablename__ = "request_tokens"
    __table_args__ = (UniqueConstraint("requester_id", "token"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    requester_id: Mapped[int] = mapped_column(ForeignKey("requesters.id"))
    token: Mapped[str] = mapped_column(String(64))
    made: Mapped[str] = mapped_column(String(64))
    """The HIT's id; of a bonus, the assignment's."""
    used_at: Mapped[datetime]


class Bonus(MarketRecord):
    """Money that a requester gave a worker besides the reward."""

    __tablename__ = "bonuses"

    id: Mapped[int] = mapped_column(primary_key=True)
    requester_id: Mapped[int] = mapped_column(ForeignKey("requesters.id"), index=True)
    assignment_record_id: Mapped[int] = mapped_column(
        ForeignKey("market_assignments.id"), index=True
    )
    amount: Mapped[Decimal]
    fee: Mapped[Decimal]
    reason: Mapped[str] = mapped_column(Text)
    granted_at: Mapped[datetime]

    assignment: Mapped[MarketAssignment] = relationship()


class WorkerBlock(MarketRecord):
    """A worker who may not work for a requester."""

    __tablename__ = "worker_blocks"
    __table_args__ = (UniqueConstraint("requester_id", "worker_record_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    requester_id: Mapped[int] = mapped_column(ForeignKey("requesters.id"))
    worker_record_id: Mapped[int] = mapped_column(ForeignKey("workers.id"))
    reason: Mapped[str] = mapped_column(Text)

    worker: Mapped[Worker] = relationship()


class Message(MarketRecord):
    """What a requester or the marketplace wrote to a worker."""

    __tablename__ = "messages"

    id: Mapped[int] = mapped_column(primary_key=True)
    worker_record_id: Mapped[int] = mapped_column(ForeignKey("workers.id"), index=True)
    sender: Mapped[str] = mapped_column(String(128))
    subject: Mapped[str] = mapped_column(Text)
    text: Mapped[str] = mapped_column(Text)
    sent_at: Mapped[datetime]
    read: Mapped[bool] = mapped_column(default=False)


class QualificationType(MarketRecord):
    """A requester's own qualification type."""

    __tablename__ = "qualification_types"
    __table_args__ = (UniqueConstraint("requester_id", "name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    type_id: Mapped[str] = mapped_column(String(64), unique=True)
    requester_id: Mapped[int] = mapped_column(ForeignKey("requesters.id"), index=True)
    name: Mapped[str] = mapped_column(String(200))
    """Unique for its requester; a deleted type has given its name back."""
    description: Mapped[str] = mapped_column(Text)
    keywords: Mapped[str] = mapped_column(Text)
    active: Mapped[bool]
    test: Mapped[str | None] = mapped_column(Text)
    answer_key: Mapped[str | None] = mapped_column(Text)
    test_duration_s: Mapped[int | None]
    retry_delay_s: Mapped[int | None]
    """Seconds between two requests; none: a worker may ask once only."""
    auto_granted: Mapped[bool]
    auto_granted_value: Mapped[int]
    created_at: Mapped[datetime]
    deleted: Mapped[bool] = mapped_column(default=False)


class Qualification(MarketRecord):
    """A worker's qualification of a requester's own type."""

    __tablename__ = "qualifications"
    __table_args__ = (UniqueConstraint("type_record_id", "worker_record_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    type_record_id: Mapped[int] = mapped_column(ForeignKey("qualification_types.id"))
    worker_record_id: Mapped[int] = mapped_column(ForeignKey("workers.id"), index=True)
    value: Mapped[int]
    granted: Mapped[bool]
    """False once it was revoked."""
    granted_at: Mapped[datetime]

    kind: Mapped[QualificationType] = relationship()
    worker: Mapped[Worker] = relationship()


class QualificationRequest(MarketRecord):
    """A worker who asks for a qualification, with the answers to its test."""

    __tablename__ = "qualification_requests"

    id: Mapped[int] = mapped_column(primary_key=True)
    request_id: Mapped[str] = mapped_column(String(64), unique=True)
    type_record_id: Mapped[int] = mapped_column(ForeignKey("qualification_types.id"), index=True)
    worker_record_id: Mapped[int] = mapped_column(ForeignKey("workers.id"), index=True)
    status: Mapped[str] = mapped_column(String(16), index=True)
    """Taking (the test is being taken), Pending, Granted, Rejected or Abandoned."""
    begun_at: Mapped[datetime]
    submitted_at: Mapped[datetime | None]
    test: Mapped[str | None] = mapped_column(Text)
    """The test as it was taken."""
    answer: Mapped[str | None] = mapped_column(Text)

    kind: Mapped[QualificationType] = relationship()
    worker: Mapped[Worker] = relationship()


class ReviewResult(MarketRecord):
    """What a review policy found."""

    __tablename__ = "review_results"

    id: Mapped[int] = mapped_column(primary_key=True)
    hit_record_id: Mapped[int] = mapped_column(ForeignKey("market_hits.id"), index=True)
    level: Mapped[str] = mapped_column(String(16))
    """Assignment or HIT: the policy's."""
    action_id: Mapped[str] = mapped_column(String(64))
    subject_id: Mapped[str] = mapped_column(String(64))
    subject_type: Mapped[str] = mapped_column(String(16))
    question_id: Mapped[str | None] = mapped_column(Text)
    key: Mapped[str] = mapped_column(String(64))
    value: Mapped[str] = mapped_column(Text)


class ReviewAction(MarketRecord):
    """What a review policy did."""

    __tablename__ = "review_actions"

    id: Mapped[int] = mapped_column(primary_key=True)
    hit_record_id: Mapped[int] = mapped_column(ForeignKey("market_hits.id"), index=True)
    level: Mapped[str] = mapped_column(String(16))
    action_id: Mapped[str] = mapped_column(String(64))
    name: Mapped[str] = mapped_column(String(64))
    target_id: Mapped[str] = mapped_column(String(64))
    target_type: Mapped[str] = mapped_column(String(16))
    succeeded: Mapped[bool]
    result: Mapped[str] = mapped_column(Text)
    completed_at: Mapped[datetime]


class NotificationSetting(MarketRecord):
    """Where the events of a HIT type's HITs are sent."""

    __tablename__ = "notification_settings"

    id: Mapped[int] = mapped_column(primary_key=True)
    type_record_id: Mapped[int] = mapped_column(ForeignKey("hit_types.id"), unique=True)
    transport: Mapped[str] = mapped_column(String(8))
    destination: Mapped[str] = mapped_column(Text)
    events: Mapped[list[str]]
    active: Mapped[bool]


class Outgoing(MarketRecord):
    """A notification that is still to be sent; written with what it tells of, sent after."""

    __tablename__ = "outgoing"

    id: Mapped[int] = mapped_column(primary_key=True)
    transport: Mapped[str] = mapped_column(String(8))
    destination: Mapped[str] = mapped_column(Text)
    body: Mapped[str] = mapped_column(Text)
    attempts: Mapped[int] = mapped_column(default=0)
    due_at: Mapped[datetime] = mapped_column(index=True)
    error: Mapped[str | None] = mapped_column(Text)
