"""The worker site's own pages: sign in, find HITs, earnings, messages, qualifications."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from flask import Blueprint, abort, redirect, render_template, request, url_for
from flask import session as cookie
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response as AnyResponse

from mturk.marketplace import qualifying
from mturk.marketplace.accounts import worker_with
from mturk.marketplace.form_answers import violations
from mturk.marketplace.forms import read_form
from mturk.marketplace.records import (
    Bonus,
    HitType,
    MarketAssignment,
    MarketHit,
    Message,
    Qualification,
    QualificationRequest,
    QualificationType,
    Worker,
)
from mturk.marketplace.refusals import WorkRefused
from mturk.marketplace.requirements import lacking
from mturk.marketplace.web import open_session, present, refuse_other_sites, signed_in

site = Blueprint("site", __name__)


@dataclass(frozen=True)
class Offer:
    """HITs of one type as the list shows them."""

    hit: MarketHit
    """The one of them that this worker is shown next."""
    kind: HitType
    hits: int
    lacking: str | None
    hidden: str | None
    """Why it may not even be previewed."""


@site.get("/")
def root() -> AnyResponse:
    """The way in for browsers; programs use POST."""
    return redirect(url_for("site.listing"))


@site.get("/worker/sign-in/<token>")
def sign_in_page(token: str) -> str:
    """A page with a button: a link that only looks must not sign anybody in."""
    with open_session() as session:
        worker = worker_with(session, token)
        if worker is None:
            abort(404, "This sign-in link is not, or no longer, valid. Ask for a new one.")
        return render_template("marketplace/sign_in.html", name=worker.name, token=token)


@site.post("/worker/sign-in/<token>")
def sign_in(token: str) -> AnyResponse:
    """Begin a first-party session."""
    refuse_other_sites()
    with open_session() as session:
        worker = worker_with(session, token)
        if worker is None:
            abort(404, "This sign-in link is not, or no longer, valid. Ask for a new one.")
        cookie.clear()
        # A new link ends the sessions of the old one.
        cookie["worker"], cookie["token"] = worker.id, worker.token_hash[:16]
    return redirect(url_for("site.listing"))


@site.post("/worker/sign-out")
def sign_out() -> AnyResponse:
    """End the session of this browser."""
    refuse_other_sites()
    cookie.clear()
    return redirect(url_for("site.signed_out"))


@site.get("/worker/signed-out")
def signed_out() -> str:
    """What is shown after."""
    text = "You are signed out. Your sign-in link brings you back."
    return render_template("marketplace/message.html", title="Signed out", text=text)


@site.get("/worker/")
def listing() -> str:
    """The HITs that are open, those that this worker may accept first."""
    with open_session() as session:
        worker = signed_in(session)
        query = request.args.get("q", "")[:200]
        found = [offer for offer in offers(session, worker) if _matches(offer.kind, query)]
        working = session.scalars(
            select(MarketAssignment).where(
                MarketAssignment.worker_record_id == worker.id,
                MarketAssignment.status == "Accepted",
            )
        ).all()
        return _page("list.html", session, worker, offers=found, working=working, query=query)


@site.get("/worker/groups/<group_id>/next")
def next_hit(group_id: str) -> AnyResponse:
    """The next HIT of a kind that this worker can do; the list where there is none."""
    with open_session() as session:
        worker = signed_in(session)
        for offer in offers(session, worker):
            if offer.kind.group_id == group_id and offer.lacking is None:
                return redirect(url_for("tasks.preview", hit_id=offer.hit.hit_id))
    return redirect(url_for("site.listing"))


def offers(session: Session, worker: Worker) -> list[Offer]:
    """Assignable HITs that the worker has not done, a line for each type."""
    now = present()
    done = select(MarketAssignment.hit_record_id).where(
        MarketAssignment.worker_record_id == worker.id
    )
    taken = (
        select(func.count(MarketAssignment.id))
        .where(MarketAssignment.hit_record_id == MarketHit.id)
        .correlate(MarketHit)
        .scalar_subquery()
    )
    open_hits = select(MarketHit.id, MarketHit.type_record_id).where(
        MarketHit.disposed.is_(False),
        MarketHit.expires_at > now,
        MarketHit.id.not_in(done),
        taken < MarketHit.max_assignments,
    )
    by_type: dict[int, list[int]] = {}
    for hit_id, type_id in session.execute(open_hits.order_by(MarketHit.id)):
        by_type.setdefault(type_id, []).append(hit_id)
    found = []
    for type_id, hit_ids in by_type.items():
        kind = session.get_one(HitType, type_id)
        if lacking(session, kind, worker, "discover"):
            continue
        # Each worker meets a group's HITs in an order of its own: what everybody did first or
        # last would be judged by fresh or tired eyes only.
        first = min(hit_ids, key=lambda hit_id: zlib.crc32(f"{worker.id}|{hit_id}".encode()))
        reasons = [lacking(session, kind, worker, action) for action in ("accept", "preview")]
        hit = session.get_one(MarketHit, first)
        found.append(Offer(hit, kind, len(hit_ids), reasons[0], reasons[1]))
    return sorted(found, key=lambda offer: offer.lacking is not None)


@site.get("/worker/earnings")
def earnings() -> str:
    """What a worker did, what came of it, and what was earned."""
    with open_session() as session:
        worker = signed_in(session)
        done = session.scalars(
            select(MarketAssignment)
            .where(
                MarketAssignment.worker_record_id == worker.id,
                MarketAssignment.status != "Accepted",
            )
            .order_by(MarketAssignment.id.desc())
        ).all()
        bonuses = session.scalars(
            select(Bonus)
            .join(MarketAssignment)
            .where(MarketAssignment.worker_record_id == worker.id)
            .order_by(Bonus.id.desc())
        ).all()
        sums = {
            status: sum(
                (each.hit.hit_type.reward for each in done if each.status == status), Decimal(0)
            )
            for status in ("Approved", "Submitted")
        }
        given = sum((bonus.amount for bonus in bonuses), Decimal(0))
        return _page(
            "earnings.html",
            session,
            worker,
            done=done[:500],
            bonuses=bonuses,
            sums=sums,
            given=given,
        )


@site.get("/worker/messages")
def messages() -> str:
    """What requesters wrote."""
    with open_session() as session:
        worker = signed_in(session)
        found = session.scalars(
            select(Message)
            .where(Message.worker_record_id == worker.id)
            .order_by(Message.id.desc())
            .limit(200)
        ).all()
        new = {message.id for message in found if not message.read}
        for message in found:
            message.read = True
        session.commit()
        return _page("messages.html", session, worker, messages=found, new=new)


@site.get("/worker/qualifications")
def qualifications() -> str:
    """What a worker has, has asked for, and can ask for."""
    with open_session() as session:
        worker = signed_in(session)
        held = session.scalars(
            select(Qualification).where(
                Qualification.worker_record_id == worker.id, Qualification.granted
            )
        ).all()
        asked = session.scalars(
            select(QualificationRequest).where(
                QualificationRequest.worker_record_id == worker.id,
                QualificationRequest.status.in_(("Taking", "Pending")),
            )
        ).all()
        busy = {each.type_record_id for each in held} | {each.type_record_id for each in asked}
        kinds = session.scalars(
            select(QualificationType).where(QualificationType.active).limit(200)
        ).all()
        return _page(
            "qualifications.html",
            session,
            worker,
            held=held,
            asked=asked,
            kinds=[kind for kind in kinds if kind.id not in busy],
        )


@site.post("/worker/qualifications/<type_id>/request")
def request_qualification(type_id: str) -> AnyResponse:
    """Ask for a qualification; its test begins if it has one."""
    refuse_other_sites()
    with open_session() as session:
        worker = signed_in(session)
        kind = session.scalar(select(QualificationType).where(QualificationType.type_id == type_id))
        if kind is None:
            abort(404, "There is no such qualification.")
        try:
            asked = qualifying.ask(session, kind, worker, present())
        except WorkRefused as error:
            abort(409, str(error))
        session.commit()
        if asked.status == "Taking":
            return redirect(url_for("site.test", request_id=asked.request_id))
    return redirect(url_for("site.qualifications"))


@site.get("/worker/tests/<request_id>")
def test(request_id: str) -> str:
    """A qualification's test, with the time left."""
    with open_session() as session:
        worker = signed_in(session)
        return _test_page(session, worker, _own_test(session, worker, request_id), [], {})


