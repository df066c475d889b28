"""The page in a real browser: keys, touch, zoom, leaving and coming back, a lost connection."""

import re
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import select

from hit_server.hosting import host_images
from hit_server.records import Placement, SavedAnswer, ShownImage, Vote
from tests.browser.place import Place, accepted, opened, picture, ready, signed_in, submitted

pytestmark = pytest.mark.browser
DESKTOP = {"width": 1366, "height": 640}


def open_page(browser: Browser, place: Place, **options: Any) -> Page:
    """The page by itself, in a browser of its own."""
    page = browser.new_context(**{"viewport": DESKTOP, **options}).new_page()
    page.goto(place.accepted_url())
    ready(page)
    return page


def saved(place: Place, count: int, page: Page) -> list[SavedAnswer]:
    """What the server has kept, once it has so many answers."""
    for _ in range(100):
        found = place.session.scalars(select(SavedAnswer).order_by(SavedAnswer.id)).all()
        # An open transaction would keep the server from writing.
        place.session.rollback()
        if len(found) >= count:
            return list(found)
        page.wait_for_timeout(50)
    raise AssertionError(f"{len(found)} answers were saved, not {count}")


def checked(page: Any) -> list[str]:
    return [
        str(each)
        for each in page.locator("input:checked").evaluate_all(
            "a => a.map(e => e.name + '=' + e.value)"
        )
    ]


def test_several_comparisons_one_after_the_other_by_keyboard(
    browser: Browser, tmp_path: Path
) -> None:
    with opened(tmp_path, scenes=3, hits="per_hit = 3") as place:
        page = signed_in(browser, place, viewport=DESKTOP)
        task = accepted(page)
        ready(task)
        assert task.locator(".pair:visible").count() == 1
        assert task.get_by_text("Comparison 1 of 3").is_visible()
        picture(page, "several-first")
        page.keyboard.press("Enter")
        assert "Please answer: Correctness" in task.locator("#hint").inner_text()
        for choice in ("1", "2"):
            page.keyboard.press(choice)
        # The last answer is taken back and given anew.
        page.keyboard.press("Backspace")
        assert checked(task) == ["1.correctness=1"]
        page.keyboard.press("0")
        page.keyboard.press("Enter")
        assert task.get_by_text("Comparison 2 of 3").is_visible()
        # Back to the first with nothing answered here, and on again: the answers are there.
        page.keyboard.press("Backspace")
        assert task.get_by_text("Comparison 1 of 3").is_visible()
        page.keyboard.press("Enter")
        ready(task)
        for keys in (("2", "2", "Enter"), ("0", "1", "Enter")):
            ready(task)
            for key in keys:
                page.keyboard.press(key)
        submitted(task)
        found = place.answers()
        given = [
            found[f"{n}.{question}"] for n in (1, 2, 3) for question in ("correctness", "appeal")
        ]
        assert given == ["1", "none", "2", "2", "none", "1"]
        assert all(int(found[f"{n}.appeal.milliseconds"]) > 0 for n in (1, 2, 3))
        assert place.collect().problems == ()
        assert len({vote.comparison_id for vote in place.session.scalars(select(Vote))}) == 3


def test_the_next_comparison_is_loaded_while_one_is_judged(
    browser: Browser, tmp_path: Path
) -> None:
    with opened(tmp_path, scenes=3, hits="per_hit = 3") as place:
        page = browser.new_context(viewport=DESKTOP).new_page()
        asked: list[str] = []
        page.on("request", lambda request: "/image/" in request.url and asked.append(request.url))
        page.goto(place.accepted_url())
        ready(page)
        page.wait_for_timeout(500)
        assert len(asked) == len(set(asked)) == 4


def test_images_are_shown_together_when_the_last_is_there(browser: Browser, place: Place) -> None:
    page = browser.new_context(viewport=DESKTOP).new_page()
    held: list[Any] = []
    slow = threading.Event()

    def hold(route: Any) -> None:
        if held:
            route.continue_()
        else:
            held.append(route)

    page.route("**/image/**", hold)
    page.goto(place.accepted_url(), wait_until="commit")
    page.locator(".stage img").nth(1).wait_for(state="attached")
    page.wait_for_timeout(700)
    visible = "a => a.map(e => getComputedStyle(e).visibility)"
    assert page.locator(".stage img").evaluate_all(visible) == ["hidden", "hidden"]
    # Nothing can be answered before the images are there.
    page.keyboard.press("1")
    assert checked(page) == []
    held[0].continue_()
    ready(page)
    assert page.locator(".stage img").evaluate_all(visible) == ["visible", "visible"]
    page.keyboard.press("1")
    # The clock began when they were shown, not when the page was loaded.
    time = page.locator("input[name='1.correctness.milliseconds']").input_value()
    assert 0 < int(time) < 700
    slow.set()


def test_an_image_that_is_not_there_is_said(browser: Browser, place: Place) -> None:
    page = browser.new_context(viewport=DESKTOP).new_page()
    page.route("**/image/**", lambda route: route.abort())
    page.goto(place.accepted_url())
    page.get_by_text("An image could not be loaded").wait_for()


