"""A real browser: a worker finds a HIT and judges it inside the marketplace's frame."""

import re
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser

from tests.browser.place import PROMPT, Place, accepted, picture, ready, signed_in, submitted

pytestmark = pytest.mark.browser


def test_the_whole_way_by_keyboard(browser: Browser, place: Place) -> None:
    page = signed_in(browser, place, viewport={"width": 1366, "height": 900})
    picture(page, "worker-site")
    task = accepted(page)
    task.locator(".prompt q").wait_for()
    assert task.locator(".prompt q").inner_text() == PROMPT
    ready(task)
    picture(page, "task-in-frame")
    page.keyboard.press("1")
    page.keyboard.press("0")
    assert task.locator("input:checked").count() == 2
    page.keyboard.press("Enter")
    submitted(task)
    found = place.answers()
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
    submitted(task)
    found = place.answers()
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
    page.goto(place.accepted_url())
    ready(page)
    page.wait_for_timeout(200)
    assert page.evaluate("window.shift") == 0
    images = page.locator(".stage img")
    picture(page, f"hit-{images.count()}-{width}-{scheme}")
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    page.get_by_role("radio", name="Image 1").first.check()
    assert Axe().run(page).violations_count == 0
