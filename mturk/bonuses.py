"""Bonuses: each row of a file is paid once, whatever fails in between."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from sqlalchemy.orm import Session

from generation.study import UserError
from hit_server.intents import intend, intents_of, settle
from hit_server.records import Intent, StudyRecord
from mturk.client import Endpoint, explained
from mturk.costs import CENT, Cost, bonus_fee
from mturk.in_flight import in_flight
from mturk.review import assignments_of

if TYPE_CHECKING:
    from mypy_boto3_mturk import MTurkClient

COLUMNS = ("assignment_id", "amount_usd", "reason")
PAID = "paid"
USED = ("BonusAlreadyPaid", "HITAlreadyExists", "IdempotentRequest")
"""Ends of the codes by which an endpoint says that a token was used."""
Progress = Callable[[int, int], None]


class BonusError(UserError):
    """A file of bonuses that cannot be paid as it is."""


@dataclass(frozen=True)
class BonusRow:
    """A row of the file."""

    assignment_id: str
    amount: Decimal
    reason: str


@dataclass(frozen=True)
class Paid:
    """What a run paid."""

    paid: int
    already: int
    cost: Cost
    """Of what was paid now."""


def read_bonuses(path: Path) -> list[BonusRow]:
    """The rows of a CSV file with the columns assignment_id, amount_usd and reason.

    Raises:
        BonusError: naming file, line, value and what it must be.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            absent = [name for name in COLUMNS if name not in (reader.fieldnames or [])]
            if absent:
                raise BonusError(f"{path}: no column {', '.join(absent)}; needed: {COLUMNS}.")
            rows = [_row(path, reader.line_num, values) for values in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BonusError(f"{path} cannot be read: {error}") from None
    seen: set[BonusRow] = set()
    for row in rows:
        if row in seen:
            raise BonusError(
                f"{path}: {row.assignment_id} has the same bonus twice. Equal rows count as one "
                "payment: give them different reasons if both are meant."
            )
        seen.add(row)
    return rows


def bonus_cost(rows: Sequence[BonusRow]) -> Cost:
    """What rows cost, fees included."""
    amount = sum((row.amount for row in rows), Decimal(0))
    return Cost(amount, sum((bonus_fee(row.amount) for row in rows), Decimal(0)))


def unpaid(
    session: Session, study: StudyRecord, endpoint: Endpoint, rows: Sequence[BonusRow]
) -> list[BonusRow]:
    """Rows that no earlier run is known to have paid."""
    paid = {
        (intent.subject, intent.detail["amount"], intent.detail["reason"])
        for intent in intents_of(session, study, "bonus")
        if intent.outcome == PAID and intent.endpoint == endpoint.url
    }
    session.commit()
    return [row for row in rows if (row.assignment_id, str(row.amount), row.reason) not in paid]


def pay_bonuses(
    session: Session,
    study: StudyRecord,
    client: MTurkClient,
    endpoint: Endpoint,
    rows: Sequence[BonusRow],
    *,
    progress: Progress | None = None,
) -> Paid:
    """Pay every row that was not paid before.

    Raises:
        BonusError: an assignment was not collected, or the account holds too little; nothing is
            paid then.
        CrowdError: the endpoint cannot be reached or refuses; run it again and it goes on.
    """
    workers = {each.assignment_id: each.worker_id for each in assignments_of(session, study)}
    for row in rows:
        if row.assignment_id not in workers:
            raise BonusError(f"assignment {row.assignment_id!r} of this study was not collected.")
    wanted = unpaid(session, study, endpoint, rows)
    cost = bonus_cost(wanted)
    with explained(endpoint):
        # What was intended before and not settled may be paid already.
        open_tokens = {i.token for i in intents_of(session, study, "bonus") if i.outcome is None}
        session.commit()
        balance = Decimal(client.get_account_balance()["AvailableBalance"])
        if cost.total > balance and not open_tokens:
            raise BonusError(
                f"the bonuses cost ${cost.total}, but the account holds ${balance}. Nothing was "
                "paid. Add money, or ask for less."
            )
        teller = _Teller(session, study, client, endpoint, workers, open_tokens, len(wanted))
        teller.progress = progress
        in_flight(teller.intended(wanted), teller.pay, teller.settle)
    return Paid(len(wanted), len(rows) - len(wanted), cost)


@dataclass
class _Teller:
    session: Session
    study: StudyRecord
    client: MTurkClient
    endpoint: Endpoint
    workers: dict[str, str]
    open_tokens: set[str]
    total: int
    progress: Progress | None = None
    done: int = 0

    def intended(self, rows: Sequence[BonusRow]) -> Iterator[tuple[Intent, dict[str, Any]]]:
        for row in rows:
            detail = {"amount": str(row.amount), "reason": row.reason}
            intent = intend(
                self.session,
                self.study,
                self.endpoint.url,
                "bonus",
                row.assignment_id,
                detail,
                str(row.amount),
                row.reason,
            )
            request = {
                "WorkerId": self.workers[row.assignment_id],
                "BonusAmount": str(row.amount),
                "AssignmentId": row.assignment_id,
                "Reason": row.reason,
                "UniqueRequestToken": intent.token,
            }
            yield intent, request

    def pay(self, item: tuple[Intent, dict[str, Any]]) -> str:
        """Pay, unless an earlier run's unsettled request did: the books tell, for ever."""
        request = item[1]
        if request["UniqueRequestToken"] in self.open_tokens and self._in_the_books(request):
            return PAID
        try:
            self.client.send_bonus(**request)
        except ClientError as error:
            if not str(error.response.get("TurkErrorCode", "")).endswith(USED):
                raise
        return PAID

    def _in_the_books(self, request: dict[str, Any]) -> bool:
        pages: Any = self.client.get_paginator("list_bonus_payments").paginate(
            AssignmentId=request["AssignmentId"], PaginationConfig={"PageSize": 100}
        )
        return any(
            Decimal(str(bonus["BonusAmount"])) == Decimal(request["BonusAmount"])
            and bonus["Reason"] == request["Reason"]
            for page in pages
            for bonus in page["BonusPayments"]
        )

    def settle(self, item: tuple[Intent, dict[str, Any]], outcome: str) -> None:
        settle(self.session, item[0], outcome)
        self.done += 1
        if self.progress:
            self.progress(self.done, self.total)


def _row(path: Path, line: int, values: dict[str, str]) -> BonusRow:
    amount = (values["amount_usd"] or "").strip().lstrip("$")
    try:
        dollars = Decimal(amount)
        if not CENT <= dollars <= 10_000 or dollars != dollars.quantize(CENT):
            raise InvalidOperation
    except InvalidOperation:
        raise BonusError(
            f"{path}, line {line}: amount_usd = {amount!r} must be dollars and cents, 0.01 to "
            "10000."
        ) from None
    assignment, reason = (values["assignment_id"] or "").strip(), (values["reason"] or "").strip()
    if not assignment or not reason:
        raise BonusError(f"{path}, line {line}: assignment_id and reason must be given.")
    return BonusRow(assignment, dollars.quantize(CENT), reason)
