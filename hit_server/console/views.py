"""The console's pages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flask import Blueprint, abort, current_app, redirect, render_template, request, url_for
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker
from werkzeug.wrappers import Response as AnyResponse

from generation.manifest import ManifestRow, read_manifest
from generation.study import UserError
from hit_server.console import figures
from hit_server.console.sign_in import required
from hit_server.hits import hits_of_record
from hit_server.known import images_named
from hit_server.page import in_places
from hit_server.records import Assignment, Comparison, Hit, Placement, StudyRecord, Vote
from hit_server.security import refuse_other_sites
from hit_server.store import images_of, votes_given
from hit_server.tokens import secret_of, worker_hash

console = Blueprint("console", __name__, url_prefix="/console")
console.before_request(required)
A_PAGE = 50


@contextmanager
def _records(name: str | None = None) -> Iterator[tuple[Session, Any]]:
    sessions: sessionmaker[Session] = current_app.config["READING"]
    with sessions() as session:
        study = None
        if name is not None:
            study = session.scalar(select(StudyRecord).where(StudyRecord.name == name))
            if study is None:
                abort(404, "There is no such study.")
        yield session, study


@console.get("/")
def studies() -> str:
    """Every study with its progress."""
    with _records() as (session, _):
        found = session.scalars(select(StudyRecord).order_by(StudyRecord.id.desc())).all()
        rows = [(study, figures.progress(session, study)) for study in found]
        return render_template("console/studies.html", rows=rows)


@console.get("/studies/<name>")
def study(name: str) -> str:
    """Progress, cost and, when asked for or when it is closed, the votes so far."""
    with _records(name) as (session, found):
        done = figures.progress(session, found)
        shown = _votes_shown(found)
        return render_template(
            "console/study.html",
            study=found,
            progress=done,
            shares=figures.shares(session, found) if shown else None,
            titles=_titles(found),
        )


@console.get("/studies/<name>/workers")
def workers(name: str) -> str:
    """What each worker did."""
    with _records(name) as (session, found):
        rows = figures.workers(session, found, _secret(session))
        return render_template("console/workers.html", study=found, rows=rows)


@console.get("/studies/<name>/comparisons")
def comparisons(name: str) -> str:
    """Every comparison, with how many workers have judged it."""
    with _records(name) as (session, found):
        number = _page_number()
        of_study = select(Comparison).where(Comparison.study_id == found.id)
        shown = session.scalars(
            of_study.order_by(Comparison.id).limit(A_PAGE + 1).offset(number * A_PAGE)
        ).all()
        given = votes_given(session, found)
        return render_template(
            "console/comparisons.html",
            study=found,
            comparisons=shown[:A_PAGE],
            given=given,
            number=number,
            more=len(shown) > A_PAGE,
        )


@console.get("/studies/<name>/comparisons/<public_id>")
def comparison(name: str, public_id: str) -> str:
    """A comparison as each worker saw it, with every image's origin."""
    with _records(name) as (session, found):
        one = session.scalar(
            select(Comparison).where(
                Comparison.study_id == found.id, Comparison.public_id == public_id
            )
        )
        if one is None:
            abort(404, "There is no such comparison.")
        images = images_of(session, [one])[one.id]
        origins = {
            method: _origin(Path(images[method].image.path), images[method].image.sha256)
            for method in one.methods
        }
        shown = _votes_shown(found)
        return render_template(
            "console/comparison.html",
            study=found,
            comparison=one,
            images=images,
            origins=origins,
            seen=_seen(session, one, shown=shown),
            shown=shown,
            titles=_titles(found),
        )


