"""The page that workers judge on, and what it sends before its form is submitted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache, partial
from typing import Any

from flask import Blueprint, Response, abort, current_app, render_template, request, url_for
from sqlalchemy import Connection, Engine
from sqlalchemy.orm import Session, sessionmaker

from hit_server.database import writing
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
    page = _preview(public_id) if visit.preview else _accepted(public_id, visit)
    address = partial(_address, request.script_root)
    return render_template(
        "hit/page.html",
        visit=visit,
        page=page,
        token=sign(_secret(), visit.assignment_id, visit.worker_id),
        url_for=address,
        image_url=_image_url(settings, address),
        example_url=lambda number, place: address(
            "images.example", study_id=page.study_id, number=number, place=place
        ),
    )


@lru_cache(maxsize=50_000)
def _address(root: str, endpoint: str, **values: Any) -> str:
    """`url_for`, once for each address: making the few of a page takes a tenth of its time."""
    return url_for(endpoint, **values)


def _image_url(settings: Settings, address: Callable[..., str]) -> Callable[[str], str]:
    """Addresses of images: ours, or another host's where they were put."""
    if settings.image_url:
        return lambda public_id: f"{settings.image_url.rstrip('/')}/{public_id}.png"
    return lambda public_id: address("images.image", public_id=public_id)


@pages.post("/answers")
def answers() -> Response:
    """Keep what was answered so far. The form's own submission, to the crowd, is what counts."""
    with _written() as (connection, drawn):
        try:
            save(connection, drawn, request.form, at=now())
        except TooLate as error:
            abort(409, str(error))
        except ValueError as error:
            abort(400, str(error))
    return Response(status=204)


@pages.post("/left")
def left() -> Response:
    """A page was closed: if it was not finished, its comparisons may go to somebody else."""
    with _written() as (connection, drawn), Session(connection) as session:
        leave(session, drawn, at=now())
    return Response(status=204)


@contextmanager
def _written() -> Iterator[tuple[Connection, list[Drawn]]]:
    """The assignment that a page may write about, by its token; kept where nothing is raised."""
    refuse_other_sites()
    try:
        assignment_id, worker_id = read_token(_secret(), request.args.get("token", ""))
    except BadToken as error:
        abort(403, str(error))
    _ = request.form  # is read before others wait for this request to write
    with _engine("ENGINE").begin() as connection:
        drawn = drawn_for(connection, assignment_id, worker_id, lock=True)
        if not drawn:
            abort(403, "Nothing was shown for this assignment. Open the task again.")
        yield connection, drawn


def _engine(name: str) -> Engine:
    engine: Engine = current_app.config[name]
    return engine


def _secret() -> str:
    return str(current_app.secret_key)


def _preview(public_id: str) -> Page:
    reading: sessionmaker[Session] = current_app.config["READING"]
    with reading() as session:
        found = find_hit(session, public_id)
        if found is None:
            abort(404, NO_TASK)
        return preview_page(session, found)


def _accepted(public_id: str, visit: Visit) -> Page:
    known: Known = current_app.config["KNOWN"]
    names = visit.assignment_id, visit.worker_id
    # What only reads waits for no writer: pages are mostly read.
    with _engine("READING_ENGINE").connect() as connection:
        arrival = find_arrival(connection, public_id, *names)
        if arrival is None:
            abort(404, NO_TASK)
        # A HIT whose id has not come back yet may already be at work: it is given the benefit.
        if arrival.task.hit_id not in (None, visit.hit_id):
            abort(403, "This page does not belong to that HIT. Nothing was recorded.")
        _refuse_who_did_enough(connection, arrival)
        drawn = drawn_for(connection, *names) if arrival.drawn else []
        if not drawn or any(each.left for each in drawn):
            drawn = _place(connection, known, arrival)
        return accepted_page(connection, known, arrival.task, drawn, first=not arrival.others)


def _refuse_who_did_enough(connection: Connection, arrival: Arrival) -> None:
    most = arrival.task.hits.most_per_worker
    if most is None or not arrival.others:
        return
    if others_opened(connection, arrival, most=most) >= most:
        abort(
            403,
            f"Thank you: you have done {most} of these HITs, the most that this "
            "study asks of one person. Please return this HIT.",
        )


def _place(connection: Connection, known: Known, arrival: Arrival) -> list[Drawn]:
    with writing(connection), Session(connection) as session:
        try:
            return place(connection, session, known, arrival, at=now())
        except (NothingLeft, NotYours) as error:
            abort(403, str(error))
