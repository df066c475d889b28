"""Time passes: work is abandoned, approved by itself, HITs expire and are reviewed."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from mturk.marketplace import events, qualifying, rules
from mturk.marketplace.records import MarketAssignment, MarketHit
from mturk.marketplace.reviewing import review_hit

KEPT = timedelta(days=120)
"""How long a HIT is there after it expired."""


def settle(session: Session, now: datetime) -> None:
    """Bring everything up to a moment, in the order in which it happened to one assignment."""
    abandoned = session.scalars(
        select(MarketAssignment).where(
            MarketAssignment.status == "Accepted", MarketAssignment.deadline <= now
        )
    ).all()
    for assignment in abandoned:
        events.raise_event(session, assignment.hit, "AssignmentAbandoned", now, assignment)
        session.delete(assignment)
    waited = session.scalars(
        select(MarketAssignment).where(
            MarketAssignment.status == "Submitted", MarketAssignment.auto_approval_at <= now
        )
    ).all()
    for assignment in waited:
        rules.approve(session, assignment, None, assignment.auto_approval_at or now)
    session.flush()
    for hit in _unnoticed(session, now):
        notice(session, hit, now)
    _dispose_old(session, now)
    qualifying.end_tests(session, now)


def notice(session: Session, hit: MarketHit, now: datetime) -> None:
    """Tell once that a HIT expired or became reviewable, and carry out its review policy."""
    if hit.disposed:
        return
    if hit.expires_at <= now and not hit.expiry_told:
        hit.expiry_told = True
        events.raise_event(session, hit, "HITExpired", now)
    if hit.reviewable_told:
        return
    if rules.hit_status(hit, rules.counts(session, hit), now) not in ("Reviewable", "Reviewing"):
        return
    hit.reviewable_told = True
    review_hit(session, hit, now)
    # The policy may have extended it.
    if hit.reviewable_told:
        events.raise_event(session, hit, "HITReviewable", now)


def _unnoticed(session: Session, now: datetime) -> list[MarketHit]:
    return list(
        session.scalars(
            select(MarketHit).where(
                MarketHit.disposed.is_(False),
                MarketHit.expires_at <= now,
                or_(MarketHit.reviewable_told.is_(False), MarketHit.expiry_told.is_(False)),
            )
        )
    )


def _dispose_old(session: Session, now: datetime) -> None:
    old = session.scalars(
        select(MarketHit).where(MarketHit.disposed.is_(False), MarketHit.expires_at <= now - KEPT)
    ).all()
    for hit in old:
        by_status = rules.counts(session, hit)
        if not by_status.get("Accepted") and not by_status.get("Submitted"):
            rules.dispose(session, hit, now)
