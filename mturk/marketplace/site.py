"""The worker site: sign in, find, preview, accept, work, return, submit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

from flask import (
    Blueprint,
    Response,
    abort,
    current_app,
    make_response,
    redirect,
    render_template,
    request,
    url_for,
)
from flask import (
    session as cookie,
)
from lxml import etree
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response as AnyResponse

from mturk.marketplace import rules
from mturk.marketplace.accounts import worker_with
from mturk.marketplace.records import HitType, MarketAssignment, MarketHit, Worker

site = Blueprint("site", __name__)
NOT_AVAILABLE = "ASSIGNMENT_ID_NOT_AVAILABLE"
HTML_SANDBOX = "allow-scripts allow-forms allow-popups"


@dataclass(frozen=True)
class Offer:
    """A HIT as the list shows it."""

    hit: MarketHit
    kind: HitType
    available: int
    lacking: str | None


def _now() -> datetime:
    clock: Callable[[], datetime] = current_app.config["CLOCK"]
    return clock()


def _open() -> Session:
    """A session on a database that is brought up to the present."""
    session: Session = current_app.config["SESSIONS"]()
    rules.settle(session, _now())
    session.commit()
    return session


def base_url() -> str:
    """Where browsers reach this marketplace, without a slash at the end."""
    configured: str | None = current_app.config["PUBLIC_URL"]
    return configured or request.host_url.rstrip("/")


def _worker(session: Session) -> Worker:
    worker = session.get(Worker, cookie.get("worker", 0))
    if worker is None or cookie.get("token") != worker.token_hash[:16]:
        abort(401, "Open the sign-in link that you were given.")
    return worker


def _same_origin() -> None:
    """Refuse a write that another site's page sends with this worker's cookie."""
    sent_by = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get("Origin", "")
    own = urlsplit(base_url()).netloc
    fine = sent_by == "same-origin" if sent_by else urlsplit(origin).netloc in (own, request.host)
    if not fine:
        abort(403, "This form was sent from another site. Nothing was done.")


@site.get("/")
def root() -> AnyResponse:
    """The way in for browsers; programs use POST."""
    return redirect(url_for("site.listing"))


@site.get("/worker/sign-in/<token>")
def sign_in_page(token: str) -> str:
    """A page with a button: a link that only looks must not sign anybody in."""
    with _open() as session:
        worker = worker_with(session, token)
        if worker is None:
            abort(404, "This sign-in link is not, or no longer, valid. Ask for a new one.")
        return render_template("marketplace/sign_in.html", name=worker.name, token=token)


@site.post("/worker/sign-in/<token>")
def sign_in(token: str) -> AnyResponse:
    """Begin a first-party session."""
    _same_origin()
    with _open() as session:
        worker = worker_with(session, token)
        if worker is None:
            abort(404, "This sign-in link is not, or no longer, valid. Ask for a new one.")
        cookie.clear()
        # A new link ends the sessions of the old one.
        cookie["worker"], cookie["token"] = worker.id, worker.token_hash[:16]
    return redirect(url_for("site.listing"))


@site.get("/worker/")
def listing() -> str:
    """The HITs that are open, those that this worker may accept first."""
    with _open() as session:
        worker = _worker(session)
        offers = _offers(session, worker)
        working = session.scalars(
            select(MarketAssignment).where(
                MarketAssignment.worker_record_id == worker.id,
                MarketAssignment.status == "Accepted",
            )
        ).all()
        approved, rejected = rules.standing(session, worker)
        return render_template(
            "marketplace/list.html",
            worker=worker,
            offers=offers,
            working=working,
            approved=approved,
            rejected=rejected,
        )


def _offers(session: Session, worker: Worker) -> list[Offer]:
    """Assignable HITs that the worker has not done, and why it may not accept some."""
    now = _now()
    done = select(MarketAssignment.hit_record_id).where(
        MarketAssignment.worker_record_id == worker.id
    )
    hits = session.scalars(
        select(MarketHit)
        .where(MarketHit.disposed.is_(False), MarketHit.expires_at > now, MarketHit.id.not_in(done))
        .order_by(MarketHit.id)
    )
    reasons: dict[int, str | None] = {}
    offers = []
    for hit in hits:
        taken = sum(rules.counts(session, hit).values())
        if taken >= hit.max_assignments:
            continue
        kind = hit.hit_type
        if kind.id not in reasons:
            reasons[kind.id] = rules.lacking(session, kind, worker)
        offers.append(Offer(hit, kind, hit.max_assignments - taken, reasons[kind.id]))
    return sorted(offers, key=lambda offer: offer.lacking is not None)


@site.get("/worker/hits/<hit_id>")
def preview(hit_id: str) -> str:
    """A HIT in its frame, before it is accepted."""
    with _open() as session:
        worker = _worker(session)
        hit = _hit(session, hit_id)
        frame = _frame(hit, {"assignmentId": NOT_AVAILABLE, "hitId": hit.hit_id})
        return render_template(
            "marketplace/task.html",
            hit=hit,
            kind=hit.hit_type,
            frame=frame,
            assignment=None,
            lacking=rules.lacking(session, hit.hit_type, worker),
            seconds=hit.hit_type.duration_s,
        )


@site.post("/worker/hits/<hit_id>/accept")
def accept(hit_id: str) -> AnyResponse:
    """Take an assignment of a HIT."""
    _same_origin()
    with _open() as session:
        worker = _worker(session)
        try:
            assignment = rules.accept(session, _hit(session, hit_id), worker, _now())
        except rules.WorkRefused as error:
            abort(409, str(error))
        return redirect(url_for("site.working", assignment_id=assignment.assignment_id))


@site.get("/worker/assignments/<assignment_id>")
def working(assignment_id: str) -> str:
    """An accepted HIT in its frame, with the time left."""
    with _open() as session:
        worker = _worker(session)
        assignment = _own(session, worker, assignment_id)
        hit = assignment.hit
        values = {
            "assignmentId": assignment.assignment_id,
            "hitId": hit.hit_id,
            "workerId": worker.worker_id,
            "turkSubmitTo": base_url(),
        }
        left = int((assignment.deadline - _now()).total_seconds())
        return render_template(
            "marketplace/task.html",
            hit=hit,
            kind=hit.hit_type,
            frame=_frame(hit, values),
            assignment=assignment,
            lacking=None,
            seconds=left,
        )


@site.post("/worker/assignments/<assignment_id>/return")
def give_back(assignment_id: str) -> AnyResponse:
    """Return a HIT; nothing is held against the worker."""
    _same_origin()
    with _open() as session:
        try:
            rules.give_back(session, _own(session, _worker(session), assignment_id))
        except rules.WorkRefused as error:
            abort(409, str(error))
    return redirect(url_for("site.listing"))


@site.route("/mturk/externalSubmit", methods=["GET", "POST"])
def external_submit() -> AnyResponse:
    """Take the form of a task.

    It comes from another site's frame without a cookie: the assignment's long random id is what
    allows it.
    """
    values = request.values.to_dict(flat=False)
    fields = {name: "|".join(texts) for name, texts in values.items()}
    assignment_id = fields.pop("assignmentId", "")
    with _open() as session:
        try:
            rules.submit(session, assignment_id, fields, _now())
        except rules.WorkRefused as error:
            abort(400, str(error))
    return make_response(render_template("marketplace/submitted.html"))


@site.get("/task/<hit_id>")
def html_task(hit_id: str) -> Response:
    """The page of an HTMLQuestion. It is a requester's: it gets an origin of its own."""
    with _open() as session:
        hit = _hit(session, hit_id)
        content = _question(hit).findtext("{*}HTMLContent")
    if content is None:
        abort(404, "This HIT's task is on another server.")
    response = Response(content, mimetype="text/html")
    response.headers["Content-Security-Policy"] = f"sandbox {HTML_SANDBOX}"
    return response


