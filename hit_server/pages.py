"""The page that a worker judges on."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Blueprint, abort, current_app, render_template, request
from sqlalchemy.orm import Session, sessionmaker

from hit_server.hits import Hits
from hit_server.records import Comparison, ImageRecord
from hit_server.settings import Settings
from hit_server.store import find_comparison, images_of, opened_by, place
from hit_server.visits import BadVisit, Visit, read_visit

pages = Blueprint("pages", __name__)


@dataclass(frozen=True)
class Shown:
    """An image in its place, as the template needs it; nothing in it tells the method."""

    place: int
    public_id: str
    width: int
    height: int


@pages.get("/hit/<public_id>")
def hit(public_id: str) -> str:
    """The comparison of a HIT, in the order drawn for this assignment."""
    settings: Settings = current_app.config["SETTINGS"]
    sessions: sessionmaker[Session] = current_app.config["SESSIONS"]
    try:
        visit = read_visit(request.args, settings.sites)
    except BadVisit as error:
        abort(400, str(error))
    with sessions() as session:
        comparison = find_comparison(session, public_id)
        if comparison is None:
            abort(404, "There is no such comparison. Open the task from the marketplace.")
        if not visit.preview and not _published_as(comparison, visit.hit_id):
            abort(403, "This comparison does not belong to that HIT. Nothing was recorded.")
        hits = Hits.model_validate(comparison.study.hits)
        if not visit.preview and _did_enough(session, comparison, visit, hits):
            abort(
                403,
                f"Thank you: you have judged {hits.most_per_worker} comparisons, the most that "
                "this study asks of one person. Please return this HIT.",
            )
        order = _order(session, comparison, visit)
        shown = _in_places(images_of(session, comparison), order)
    number = len(shown)
    return render_template(
        "hit/page.html",
        visit=visit,
        prompt=comparison.prompt,
        public_id=public_id,
        shown=shown,
        questions=hits.questions,
        introduction=hits.introduction.format(images=f"{number} images"),
        reminder=hits.reminder.format(both="both" if number == 2 else "all"),
        title=hits.title,
    )


def _did_enough(session: Session, comparison: Comparison, visit: Visit, hits: Hits) -> bool:
    """Whether a worker has opened as many other HITs of the study as one person may do."""
    if hits.most_per_worker is None:
        return False
    others = opened_by(session, comparison.study_id, visit.worker_id) - {visit.assignment_id}
    return len(others) >= hits.most_per_worker


def _published_as(comparison: Comparison, hit_id: str) -> bool:
    """Whether the crowd may know the comparison by this HIT id.

    A HIT whose id has not come back yet may already be at work: it is given the benefit.
    """
    hit = comparison.hit
    return hit is not None and hit.hit_id in (None, hit_id)


def _order(session: Session, comparison: Comparison, visit: Visit) -> list[str]:
    """A preview shows the study's own order: nobody votes on it."""
    if visit.preview:
        return sorted(comparison.methods)
    return place(session, comparison, visit.assignment_id, visit.worker_id).methods


def _in_places(images: dict[str, ImageRecord], order: list[str]) -> list[Shown]:
    return [
        Shown(number, images[name].public_id, images[name].width, images[name].height)
        for number, name in enumerate(order, 1)
    ]
