"""Intents: what the crowd is asked to do once, written down before and settled after."""

from __future__ import annotations

import hashlib
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from hit_server.records import Intent, StudyRecord, now


def token_of(*parts: str) -> str:
    """A token of what is asked for: the same at every try, at most 64 characters."""
    return f"cw-{hashlib.sha256(chr(31).join(parts).encode()).hexdigest()[:48]}"


def intend(
    session: Session,
    study: StudyRecord,
    endpoint: str,
    kind: str,
    subject: str,
    detail: dict[str, Any],
    *key: str,
) -> Intent:
    """Write an intent down, or find the one of equal study, endpoint, kind, subject and key."""
    token = token_of(study.name, endpoint, kind, subject, *key)
    known = session.scalar(select(Intent).where(Intent.token == token))
    if known is not None:
        return known
    made = Intent(
        study_id=study.id,
        endpoint=endpoint,
        kind=kind,
        token=token,
        subject=subject,
        detail=detail,
    )
    session.add(made)
    session.commit()
    return made


def settle(session: Session, intent: Intent, outcome: str) -> None:
    """Write down what came of an intent."""
    intent.outcome, intent.settled_at = outcome, now()
    session.commit()


def intents_of(session: Session, study: StudyRecord, kind: str) -> list[Intent]:
    """A study's intents of a kind, settled or not."""
    statement = select(Intent).where(Intent.study_id == study.id, Intent.kind == kind)
    return list(session.scalars(statement.order_by(Intent.id)))