@console.get("/studies/<name>/assignments")
def assignments(name: str) -> str:
    """Assignments as they came in, the newest first, to approve or to flag."""
    with _records(name) as (session, found):
        number = _page_number()
        rows = session.scalars(
            select(Assignment)
            .join(Hit)
            .where(Hit.study_id == found.id)
            .order_by(Assignment.id.desc())
            .limit(A_PAGE + 1)
            .offset(number * A_PAGE)
        ).all()
        secret = _secret(session)
        return render_template(
            "console/assignments.html",
            study=found,
            rows=[
                (row, worker_hash(secret, row.worker_id), _seconds(row)) for row in rows[:A_PAGE]
            ],
            number=number,
            more=len(rows) > A_PAGE,
            can_approve=current_app.config["APPROVE"] is not None,
            said=request.args.get("said", ""),
        )


@console.post("/studies/<name>/assignments/<int:record>/approve")
def approve(name: str, record: int) -> AnyResponse:
    """Approve one assignment, which pays its worker."""
    refuse_other_sites()
    ask = current_app.config["APPROVE"]
    if ask is None:
        abort(409, "No crowd is connected to this server. Run `clearwinner approve`.")
    try:
        said = ask(name, _own(name, record))
    except UserError as error:
        abort(502, str(error))
    return redirect(url_for("console.assignments", name=name, said=said))


@console.post("/studies/<name>/assignments/<int:record>/flag")
def flag(name: str, record: int) -> AnyResponse:
    """Note something about an assignment; an empty note takes it back."""
    refuse_other_sites()
    note = request.form.get("note", "").strip()[:500]
    _own(name, record)
    sessions: sessionmaker[Session] = current_app.config["SESSIONS"]
    with sessions() as session:
        session.get_one(Assignment, record).flag = note or None
        session.commit()
    return redirect(url_for("console.assignments", name=name))


def _own(name: str, record: int) -> str:
    """The crowd's id of a study's assignment."""
    with _records(name) as (session, found):
        assignment = session.get(Assignment, record)
        if assignment is None or assignment.hit.study_id != found.id:
            abort(404, "There is no such assignment.")
        return assignment.assignment_id


def _seen(session: Session, comparison: Comparison, *, shown: bool) -> list[dict[str, Any]]:
    """The comparison on each worker's page; the votes too where they are to be shown."""
    images = images_named(session.connection(), [comparison.id])[comparison.id]
    secret = _secret(session)
    found = []
    for placement in session.scalars(
        select(Placement).where(Placement.comparison_id == comparison.id).order_by(Placement.id)
    ):
        votes = session.scalars(
            select(Vote)
            .join(Assignment)
            .where(
                Vote.comparison_id == comparison.id,
                Vote.number == placement.number,
                Assignment.assignment_id == placement.assignment_id,
                Assignment.worker_id == placement.worker_id,
            )
        ).all()
        found.append(
            {
                "worker": worker_hash(secret, placement.worker_id),
                "kind": placement.kind,
                "images": in_places(images, placement.methods),
                "methods": placement.methods,
                "released": placement.released_at is not None,
                "votes": votes if shown else [],
                "answered": bool(votes),
            }
        )
    return found


def _origin(path: Path, sha256: str) -> ManifestRow | None:
    """The manifest row of an image."""
    try:
        rows = read_manifest(path.parent.parent)
    except (OSError, UserError):
        return None
    return next((row for row in rows if row.sha256 == sha256), None)


def _votes_shown(study: StudyRecord) -> bool:
    """Votes are hidden until the study is closed, unless somebody asks for them."""
    return study.closed_at is not None or request.args.get("shares") == "1"


def _titles(study: StudyRecord) -> dict[str, str]:
    return {question.key: question.title for question in hits_of_record(study.hits).questions}


def _seconds(assignment: Assignment) -> float | None:
    times = [vote.milliseconds for vote in assignment.votes if vote.milliseconds is not None]
    return max(times) / 1000 if times else None


def _page_number() -> int:
    text = request.args.get("page", "0")
    return int(text) if text.isdecimal() and len(text) < 8 else 0


def _secret(session: Session) -> str:
    return secret_of(session, current_app.config["SETTINGS"])