@site.post("/worker/tests/<request_id>")
def answer_test(request_id: str) -> AnyResponse | tuple[str, int]:
    """Take the answers to a test; what is missing is said, and nothing lost."""
    refuse_other_sites()
    with open_session() as session:
        worker = signed_in(session)
        asked = _own_test(session, worker, request_id)
        fields = form_fields()
        wrong = violations(read_form(asked.test or ""), fields)
        if wrong:
            return _test_page(session, worker, asked, wrong, fields), 422
        qualifying.answer_test(session, asked, fields, present())
        session.commit()
    return redirect(url_for("site.qualifications"))


def form_fields() -> dict[str, str]:
    """A form's fields; several answers to one question are joined by "|"."""
    return {name: "|".join(texts) for name, texts in request.form.to_dict(flat=False).items()}


def _test_page(
    session: Session,
    worker: Worker,
    asked: QualificationRequest,
    wrong: list[str],
    fields: dict[str, str],
) -> str:
    gone = (present() - asked.begun_at).total_seconds()
    return _page(
        "test.html",
        session,
        worker,
        asked=asked,
        form=read_form(asked.test or ""),
        wrong=wrong,
        fields=fields,
        seconds=max(0, int((asked.kind.test_duration_s or 0) - gone)),
    )


def _own_test(session: Session, worker: Worker, request_id: str) -> QualificationRequest:
    asked = session.scalar(
        select(QualificationRequest).where(
            QualificationRequest.request_id == request_id,
            QualificationRequest.worker_record_id == worker.id,
            QualificationRequest.status == "Taking",
        )
    )
    if asked is None:
        abort(404, "You take no such test: it was sent, or its time is over.")
    return asked


def _matches(kind: HitType, query: str) -> bool:
    text = f"{kind.title} {kind.description} {kind.keywords}".lower()
    return all(word in text for word in query.lower().split())


def _page(name: str, session: Session, worker: Worker, **values: Any) -> str:
    approved, rejected = qualifying.standing(session, worker)
    unread = session.scalar(
        select(func.count()).where(Message.worker_record_id == worker.id, Message.read.is_(False))
    )
    return render_template(
        f"marketplace/{name}",
        worker=worker,
        approved=approved,
        rejected=rejected,
        unread=unread,
        now=present(),
        **values,
    )
