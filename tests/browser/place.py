"""A launched study with its two services, and what tests do there in a real browser.

The marketplace is 127.0.0.1 and the hit server is localhost, so the frame is a third party's.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Browser, FrameLocator, Page
from sqlalchemy.orm import Session

from generation.manifest import read_manifest
from generation.study import read_study_file
from hit_server.app import create_app
from hit_server.database import open_database, session_factory
from hit_server.records import StudyRecord
from hit_server.registering import register_study
from hit_server.serve import Server
from hit_server.settings import Settings
from hit_server.store import hits_of, study_named
from mturk.answers import decode_answers
from mturk.client import Endpoint
from mturk.collect import Collected, collect
from mturk.crowd import Crowd
from mturk.launch import Publisher, launch
from mturk.marketplace.app import create_app as market_app
from mturk.marketplace.app import open_marketplace
from tests.conftest import scratch_study
from tests.mturk.conftest import Clock, Market

PROMPT = 'a <b>bold</b> & "quoted" <script>alert(1)</script> كلب 🙂'
ARTEFACTS = Path(__file__).parents[1] / "artefacts"


@dataclass
class Place:
    """A launched study with both services, and its first HIT's page."""

    market: Market
    pages: str
    client: Any
    public_ids: list[str]
    session: Session
    publisher: Publisher
    server: Server

    @property
    def study(self) -> StudyRecord:
        return study_named(self.session, "scratch")

    def page_url(self, **query: str) -> str:
        return str(httpx.URL(f"{self.pages}/hit/{self.public_ids[0]}", params=query))

    def accepted_url(self, worker: str = "A1", assignment: str = "3ABC") -> str:
        return self.page_url(
            assignmentId=assignment,
            workerId=worker,
            hitId=self.client.list_hits()["HITs"][0]["HITId"],
            turkSubmitTo=self.market.url,
        )

    def answers(self) -> dict[str, str]:
        """Of the only assignment that was submitted to the first HIT."""
        hit_id = self.client.list_hits()["HITs"][0]["HITId"]
        found = self.client.list_assignments_for_hit(HITId=hit_id)["Assignments"]
        assert len(found) == 1
        return decode_answers(found[0]["Answer"])

    def collect(self) -> Collected:
        return collect(self.session, self.study, self.client, self.publisher.endpoint)


@contextmanager
def opened(
    folder: Path, *, images: int = 2, scenes: int = 1, hits: str = "", image_url: str = ""
) -> Iterator[Place]:
    """A study of coloured squares on a marketplace, launched.

    Args:
        folder: for everything.
        images: two or three in a comparison.
        scenes: prompts.
        hits: further lines of the table `[hits]`.
        image_url: another host's address for the images.
    """
    groups = '[["alpha", "beta", "gamma"]]' if images == 3 else '[["alpha", "beta"]]'
    file = scratch_study(folder, scenes=scenes, prompts=[PROMPT] * scenes, comparisons=groups)
    file.path.write_text(file.path.read_text().replace("[hits]", f"[hits]\n{hits}"))
    file = read_study_file(file.path)
    marketplace = open_marketplace(folder / "market")
    engine = open_database(f"sqlite:///{folder}/study.sqlite3")
    with Server(market_app(marketplace)) as market_server:
        settings = Settings(worker_sites=[market_server.url], image_url=image_url)
        with Server(create_app(settings, engine)) as pages, session_factory(engine)() as session:
            market = Market(marketplace, market_server.url, Clock())
            place = file.study.place
            study = register_study(session, file, read_manifest(place), place)
            url = f"http://localhost:{pages.port}"
            endpoint = Endpoint("marketplace", market.url)
            client = market.client()
            publisher = Publisher(client, endpoint, file.table("crowd", Crowd), url, settings)
            launch(session, study, publisher)
            ids = [hit.public_id for hit in hits_of(session, study, settled=True)]
            session.rollback()
            yield Place(market, url, client, ids, session, publisher, pages)
    engine.dispose()
    marketplace.engine.dispose()


def signed_in(browser: Browser, place: Place, name: str = "Ada", **options: Any) -> Page:
    page = browser.new_context(**options).new_page()
    page.goto(place.market.url + place.market.marketplace.invite(name))
    page.get_by_role("button", name="Sign in").click()
    return page


def accepted(page: Page) -> FrameLocator:
    page.get_by_role("link", name="Preview").first.click()
    page.get_by_role("button", name="Accept").click()
    return page.frame_locator("#task")


def submitted(task: FrameLocator) -> None:
    task.get_by_role("heading", name="Submitted").wait_for()


def ready(task: FrameLocator | Page) -> None:
    """The images of the comparison in view are shown, and the clock of its answers runs."""
    stage = task.locator(".pair:not([hidden]) .stage.ready")
    stage.wait_for()
    # The page starts the clock in a frame that it asked for before this one.
    stage.evaluate("() => new Promise(drawn => requestAnimationFrame(drawn))")


def picture(page: Page, name: str, *, full: bool = True) -> None:
    ARTEFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTEFACTS / f"{name}.png", full_page=full)
