"""Writing to workers, once each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy.orm import Session

from hit_server.intents import intend, settle
from hit_server.records import StudyRecord
from mturk.client import Endpoint, explained
from mturk.review import ReviewError, assignments_of

if TYPE_CHECKING:
    from mypy_boto3_mturk import MTurkClient

MOST = 100
"""Workers in one request."""
SENT = "sent"


@dataclass(frozen=True)
class Sent:
    """Whom a run wrote to."""

    sent: int
    before: int
    """Workers who had this message from an earlier run."""
    failed: tuple[str, ...]
    """Why the crowd did not deliver some."""


def message(
    session: Session,
    study: StudyRecord,
    client: MTurkClient,
    endpoint: Endpoint,
    *,
    subject: str,
    text: str,
    workers: Sequence[str] = (),
) -> Sent:
    """Write to some workers of a study, to all of them when none is named.

    Raises:
        ReviewError: a worker has not worked on the study, or subject or text is too long.
        CrowdError: the endpoint cannot be reached or refuses; run it again and it goes on.
    """
    if not 1 <= len(subject) <= 200 or not 1 <= len(text) <= 4096:
        raise ReviewError("a message has a subject of 1 to 200 and a text of 1 to 4096 characters.")
    known = list(dict.fromkeys(each.worker_id for each in assignments_of(session, study)))
    for worker in workers:
        if worker not in known:
            raise ReviewError(f"worker {worker!r} has not worked on this study.")
    wanted = [
        intend(session, study, endpoint.url, "message", worker, {"subject": subject}, subject, text)
        for worker in (workers or known)
    ]
    waiting = [intent for intent in wanted if intent.outcome is None]
    failed: list[str] = []
    with explained(endpoint):
        for start in range(0, len(waiting), MOST):
            some = waiting[start : start + MOST]
            answer = client.notify_workers(
                Subject=subject, MessageText=text, WorkerIds=[intent.subject for intent in some]
            )
            reasons = {
                each.get("WorkerId", ""): each.get("NotifyWorkersFailureMessage", "")
                for each in answer["NotifyWorkersFailureStatuses"]
            }
            for intent in some:
                reason = reasons.get(intent.subject)
                settle(session, intent, reason or SENT)
            failed += reasons.values()
    return Sent(len(waiting) - len(failed), len(wanted) - len(waiting), tuple(failed))
