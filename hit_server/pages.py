"""The page that workers judge on, and what it sends before its form is submitted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from flask import Blueprint, Response, abort, current_app, render_template, request, url_for
from sqlalchemy.orm import Session, sessionmaker

from hit_server.drawn import Drawn, drawn_for
from hit_server.known import Known
from hit_server.page import Page, accepted_page, preview_page
from hit_server.records import now
from hit_server.reserving import NothingLeft, NotYours, place
from hit_server.saving import TooLate, leave, save
from hit_server.security import refuse_other_sites
from hit_server.settings import Settings
from hit_server.store import find_hit
from hit_server.tasks import Arrival, find_arrival, others_opened
from hit_server.tokens import BadToken, read_token, sign
from hit_server.visits import BadVisit, Visit, read_visit

pages = Blueprint("pages", __name__)
NO_TASK = "There is no such task. Open it from the marketplace."


@pages.get("/hit/<public_id>")
def hit(public_id: str) -> str:
    """A HIT's page, with what was drawn for this worker's assignment."""
    settings: Settings = current_app.config["SETTINGS"]
    try:
        visit = read_visit(request.args, settings.sites)
    except BadVisit as error:
        abort(400, str(error))
    # What only reads waits for no writer: pages are mostly read.
    reading: sessionmaker[Session] = current_app.config["READING"]
    with reading() as session:
        page = (
            _preview(session, public_id) if visit.preview else _accepted(session, public_id, visit)
        )
    token = sign(_secret(), visit.assignment_id, visit.worker_id)
    return render_template(
        "hit/page.html",
        visit=visit,
        page=page,
        token=token,
        image_url=_image_url(settings),
        example_url=lambda number, place: url_for(
            "images.example", study_id=page.study_id, number=number, place=place
        ),
    )


def _image_url(settings: Settings) -> Callable[[str], str]:
    """Addresses of images: ours, or another host's where they were put."""
    if settings.image_url:
        return lambda public_id: f"{settings.image_url.rstrip('/')}/{public_id}.png"
    return lambda public_id: url_for("images.image", public_id=public_id)


@pages.post("/answers")
def answers() -> Response:
    """Keep what was answered so far. The form's own submission, to the crowd, is what counts."""
    with _written() as (session, drawn):
        try:
            save(session, drawn, request.form, at=now())
        except TooLate as error:
            abort(409, str(error))
        except ValueError as error:
            abort(400, str(error))
    return Response(status=204)


@pages.post("/left")
def left() -> Response:
    """A page was closed: if it was not finished, its comparisons may go to somebody else."""
    with _written() as (session, drawn):
        leave(session, drawn, at=now())
    return Response(status=204)


@contextmanager
def _written() -> Iterator[tuple[Session, list[Drawn]]]:
    """The assignment that a page may write about, by its token."""
    refuse_other_sites()
    try:
        assignment_id, worker_id = read_token(_secret(), request.args.get("token", ""))
    except BadToken as error:
        abort(403, str(error))
    sessions: sessionmaker[Session] = current_app.config["SESSIONS"]
    with sessions() as session:
        drawn = drawn_for(session, assignment_id, worker_id, lock=True)
        if not drawn:
            abort(403, "Nothing was shown for this assignment. Open the task again.")
        yield session, drawn


def _secret() -> str:
    return str(current_app.secret_key)


def _preview(session: Session, public_id: str) -> Page:
    found = find_hit(session, public_id)
    if found is None:
        abort(404, NO_TASK)
    return preview_page(session, found)


def _accepted(session: Session, public_id: str, visit: Visit) -> Page:
    arrival = find_arrival(session, public_id, visit.assignment_id, visit.worker_id)
    if arrival is None:
        abort(404, NO_TASK)
    task, known = arrival.task, current_app.config["KNOWN"]
    # A HIT whose id has not come back yet may already be at work: it is given the benefit.
    if task.hit_id not in (None, visit.hit_id):
        abort(403, "This page does not belong to that HIT. Nothing was recorded.")
    _refuse_who_did_enough(session, arrival)
    names = visit.assignment_id, visit.worker_id
    drawn = drawn_for(session, *names) if arrival.drawn else []
    if not drawn or any(each.left for each in drawn):
        drawn = _place(known, arrival)
    return accepted_page(session, known, task, drawn, first=not arrival.others)


def _refuse_who_did_enough(session: Session, arrival: Arrival) -> None:
    most = arrival.task.hits.most_per_worker
    if most is None or not arrival.others:
        return
    if others_opened(session, arrival, most=most) >= most:
        abort(
            403,
            f"Thank you: you have done {most} of these HITs, the most that this "
            "study asks of one person. Please return this HIT.",
        )


def _place(known: Known, arrival: Arrival) -> list[Drawn]:
    sessions: sessionmaker[Session] = current_app.config["SESSIONS"]
    with sessions() as session:
        try:
            return place(session, known, arrival, at=now())
        except (NothingLeft, NotYours) as error:
            abort(403, str(error))