def test_answers_before_the_minimum_time_are_not_taken(browser: Browser, tmp_path: Path) -> None:
    with opened(tmp_path, hits="min_seconds = 1.5") as place:
        page = open_page(browser, place)
        page.keyboard.press("1")
        page.get_by_role("radio", name="Image 2").first.click(force=True)
        assert checked(page) == []
        assert page.get_by_text("Please look at the images first.").is_visible()
        page.wait_for_timeout(1600)
        page.keyboard.press("1")
        assert checked(page) == ["1.correctness=1"]


def test_leaving_and_coming_back_finds_the_answers(browser: Browser, place: Place) -> None:
    page = open_page(browser, place)
    page.keyboard.press("2")
    (first,) = saved(place, 1, page)
    assert (first.question, first.label) == ("correctness", "2")
    assert first.conditions["viewport"] == "1366x640"
    place.session.rollback()
    page.reload()
    ready(page)
    assert checked(page) == ["1.correctness=2"]
    page.goto("about:blank")
    for _ in range(40):
        left = place.session.scalars(select(Placement.left_at)).one()
        place.session.rollback()
        if left is not None:
            break
        page.wait_for_timeout(50)
    else:
        raise AssertionError("nobody noticed that the page was closed")
    page.go_back()
    ready(page)
    assert checked(page) == ["1.correctness=2"]


def test_two_tabs_show_the_same_and_count_once(browser: Browser, place: Place) -> None:
    one = signed_in(browser, place, viewport=DESKTOP)
    first = accepted(one)
    ready(first)
    two = one.context.new_page()
    two.goto(one.url)
    second = two.frame_locator("#task")
    ready(second)
    shown = [
        each.locator(".stage img").evaluate_all("a => a.map(e => e.src)")
        for each in (first, second)
    ]
    assert shown[0] == shown[1]
    for page, task in ((one, first), (two, second)):
        page.bring_to_front()
        task.get_by_role("radio", name="Image 1").first.check(force=True)
        task.get_by_role("radio", name="No clear winner").last.check(force=True)
    first.get_by_role("button", name="Submit").click()
    submitted(first)
    second.get_by_role("button", name="Submit").click()
    second.get_by_text("It counts once").wait_for()
    assert place.collect().new == 1
    assert len(place.session.scalars(select(Vote)).all()) == 2
    place.session.rollback()
    # The back button shows the page again; submitting once more changes nothing.
    one.bring_to_front()
    one.evaluate("history.back()")
    first.get_by_role("button", name="Submit").click()
    first.get_by_text("It counts once").wait_for()
    assert place.collect().new == 0


def test_a_lost_connection_loses_nothing(browser: Browser, place: Place) -> None:
    page = open_page(browser, place)
    page.context.set_offline(True)
    page.keyboard.press("1")
    page.get_by_text("No connection. Your answers are kept").wait_for()
    page.keyboard.press("2")
    page.keyboard.press("Enter")
    page.get_by_text("submit when you are connected again").wait_for()
    picture(page, "offline")
    assert checked(page) == ["1.correctness=1", "1.appeal=2"]
    page.context.set_offline(False)
    assert [each.label for each in saved(place, 2, page)] == ["1", "2"]


def test_the_images_large_at_the_same_point(browser: Browser, place: Place) -> None:
    page = open_page(browser, place)
    page.keyboard.press("z")
    dialog = page.get_by_role("dialog")
    dialog.wait_for()
    views = "a => a.map(e => e.style.transform)"
    before = dialog.locator("img").evaluate_all(views)
    for key in ("+", "+", "ArrowRight", "ArrowDown"):
        page.keyboard.press(key)
    after = dialog.locator("img").evaluate_all(views)
    assert before[0] != after[0] and after[0] == after[1]
    picture(page, "zoom", full=False)
    assert Axe().run(page).violations_count == 0
    # The answers are at hand: by key, and by button.
    page.keyboard.press("2")
    assert checked(page) == ["1.correctness=2"]
    assert dialog.get_by_text("Visual Appeal").is_visible()
    dialog.get_by_role("button", name="No clear winner").click()
    assert checked(page) == ["1.correctness=2", "1.appeal=none"]
    assert dialog.get_by_text("All answered").is_visible()
    page.keyboard.press("Escape")
    assert dialog.count() == 0
    page.locator(".stage img").first.click()
    dialog.wait_for()
    dialog.get_by_role("button", name="Close").click()
    assert page.locator("input[name='1.zooms']").input_value() == "1"
    page.keyboard.press("Backspace")
    page.keyboard.press("0")
    assert page.locator("input[name='1.zooms']").input_value() == "2"


