"""A checked request, and what every operation needs to answer one."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from mturk.marketplace import rules
from mturk.marketplace.errors import ApiError, missing
from mturk.marketplace.records import (
    HitType,
    MarketAssignment,
    MarketHit,
    QualificationType,
    Requester,
    RequestToken,
    Worker,
)
from mturk.marketplace.shapes import hit_shape

Values = dict[str, Any]
TOKEN_LIFE = timedelta(hours=24)


@dataclass(frozen=True)
class Call:
    """A checked request. What belongs to another requester does not exist for it."""

    session: Session
    requester: Requester
    values: Values
    now: datetime

    def hit(self, *, lock: bool = False) -> MarketHit:
        """The HIT that the request names, if it is this requester's; locked before a change."""
        hit_id = self.values["HITId"]
        statement = (
            select(MarketHit)
            .join(HitType)
            .where(MarketHit.hit_id == hit_id, HitType.requester_id == self.requester.id)
        )
        if lock:
            statement = statement.with_for_update(of=MarketHit)
        hit = self.session.scalar(statement)
        if hit is None:
            raise ApiError(f"HIT {hit_id} does not exist.", "HITDoesNotExist")
        return hit

    def hit_type(self) -> HitType:
        """The HIT type that the request names, if it is this requester's."""
        type_id = self.values["HITTypeId"]
        hit_type = self.session.scalar(
            select(HitType).where(
                HitType.type_id == type_id, HitType.requester_id == self.requester.id
            )
        )
        if hit_type is None:
            raise missing("HITType", type_id)
        return hit_type

    def assignment(self, *, lock: bool = False) -> MarketAssignment:
        """The submitted assignment that the request names; accepted ones are invisible."""
        assignment_id = self.values["AssignmentId"]
        statement = (
            select(MarketAssignment)
            .join(MarketHit)
            .join(HitType)
            .where(
                MarketAssignment.assignment_id == assignment_id,
                MarketAssignment.status != "Accepted",
                HitType.requester_id == self.requester.id,
            )
        )
        if lock:
            statement = statement.with_for_update(of=MarketAssignment)
        assignment = self.session.scalar(statement)
        if assignment is None:
            raise missing("Assignment", assignment_id)
        return assignment

    def worker(self) -> Worker:
        """The worker that the request names."""
        worker_id = self.values["WorkerId"]
        worker = self.session.scalar(select(Worker).where(Worker.worker_id == worker_id))
        if worker is None:
            raise ApiError(f"Worker {worker_id} does not exist.", "WorkerDoesNotExist")
        return worker

    def own_qualification_type(self) -> QualificationType:
        """The qualification type that the request names, if it is this requester's."""
        type_id = self.values["QualificationTypeId"]
        kind = self.session.scalar(
            select(QualificationType).where(
                QualificationType.type_id == type_id,
                QualificationType.requester_id == self.requester.id,
                QualificationType.deleted.is_(False),
            )
        )
        if kind is None:
            raise missing("QualificationType", type_id)
        return kind

    def shape(self, hit: MarketHit) -> Values:
        """A HIT as the API shows it."""
        return hit_shape(hit, rules.counts(self.session, hit), self.now)

    def page(self, statement: Any, row: Any, member: str, shape: Callable[[Any], Values]) -> Values:
        """One page of a listing; every page that is not empty says where the next one begins.

        Counted by row, not by number: what is approved or deleted between two pages hides
        nothing.
        """
        after, size = self._window()
        chosen = statement.where(row.id > after).order_by(row.id).limit(size)
        found = self.session.scalars(chosen).all()
        answer: Values = {member: [shape(item) for item in found], "NumResults": len(found)}
        if found:
            answer["NextToken"] = _token(found[-1].id)
        return answer

    def page_of(self, items: Sequence[Values]) -> tuple[list[Values], Values]:
        """One page of a list that is made as a whole, and its members NumResults, NextToken."""
        start, size = self._window()
        some = list(items[start : start + size])
        more: Values = {"NumResults": len(some)}
        if some:
            more["NextToken"] = _token(start + len(some))
        return some, more

    def _window(self) -> tuple[int, int]:
        size = int(self.values.get("MaxResults", 10))
        token = self.values.get("NextToken")
        if token is None:
            return 0, size
        try:
            text = base64.urlsafe_b64decode(token.encode()).decode()
            kind, _, start = text.partition(":")
            if kind != "after" or not start.isdecimal() or len(start) > 12:
                raise ValueError(text)
        except ValueError:
            raise ApiError(
                f"The NextToken {token[:40]!r} is invalid.", "InvalidNextToken"
            ) from None
        return int(start), size

    def refuse_used_token(self, what: str, code: str) -> None:
        """A token that was used within 24 hours names what it made."""
        token = self.values.get("UniqueRequestToken")
        if token is None:
            return
        used = self.session.scalar(
            select(RequestToken).where(
                RequestToken.requester_id == self.requester.id, RequestToken.token == token
            )
        )
        if used is None:
            return
        if self.now - used.used_at >= TOKEN_LIFE:
            self.session.delete(used)
            self.session.flush()
            return
        raise ApiError(
            f"You have already submitted this {what}. The value of the token {token} you specified "
            f"has already been used for an existing {what}: {used.made}",
            code,
        )

    def keep_token(self, made: str) -> None:
        """Remember the request's token with what it made."""
        if token := self.values.get("UniqueRequestToken"):
            self.session.add(
                RequestToken(
                    requester_id=self.requester.id, token=token, made=made, used_at=self.now
                )
            )


def _token(last: int) -> str:
    return base64.urlsafe_b64encode(f"after:{last}".encode()).decode()


def of_this_requester(call: Call, statement: Any) -> Any:
    """HITs of a statement that are this requester's and not disposed of."""
    return statement.join(HitType).where(
        HitType.requester_id == call.requester.id, MarketHit.disposed.is_(False)
    )
