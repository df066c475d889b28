"""Sends notifications to queues and topics, in a thread of its own, again until it succeeds."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from mturk.marketplace.records import Outgoing

LOG = logging.getLogger(__name__)
ATTEMPTS = 12
"""The waits double from two seconds: given up after about an hour and a quarter."""
SUBJECT = "Notification of the marketplace"


class Notifier:
    """Where notifications go.

    The endpoints of SQS and SNS and the keys are boto3's own: `AWS_ENDPOINT_URL_SQS`,
    `AWS_ENDPOINT_URL_SNS`, `AWS_ACCESS_KEY_ID` ... in the marketplace's environment.
    """

    def __init__(
        self, sessions: sessionmaker[Session], clock: Callable[[], datetime], *, every: float = 1.0
    ) -> None:
        """Take where notifications are written down, the present, and seconds between looks."""
        self._sessions, self._clock, self._every = sessions, clock, every
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="notifier", daemon=True)

    def __enter__(self) -> Notifier:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop; what was not sent is sent after the next start."""
        self._stop.set()
        self._thread.join(timeout=30)

    def _run(self) -> None:
        while not self._stop.wait(self._every):
            try:
                self.send_due()
            except Exception:
                # The marketplace goes on without notifications rather than not at all.
                LOG.exception("notifications could not be sent")

    def send_due(self) -> int:
        """Send what is due; how many were sent."""
        with self._sessions() as session:
            due = session.scalars(
                select(Outgoing)
                .where(Outgoing.due_at <= self._clock(), Outgoing.attempts < ATTEMPTS)
                .order_by(Outgoing.id)
                .limit(100)
            ).all()
            waiting = [(row.id, row.transport, row.destination, row.body) for row in due]
        sent = 0
        for number, transport, destination, body in waiting:
            # No transaction is open while a network is waited for.
            error = _send(transport, destination, body)
            with self._sessions() as session:
                row = session.get(Outgoing, number)
                if row is None:
                    continue
                if error is None:
                    session.delete(row)
                    sent += 1
                else:
                    row.attempts += 1
                    row.error = error
                    row.due_at = self._clock() + timedelta(seconds=2**row.attempts)
                    LOG.warning("notification to %s: %s", destination, error)
                session.commit()
        return sent


def _send(transport: str, destination: str, body: str) -> str | None:
    """Send one; what went wrong, if something did."""
    try:
        if transport == "SQS":
            _client("sqs").send_message(QueueUrl=destination, MessageBody=body)
        else:
            region = destination.split(":")[3] if destination.count(":") >= 5 else ""
            client = _client("sns", region)
            client.publish(TopicArn=destination, Message=body, Subject=SUBJECT)
    except (BotoCoreError, ClientError, ValueError) as error:
        return str(error)[:500]
    return None


def _client(service: str, region: str = "") -> Any:
    config = Config(connect_timeout=5, read_timeout=10, retries={"max_attempts": 1})
    session: Any = boto3.session.Session()
    return session.client(service, region_name=region or "us-east-1", config=config)
