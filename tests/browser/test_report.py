"""The report's page in a real browser: readable by everybody, on any width."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser

from analysis.report import make_report
from generation.study import read_study_file
from tests.browser.place import picture

pytestmark = pytest.mark.browser
STUDY = """
[study]
name = "others"
title = "A study that others made"
folder = "{folder}"
[report]
resamples = 200
margin = 0.05
[report.votes]
file = "votes.csv"
places = ["first", "second", "third"]
columns = {{ category = "kind" }}
"""


@pytest.fixture(scope="module")
def page_of_a_report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pairs and three side by side, two categories, more rates than are shown, long prompts."""
    folder = tmp_path_factory.mktemp("report")
    rng = np.random.default_rng(0)
    names = [f"method-{number:02}" for number in range(10)]
    groups = [(one, other, "") for one in names for other in names if one < other]
    groups.append(("method-00", "method-01", "method-02"))
    lines = ["comparison,prompt,kind,worker,question,first,second,third,choice"]
    for group in groups:
        shown = [name for name in group if name]
        for item in range(4):
            for worker in range(5):
                choice = rng.choice([*map(str, range(1, len(shown) + 1)), "none"])
                prompt = f"{'a very long word' * 3}{item}".replace(" ", "-")
                name = "/".join([*shown, str(item)])
                lines.append(
                    f"{name},{prompt},{'ab'[item % 2]},w{worker},better,{','.join(group)},{choice}"
                )
    (folder / "votes.csv").write_text("\n".join(lines))
    (folder / "study.toml").write_text(STUDY.format(folder=folder / "run"))
    return make_report(read_study_file(folder / "study.toml")).page


@pytest.mark.parametrize(("width", "scheme"), [(320, "light"), (1200, "dark")])
def test_everybody_can_read_the_report(
    browser: Browser, page_of_a_report: Path, width: int, scheme: str
) -> None:
    options = {"viewport": {"width": width, "height": 900}, "color_scheme": scheme}
    page = browser.new_context(**options).new_page()
    page.goto(page_of_a_report.as_uri())
    picture(page, f"report-{width}-{scheme}", full=False)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def test_print_shows_whole_tables(browser: Browser, page_of_a_report: Path) -> None:
    page = browser.new_page()
    page.goto(page_of_a_report.as_uri())
    page.emulate_media(media="print")
    cut = page.locator(".scroll").evaluate_all(
        "all => all.filter(e => e.clientHeight < e.scrollHeight).length"
    )
    assert cut == 0
