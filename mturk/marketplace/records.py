"""Every table of the marketplace. Its database is its own, apart from any study's."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import JSON, ForeignKey, MetaData, String, Text, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlalchemy.types import TypeDecorator

from hit_server.records import NAMING, UtcDateTime


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
        list[dict[str, Any]]: JSON,
    }


class Requester(MarketRecord):
    """Someone who publishes HITs."""

    __tablename__ = "requesters"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(128))
    access_key: Mapped[str] = mapped_column(String(128), unique=True)
    secret: Mapped[str] = mapped_column(String(128))
    """The signing secret: a signature cannot be checked from a hash of it."""
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
    """A UniqueRequestToken and the HIT that it made."""

    __tablename__ = "request_tokens"
    __table_args__ = (UniqueConstraint("requester_id", "token"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    requester_id: Mapped[int] = mapped_column(ForeignKey("requesters.id"))
    token: Mapped[str] = mapped_column(String(64))
    hit_id: Mapped[str] = mapped_column(String(64))
    used_at: Mapped[datetime]