def _hit(session: Session, hit_id: str) -> MarketHit:
    hit = session.scalar(
        select(MarketHit).where(MarketHit.hit_id == hit_id, MarketHit.disposed.is_(False))
    )
    if hit is None:
        abort(404, "There is no such HIT.")
    return hit


def _own(session: Session, worker: Worker, assignment_id: str) -> MarketAssignment:
    assignment = session.scalar(
        select(MarketAssignment).where(
            MarketAssignment.assignment_id == assignment_id,
            MarketAssignment.worker_record_id == worker.id,
        )
    )
    if assignment is None or assignment.status != "Accepted":
        abort(404, "You hold no such assignment: it was returned, submitted, or its time is over.")
    return assignment


def _question(hit: MarketHit) -> Any:
    parser = etree.XMLParser(resolve_entities=False, no_network=True)
    return etree.fromstring(hit.question.encode(), parser)


def _frame(hit: MarketHit, values: dict[str, str]) -> dict[str, Any]:
    """The frame's address, height and sandbox."""
    root = _question(hit)
    external = root.findtext("{*}ExternalURL")
    height = int((root.findtext("{*}FrameHeight") or "0").strip() or 0)
    url = external.strip() if external else url_for("site.html_task", hit_id=hit.hit_id)
    joint = "&" if urlsplit(url).query else "?"
    sandbox = None if external else HTML_SANDBOX
    return {"url": f"{url}{joint}{urlencode(values)}", "height": height, "sandbox": sandbox}
