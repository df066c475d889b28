"""A HIT's page as one file, for an HTMLQuestion: no server of one's own is needed.

Its images lie on any host (see `hosting`), and answers come back through the crowd alone. Nobody
can deal out places one by one then: they follow from the assignment's id by a sum that the page
and `order_of` both do, balanced in expectation and not exactly.
"""

from __future__ import annotations

from collections.abc import Sequence

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from sqlalchemy.orm import Session

from generation.study import UserError
from hit_server.app import ROOT
from hit_server.hits import hits_of_record
from hit_server.page import preview_order, preview_page
from hit_server.reading import Unreadable
from hit_server.records import Comparison, Hit, Placement, now
from hit_server.settings import Settings
from hit_server.visits import Visit

PARTS = ROOT / "static" / "hit"
PRIME, OFFSET = 0x01000193, 0x811C9DC5
"""Of FNV-1a with 32 bits (Fowler, Noll and Vo)."""


def order_of(base: Sequence[str], assignment_id: str, comparison_public_id: str) -> list[str]:
    """The methods as an assignment's page shows them, first place first."""
    number = OFFSET
    for character in f"{assignment_id}|{comparison_public_id}":
        number = ((number ^ ord(character)) * PRIME) & 0xFFFFFFFF
    left, found = list(base), []
    while left:
        number, chosen = divmod(number, len(left))
        found.append(left.pop(chosen))
    return found


def self_contained_page(session: Session, hit: Hit, settings: Settings) -> str:
    """The page of a HIT as one HTML file.

    Raises:
        UserError: no address of the images is set.
    """
    if not settings.image_url:
        raise UserError(
            'hits.question = "html" shows images from a host of yours: put them there with '
            "`clearwinner host-images`, and set CLEARWINNER_IMAGE_URL to their address."
        )
    environment = Environment(
        loader=FileSystemLoader(ROOT / "templates"), autoescape=True, undefined=StrictUndefined
    )
    address = settings.image_url.rstrip("/")
    scripts = [(PARTS / name).read_text(encoding="utf-8") for name in ("place.js", "page.js")]
    return environment.get_template("hit/self_contained.html").render(
        page=preview_page(session, hit),
        visit=Visit(preview=False),
        style=Markup((PARTS / "page.css").read_text(encoding="utf-8")),
        script=Markup("\n".join(scripts)),
        sites=list(settings.sites),
        image_url=lambda public_id: f"{address}/{public_id}.png",
        example_url=lambda number, place: f"{address}/example-{number}-{place}.png",
    )


def placements_as_shown(
    session: Session, hit: Hit, assignment_id: str, worker_id: str
) -> list[Placement]:
    """What an assignment's page has shown, written down when its answer comes in.

    Raises:
        Unreadable: the HIT shows nothing that is known.
    """
    hits = hits_of_record(hit.study.hits)
    if not hit.comparisons:
        raise Unreadable("its HIT shows no comparison")
    at = now()
    made = [
        Placement(
            comparison_id=comparison.id,
            hit_record_id=hit.id,
            assignment_id=assignment_id,
            worker_id=worker_id,
            number=number,
            kind="vote",
            slot=None,
            methods=order_of(preview_order(comparison), assignment_id, comparison.public_id),
            questions=[question.key for question in hits.questions],
            drawn_at=at,
            seen_at=at,
            reserved_until=at,
        )
        for number, comparison in enumerate(hit.comparisons[: hits.per_hit], 1)
    ]
    for placement in made:
        session.get_one(Comparison, placement.comparison_id).reserved += 1
    session.add_all(made)
    session.commit()
    return made
