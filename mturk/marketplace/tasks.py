"""A HIT on the worker site: preview, accept, work in the frame, return, submit."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode, urlsplit

from flask import (
    Blueprint,
    Response,
    abort,
    make_response,
    redirect,
    render_template,
    request,
    url_for,
)
from lxml import etree
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response as AnyResponse

from mturk.marketplace import working
from mturk.marketplace.form_answers import violations
from mturk.marketplace.forms import Form, parse_xml, read_form
from mturk.marketplace.records import MarketAssignment, MarketHit, Worker
from mturk.marketplace.refusals import WorkRefused
from mturk.marketplace.requirements import lacking
from mturk.marketplace.site import form_fields
from mturk.marketplace.web import (
    base_url,
    open_session,
    present,
    refuse_other_sites,
    signed_in,
)

tasks = Blueprint("tasks", __name__)
NOT_AVAILABLE = "ASSIGNMENT_ID_NOT_AVAILABLE"
AMAZON_SUBMITS = (
    "https://www.mturk.com/mturk/externalSubmit",
    "https://workersandbox.mturk.com/mturk/externalSubmit",
)
HTML_SANDBOX = "allow-scripts allow-forms allow-popups"


@tasks.get("/worker/hits/<hit_id>")
def preview(hit_id: str) -> str:
    """A HIT in its frame, before it is accepted."""
    with open_session() as session:
        worker, hit = signed_in(session), _hit(session, hit_id)
        for action in ("discover", "preview"):
            if reason := lacking(session, hit.hit_type, worker, action):
                abort(403, f"You cannot preview this HIT: {reason}.")
        values = {"assignmentId": NOT_AVAILABLE, "hitId": hit.hit_id}
        reason = lacking(session, hit.hit_type, worker)
        return _task_page(hit, None, values, lacking=reason, seconds=hit.hit_type.duration_s)


@tasks.post("/worker/hits/<hit_id>/accept")
def accept(hit_id: str) -> AnyResponse:
    """Take an assignment of a HIT."""
    refuse_other_sites()
    with open_session() as session:
        worker = signed_in(session)
        try:
            assignment = working.accept(session, _hit(session, hit_id), worker, present())
        except WorkRefused as error:
            abort(409, str(error))
        return redirect(url_for("tasks.task", assignment_id=assignment.assignment_id))


@tasks.get("/worker/assignments/<assignment_id>")
def task(assignment_id: str) -> str:
    """An accepted HIT in its frame, with the time left."""
    with open_session() as session:
        assignment = _own(session, signed_in(session), assignment_id)
        return _accepted_page(assignment, [], {})


@tasks.post("/worker/assignments/<assignment_id>")
def submit_form(assignment_id: str) -> AnyResponse | tuple[str, int]:
    """Take the answers to a QuestionForm; what is missing is said, and nothing lost."""
    refuse_other_sites()
    with open_session() as session:
        assignment = _own(session, signed_in(session), assignment_id)
        form, fields = _form(assignment.hit), form_fields()
        if form is None:
            abort(404, "This HIT's task has a page of its own.")
        if wrong := violations(form, fields):
            return _accepted_page(assignment, wrong, fields), 422
        known = {question.identifier for question in form.questions}
        given = {name: value for name, value in fields.items() if name in known}
        group = assignment.hit.hit_type.group_id
        try:
            working.submit(session, assignment_id, given, present())
        except WorkRefused as error:
            abort(409, str(error))
        return make_response(render_template("marketplace/submitted.html", group=group))


@tasks.post("/worker/assignments/<assignment_id>/return")
def give_back(assignment_id: str) -> AnyResponse:
    """Return a HIT; nothing is held against the worker."""
    refuse_other_sites()
    with open_session() as session:
        try:
            own = _own(session, signed_in(session), assignment_id)
            working.give_back(session, own, present())
        except WorkRefused as error:
            abort(409, str(error))
    return redirect(url_for("site.listing"))


@tasks.route("/mturk/externalSubmit", methods=["GET", "POST"])
def external_submit() -> AnyResponse:
    """Take the form of a task.

    It comes from another site's frame without a cookie: the assignment's long random id is what
    allows it.
    """
    values = request.values.to_dict(flat=False)
    fields = {name: "|".join(texts) for name, texts in values.items()}
    assignment_id = fields.pop("assignmentId", "")
    with open_session() as session:
        try:
            done = working.submit(session, assignment_id, fields, present())
        except WorkRefused as error:
            abort(400, str(error))
        group = done.hit.hit_type.group_id
    return make_response(render_template("marketplace/submitted.html", group=group))


@tasks.get("/task/<hit_id>")
def html_task(hit_id: str) -> Response:
    """The page of an HTMLQuestion. It is a requester's: it gets an origin of its own."""
    with open_session() as session:
        content = _question(_hit(session, hit_id)).findtext("{*}HTMLContent")
    if content is None:
        abort(404, "This HIT's task is on another server.")
    # Pages written for Amazon's worker sites name them where they submit to.
    for host in AMAZON_SUBMITS:
        content = content.replace(host, f"{base_url()}/mturk/externalSubmit")
    response = Response(content, mimetype="text/html")
    response.headers["Content-Security-Policy"] = f"sandbox {HTML_SANDBOX}"
    return response


def _accepted_page(assignment: MarketAssignment, wrong: list[str], fields: dict[str, str]) -> str:
    values = {
        "assignmentId": assignment.assignment_id,
        "hitId": assignment.hit.hit_id,
        "workerId": assignment.worker.worker_id,
        "turkSubmitTo": base_url(),
    }
    left = max(0, int((assignment.deadline - present()).total_seconds()))
    return _task_page(assignment.hit, assignment, values, seconds=left, wrong=wrong, fields=fields)


def _task_page(
    hit: MarketHit,
    assignment: MarketAssignment | None,
    values: dict[str, str],
    *,
    seconds: int,
    lacking: str | None = None,
    wrong: list[str] | None = None,
    fields: dict[str, str] | None = None,
) -> str:
    form = _form(hit)
    return render_template(
        "marketplace/task.html",
        hit=hit,
        kind=hit.hit_type,
        frame=None if form else _frame(hit, values),
        form=form,
        assignment=assignment,
        lacking=lacking,
        seconds=seconds,
        wrong=wrong or [],
        fields=fields or {},
    )


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
    return parse_xml(hit.question, "the Question")


def _form(hit: MarketHit) -> Form | None:
    """The HIT's QuestionForm, if that is what it asks with."""
    is_form = etree.QName(_question(hit)).localname == "QuestionForm"
    return read_form(hit.question) if is_form else None


def _frame(hit: MarketHit, values: dict[str, str]) -> dict[str, Any]:
    """The frame's address, height and sandbox."""
    root = _question(hit)
    external = root.findtext("{*}ExternalURL")
    height = int((root.findtext("{*}FrameHeight") or "0").strip() or 0)
    url = external.strip() if external else url_for("tasks.html_task", hit_id=hit.hit_id)
    joint = "&" if urlsplit(url).query else "?"
    sandbox = None if external else HTML_SANDBOX
    return {"url": f"{url}{joint}{urlencode(values)}", "height": height, "sandbox": sandbox}
