"""A real browser: a worker finds a HIT and judges it inside the marketplace's frame.

The marketplace is 127.0.0.1 and the hit server is localhost, so the frame is a third party's.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, FrameLocator, Page, sync_playwright
from sqlalchemy.orm import Session

from generation.manifest import read_manifest
from hit_server.app import create_app
from hit_server.database import open_database, session_factory
from hit_server.registering import register_study
from hit_server.serve import Server
from hit_server.settings import Settings
from hit_server.store import hits_of, study_named
from mturk.answers import decode_answers
from mturk.client import Endpoint
from mturk.crowd import Crowd
from mturk.launch import Publisher, launch
from mturk.marketplace.app import create_app as market_app
from mturk.marketplace.app import open_marketplace
from tests.conftest import scratch_study
from tests.mturk.conftest import Clock, Market

pytestmark = pytest.mark.browser
PROMPT = 'a <b>bold</b> & "quoted" <script>alert(1)</script> كلب 🙂'
ARTEFACTS = Path(__file__).parents[1] / "artefacts"


@dataclass
class Place:
    """A launched study with both services, and its first comparison's page."""

    market: Market
    pages: str
    client: Any
    public_ids: list[str]
    session: Session

    def page_url(self, **query: str) -> str:
        return str(httpx.URL(f"{self.pages}/hit/{self.public_ids[0]}", params=query))


@pytest.fixture(params=[2], ids=["two images"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    three = '[["alpha", "beta", "gamma"]]'
    file = scratch_study(
        tmp_path,
        scenes=1,
        prompts=[PROMPT],
        comparisons=three if request.param == 3 else '[["alpha", "beta"]]',
    )
    marketplace = open_marketplace(tmp_path / "market")
    engine = open_database(f"sqlite:///{tmp_path}/study.sqlite3")
    with Server(market_app(marketplace)) as market_server:
        settings = Settings(worker_sites=[market_server.url])
        with Server(create_app(settings, engine)) as pages, session_factory(engine)() as session:
            market = Market(marketplace, market_server.url, Clock())
            folder = file.study.place
            register_study(session, file, read_manifest(folder), folder)
            study = study_named(session, "scratch")
            url = f"http://localhost:{pages.port}"
            crowd = file.table("crowd", Crowd)
            endpoint = Endpoint("marketplace", market.url)
            client = market.client()
            launch(session, study, Publisher(client, endpoint, crowd, url))
            ids = [hit.public_id for hit in hits_of(session, study, settled=True)]
            session.rollback()
            yield Place(market, url, client, ids, session)
    engine.dispose()
    marketplace.engine.dispose()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    import shutil

    path = shutil.which("chromium")
    if path is None:
        if os.environ.get("CI"):
            pytest.fail("Chromium is not installed, and CI must test in a browser")
        pytest.skip("Chromium is not installed (Debian: apt-get install chromium)")
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=path, args=arguments)
        yield launched
        launched.close()


def signed_in(browser: Browser, place: Place, **options: Any) -> Page:
    page = browser.new_context(**options).new_page()
    page.goto(place.market.url + place.market.marketplace.invite("Ada"))
    page.get_by_role("button", name="Sign in").click()
    return page


def accepted(page: Page) -> FrameLocator:
    page.get_by_role("link", name="Preview").first.click()
    page.get_by_role("button", name="Accept").click()
    return page.frame_locator("#task")


def answers(place: Place) -> dict[str, str]:
    hit_id = place.client.list_hits()["HITs"][0]["HITId"]
    found = place.client.list_assignments_for_hit(HITId=hit_id)["Assignments"]
    assert len(found) == 1
    return decode_answers(found[0]["Answer"])


def picture(page: Page, name: str) -> None:
    ARTEFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTEFACTS / f"{name}.png", full_page=True)


def test_the_whole_way_by_keyboard(browser: Browser, place: Place) -> None:
    page = signed_in(browser, place, viewport={"width": 1366, "height": 900})
    picture(page, "worker-site")
    task = accepted(page)
    task.locator(".prompt q").wait_for()
    assert task.locator(".prompt q").inner_text() == PROMPT
    task.locator(".stage.ready").wait_for()
    page.wait_for_timeout(200)
    picture(page, "task-in-frame")
    page.keyboard.press("1")
    page.keyboard.press("0")
    assert task.locator("input:checked").count() == 2
    page.keyboard.press("Enter")
    task.get_by_role("heading", name="Submitted").wait_for()
    found = answers(place)
    assert (found["1.correctness"], found["1.appeal"]) == ("1", "none")
    assert int(found["1.correctness.milliseconds"]) > 100
    assert re.fullmatch(r"\d+x\d+", found["viewport"])


def test_by_mouse_without_javascript(browser: Browser, place: Place) -> None:
    page = signed_in(browser, place, java_script_enabled=False)
    task = accepted(page)
    task.locator(".prompt q").wait_for()
    task.get_by_role("button", name="Submit").click()
    # Both questions are required: nothing was sent.
    task.get_by_role("radio", name="Image 2").first.check()
    task.get_by_role("radio", name="No clear winner").last.check()
    task.get_by_role("button", name="Submit").click()
    task.get_by_role("heading", name="Submitted").wait_for()
    found = answers(place)
    assert (found["1.correctness"], found["1.appeal"]) == ("2", "none")
    assert found["1.appeal.milliseconds"] == ""


def test_a_preview_shows_the_task_and_takes_no_answer(browser: Browser, place: Place) -> None:
    page = signed_in(browser, place)
    page.get_by_role("link", name="Preview").first.click()
    task = page.frame_locator("#task")
    task.get_by_text("accept the HIT to begin").wait_for()
    assert task.get_by_role("radio").first.is_disabled()
    assert task.get_by_role("button", name="Submit").is_disabled()
    page.keyboard.press("1")
    assert task.locator("input:checked").count() == 0


@pytest.mark.parametrize("place", [2, 3], indirect=True, ids=["two images", "three images"])
@pytest.mark.parametrize("width", [390, 1366])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_and_nothing_moves(
    browser: Browser, place: Place, width: int, scheme: Any
) -> None:
    size = {"width": width, "height": 900}
    page = browser.new_context(viewport=size, color_scheme=scheme).new_page()
    page.add_init_script(
        "window.shift = 0; new PerformanceObserver(list => { for (const entry of"
        " list.getEntries()) window.shift += entry.value; })"
        ".observe({type: 'layout-shift', buffered: true});"
    )
    hit_id = place.client.list_hits()["HITs"][0]["HITId"]
    page.goto(
        place.page_url(
            assignmentId="3ABC", workerId="A1", hitId=hit_id, turkSubmitTo=place.market.url
        )
    )
    page.locator(".stage.ready").wait_for()
    page.wait_for_timeout(200)
    assert page.evaluate("window.shift") == 0
    images = page.locator(".stage img")
    picture(page, f"hit-{images.count()}-{width}-{scheme}")
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    page.get_by_role("radio", name="Image 1").first.check()
    assert Axe().run(page).violations_count == 0