def test_by_touch_on_a_phone(browser: Browser, tmp_path: Path) -> None:
    with opened(tmp_path, images=3) as place:
        size = {"width": 390, "height": 844}
        # One pixel a point: with two, Chromium now and then halves the coordinates of touches
        # that follow a screenshot.
        page = signed_in(browser, place, viewport=size, has_touch=True)
        task = accepted(page)
        ready(task)
        task.locator(".stage img").first.tap()
        dialog = task.get_by_role("dialog")
        dialog.wait_for()
        picture(page, "phone-zoom", full=False)
        image = dialog.locator("img").first
        before = image.get_attribute("style")
        dialog.get_by_role("button", name="Larger").tap()
        expect(image).not_to_have_attribute("style", before or "")
        dialog.get_by_role("button", name="Image 3").tap()
        dialog.get_by_text("Visual Appeal").wait_for()
        dialog.get_by_role("button", name="Close").tap()
        dialog.wait_for(state="hidden")
        task.locator("label", has_text="No clear winner").last.tap()
        task.get_by_role("button", name="Submit").click()
        submitted(task)
        found = place.answers()
        assert (found["1.correctness"], found["1.appeal"], found["1.zooms"]) == ("3", "none", "1")


@pytest.mark.parametrize("width", [320, 768, 1366, 3840])
def test_nothing_is_cut_off_or_too_small_to_touch(
    browser: Browser, tmp_path: Path, width: int
) -> None:
    with opened(tmp_path, images=3, scenes=2, hits="per_hit = 2") as place:
        page = open_page(browser, place, viewport={"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        boxes = page.locator(".pair:visible .choices label, #go").evaluate_all(
            "a => a.map(e => e.getBoundingClientRect()).map(r => [r.width, r.height])"
        )
        assert min(min(box) for box in boxes) >= 44


def test_focus_is_called_for_when_keys_do_not_arrive(browser: Browser, place: Place) -> None:
    page = open_page(browser, place)
    line = page.get_by_text("Click here, then answer with the keys")
    assert not line.is_visible()
    page.evaluate("document.hasFocus = () => false; window.dispatchEvent(new Event('blur'))")
    line.wait_for()
    page.evaluate("document.hasFocus = () => true; window.dispatchEvent(new Event('focus'))")
    assert not line.is_visible()
    page.keyboard.press("1")
    assert page.locator("input[name='1.focus_losses']").input_value() == "1"


@pytest.mark.parametrize("state", ["preview", "answered", "unanswered", "submitting", "error"])
def test_axe_finds_nothing_in_any_state(browser: Browser, place: Place, state: str) -> None:
    page = browser.new_context(viewport=DESKTOP, reduced_motion="reduce").new_page()
    if state == "preview":
        page.goto(place.page_url(assignmentId="ASSIGNMENT_ID_NOT_AVAILABLE"))
        ready(page)
        picture(page, "preview")
    elif state == "error":
        page.goto(place.page_url(assignmentId="3ABC"))
    else:
        page.goto(place.accepted_url())
        ready(page)
    if state == "answered":
        page.keyboard.press("1")
        page.keyboard.press("0")
    if state == "unanswered":
        page.keyboard.press("Enter")
    if state == "submitting":
        page.evaluate("document.getElementById('hint').textContent = 'Sending your answers…'")
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def test_page_style_and_script_are_small(place: Place) -> None:
    import httpx

    page = httpx.get(place.accepted_url())
    parts = re.findall(r'(?:href|src)="(/static/[^"]+)"', page.text)
    assert len(parts) == 2
    sizes = [len(httpx.get(place.pages + part).content) for part in parts]
    assert len(page.content) + sum(sizes) < 30_000


def test_a_page_without_a_server_of_its_own(browser: Browser, tmp_path: Path) -> None:
    """An HTMLQuestion: its images on another host, its answers through the crowd alone."""
    (tmp_path / "images").mkdir()
    quiet = type("Quiet", (SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    files = ThreadingHTTPServer(("localhost", 0), partial(quiet, directory=tmp_path / "images"))
    threading.Thread(target=files.serve_forever, daemon=True).start()
    address = f"http://localhost:{files.server_port}"
    lines = 'question = "html"\nper_hit = 2'
    with opened(tmp_path, scenes=2, hits=lines, image_url=address) as place:
        assert host_images(place.session, place.study, str(tmp_path / "images")) == 4
        assert host_images(place.session, place.study, str(tmp_path / "images")) == 0
        place.server.__exit__(None, None, None)
        page = signed_in(browser, place, viewport=DESKTOP)
        page.get_by_role("link", name="Preview").first.click()
        task = page.frame_locator("#task")
        task.get_by_text("accept the HIT to begin").wait_for()
        assert task.get_by_role("radio").first.is_disabled()
        page.get_by_role("button", name="Accept").click()
        ready(task)
        shown = task.locator(".stage img").evaluate_all("a => a.map(e => e.src)")
        for keys in (("1", "2", "Enter"), ("2", "0", "Enter")):
            ready(task)
            for key in keys:
                page.keyboard.press(key)
        submitted(task)
        assert place.collect().problems == ()
        votes = place.session.scalars(
            select(Vote).where(Vote.question == "correctness").order_by(Vote.number)
        ).all()
        names = {
            f"{address}/{each.public_id}.png": each.name
            for each in place.session.scalars(select(ShownImage))
        }
        assert [names[url] for url in shown] == [*votes[0].places, *votes[1].places]
        assert [vote.choice for vote in votes] == [votes[0].places[0], votes[1].places[1]]
    files.shutdown()
