"""A requester's own pages: the account, the HITs, and what is owed to workers."""

from __future__ import annotations

import csv
import hmac
import io
from dataclasses import dataclass
from decimal import Decimal

from flask import Blueprint, Response, abort, redirect, render_template, request, url_for
from flask import session as cookie
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response as AnyResponse

from mturk.marketplace.records import (
    Bonus,
    HitType,
    MarketAssignment,
    MarketHit,
    Requester,
    Worker,
)
from mturk.marketplace.web import open_session, refuse_other_sites, requester_signed_in

requesters = Blueprint("requesters", __name__)


@dataclass
class Owed:
    """What a requester owes a worker: rewards of approved work, and bonuses."""

    worker: Worker
    approved: int = 0
    rewards: Decimal = Decimal("0.00")
    bonuses: Decimal = Decimal("0.00")

    @property
    def total(self) -> Decimal:
        """Rewards and bonuses."""
        return self.rewards + self.bonuses


@requesters.get("/requester/")
def account() -> str:
    """The account; the way in for who is not signed in."""
    with open_session() as session:
        if session.get(Requester, cookie.get("requester", 0)) is None:
            return render_template("marketplace/requester_sign_in.html")
        requester = requester_signed_in(session)
        by_status = session.execute(
            select(MarketAssignment.status, func.count())
            .join(MarketHit)
            .join(HitType)
            .where(HitType.requester_id == requester.id)
            .group_by(MarketAssignment.status)
        )
        hits = session.scalar(
            select(func.count(MarketHit.id))
            .join(HitType)
            .where(HitType.requester_id == requester.id, MarketHit.disposed.is_(False))
        )
        return render_template(
            "marketplace/requester.html",
            requester=requester,
            hits=hits,
            assignments={row[0]: row[1] for row in by_status},
            owed=owed(session, requester),
        )


@requesters.post("/requester/sign-in")
def sign_in() -> AnyResponse:
    """Begin a session with the keys that sign requests."""
    refuse_other_sites()
    with open_session() as session:
        requester = session.scalar(
            select(Requester).where(Requester.access_key == request.form.get("access_key", ""))
        )
        secret = request.form.get("secret_key", "").encode()
        if requester is None or not hmac.compare_digest(requester.secret.encode(), secret):
            abort(403, "These are not the keys of an account here.")
        cookie.clear()
        cookie["requester"] = requester.id
    return redirect(url_for("requesters.account"))


@requesters.get("/requester/earnings.csv")
def earnings() -> Response:
    """What is owed to each worker, to pay outside of this marketplace."""
    with open_session() as session:
        requester = requester_signed_in(session)
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(
            ["worker_id", "name", "approved_assignments", "rewards_usd", "bonuses_usd", "total_usd"]
        )
        for each in owed(session, requester):
            writer.writerow(
                [
                    each.worker.worker_id,
                    _no_formula(each.worker.name),
                    each.approved,
                    f"{each.rewards:.2f}",
                    f"{each.bonuses:.2f}",
                    f"{each.total:.2f}",
                ]
            )
    disposition = {"Content-Disposition": 'attachment; filename="earnings.csv"'}
    return Response(text.getvalue(), mimetype="text/csv", headers=disposition)


def owed(session: Session, requester: Requester) -> list[Owed]:
    """What each worker earned from a requester, by name."""
    found: dict[int, Owed] = {}
    approved = session.execute(
        select(Worker, HitType.reward, func.count())
        .select_from(MarketAssignment)
        .join(Worker)
        .join(MarketHit)
        .join(HitType)
        .where(HitType.requester_id == requester.id, MarketAssignment.status == "Approved")
        .group_by(Worker.id, HitType.reward)
    )
    for worker, reward, number in approved:
        each = found.setdefault(worker.id, Owed(worker))
        each.approved += number
        each.rewards += reward * number
    given = session.scalars(select(Bonus).where(Bonus.requester_id == requester.id))
    for bonus in given:
        worker = bonus.assignment.worker
        found.setdefault(worker.id, Owed(worker)).bonuses += bonus.amount
    return sorted(found.values(), key=lambda each: each.worker.name)


def _no_formula(text: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    return f"'{text}" if text[:1] in "=+-@\t\r" else text
