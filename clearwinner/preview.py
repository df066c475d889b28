"""A look at a study's HITs as workers will see them, with nothing published outside."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import select
from sqlalchemy.orm import Session

from clearwinner.services import hit_server
from generation.manifest import read_manifest
from generation.study import StudyFile, UserError
from hit_server.database import open_database, session_factory
from hit_server.hits import hits_of_record
from hit_server.records import StudyRecord, now
from hit_server.registering import register_study
from hit_server.serve import Server
from hit_server.settings import Settings
from hit_server.store import settle_hit
from mturk.client import Endpoint, connect
from mturk.crowd import Crowd
from mturk.launch import Publisher, bound_hits
from mturk.marketplace.app import Marketplace, create_app, open_marketplace
from mturk.marketplace.records import MarketHit, Worker
from mturk.marketplace.working import accept

NAME = "Preview"
SHOWN = 5
"""Comparisons that are published on the marketplace of the preview."""


@dataclass(frozen=True)
class Preview:
    """Addresses to open, in this order."""

    sign_in: str
    preview: str
    accepted: str
    listing: str


@contextmanager
def preview(file: StudyFile) -> Iterator[Preview]:
    """A marketplace and a hit server of their own in a folder that is gone afterwards.

    Raises:
        UserError: there are no images yet.
    """
    place = file.study.place
    rows = read_manifest(place)
    if not rows:
        raise UserError(
            f"{place} has no images yet. Run `clearwinner generate {file.path}` first; a few "
            "prompts are enough."
        )
    with TemporaryDirectory(prefix="clearwinner-preview-") as name:
        folder = Path(name)
        marketplace = open_marketplace(folder / "marketplace")
        url = f"sqlite:///{folder / 'study.sqlite3'}"
        with Server(create_app(marketplace)) as market:
            settings = Settings(worker_sites=[market.url], database_url=url)
            with hit_server(file, settings=settings) as pages:
                public_url = f"http://localhost:{pages.port}"
                engine = open_database(url)
                with session_factory(engine)() as session:
                    study = register_study(session, file, rows, place)
                    hits = _publish(session, study, file, marketplace, market.url, public_url)
                engine.dispose()
                yield _addresses(marketplace, market.url, hits)
        marketplace.engine.dispose()


def _publish(
    session: Session,
    study: StudyRecord,
    file: StudyFile,
    marketplace: Marketplace,
    url: str,
    public_url: str,
) -> list[str]:
    """Publish a few comparisons on the preview's own marketplace; their HIT ids."""
    keys = marketplace.credentials
    endpoint = Endpoint("marketplace", url)
    client = connect(endpoint, access_key=keys.access_key, secret_key=keys.secret_key)
    publisher = Publisher(client, endpoint, file.table("crowd", Crowd), public_url)
    hit_type = publisher.hit_type(hits_of_record(study.hits))
    made = []
    waiting = bound_hits(session, study, publisher, publisher.crowd.hit_assignments)
    for hit in islice(waiting, SHOWN):
        hit_id, _ = publisher.publish(publisher.wanted(session, hit), hit_type)
        settle_hit(session, hit, hit_id, now())
        made.append(hit_id)
    if not made:
        raise UserError("no comparison has all of its images yet. Generate some more.")
    return made


def _addresses(marketplace: Marketplace, url: str, hits: list[str]) -> Preview:
    """Invite a worker, who has accepted the last HIT."""
    sign_in = marketplace.invite(NAME)
    with marketplace.sessions() as session:
        worker = session.scalars(select(Worker).where(Worker.name == NAME)).one()
        worker.country = "US"
        hit = session.scalars(select(MarketHit).where(MarketHit.hit_id == hits[-1])).one()
        # Whatever the study asks of workers, its researcher may look.
        hit.hit_type.requirements = []
        assignment = accept(session, hit, worker, now())
        accepted = assignment.assignment_id
    return Preview(
        sign_in=f"{url}{sign_in}",
        preview=f"{url}/worker/hits/{hits[0]}",
        accepted=f"{url}/worker/assignments/{accepted}",
        listing=f"{url}/worker/",
    )
