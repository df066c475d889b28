"""Events of HITs and assignments, and the notifications that tell of them.

An event is written down in the transaction that it tells of, and sent after by `notifier`, so
that nothing is told that did not happen, and nothing that happened is forgotten.
"""

from __future__ import annotations

import json
import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from mturk.marketplace.ids import new_id
from mturk.marketplace.records import (
    MarketAssignment,
    MarketHit,
    NotificationSetting,
    Outgoing,
    Requester,
)

VERSION = "2014-08-15"


def raise_event(
    session: Session,
    hit: MarketHit,
    event: str,
    now: datetime,
    assignment: MarketAssignment | None = None,
) -> None:
    """Write down what is to be told of an event, if its HIT type's requester asked for it."""
    setting = session.scalar(
        select(NotificationSetting).where(
            NotificationSetting.type_record_id == hit.hit_type.id, NotificationSetting.active
        )
    )
    if setting is None or event not in setting.events:
        return
    told = {"HITTypeId": hit.hit_type.type_id, "HITId": hit.hit_id}
    if assignment is not None:
        told["AssignmentId"] = assignment.assignment_id
        if assignment.answer is not None and event == "AssignmentSubmitted":
            told["Answer"] = assignment.answer
    _write(
        session, setting.transport, setting.destination, hit.hit_type.requester, event, told, now
    )


def send_test(
    session: Session, requester: Requester, specification: dict[str, Any], event: str, now: datetime
) -> None:
    """Write down a notification of an event that did not happen."""
    told = {"HITTypeId": new_id("3"), "HITId": new_id("3")}
    if event.startswith("Assignment"):
        told["AssignmentId"] = new_id("3")
    _write(
        session,
        specification["Transport"],
        specification["Destination"],
        requester,
        event,
        told if event != "Ping" else {},
        now,
    )


def _write(
    session: Session,
    transport: str,
    destination: str,
    requester: Requester,
    event: str,
    told: dict[str, str],
    now: datetime,
) -> None:
    body = {
        "EventDocId": str(uuid.uuid4()),
        "EventDocVersion": VERSION,
        "CustomerId": requester.account_id,
        "Events": [{"EventType": event, "EventTimestamp": f"{now:%Y-%m-%dT%H:%M:%SZ}", **told}],
    }
    session.add(
        Outgoing(transport=transport, destination=destination, body=json.dumps(body), due_at=now)
    )
