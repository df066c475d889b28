"""The researcher's console: behind a password, honest about peeking, safe to act from."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from flask.testing import FlaskClient
from playwright.sync_api import Browser
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from generation.study import UserError
from hit_server.app import create_app
from hit_server.database import open_database, session_factory
from hit_server.records import Assignment, StudyRecord, now
from hit_server.reserving import reserve
from hit_server.serve import Server
from hit_server.settings import Settings
from tests.browser.place import picture
from tests.conftest import scratch_study
from tests.hit_server.conftest import give, published, registered

PASSWORD = "correct horse"


@dataclass
class Console:
    app: Any
    web: FlaskClient
    engine: Engine
    approved: list[tuple[str, str]] = field(default_factory=list)

    def enter(self) -> None:
        answer = self.web.post("/console/sign-in", data={"password": PASSWORD})
        assert answer.status_code == 302

    def page(self, part: str = "") -> str:
        answer = self.web.get(f"/console/studies/scratch{part}")
        assert answer.status_code == 200, answer.text
        return answer.text

    def close(self) -> None:
        with Session(self.engine) as session:
            session.scalars(select(StudyRecord)).one().closed_at = now()
            session.commit()


@pytest.fixture
def console(tmp_path: Path) -> Iterator[Console]:
    """Two comparisons; four workers, of whom one always takes the first place."""
    engine = open_database(f"sqlite:///{tmp_path}/records.sqlite3")
    with session_factory(engine)() as session:
        study = registered(session, scratch_study(tmp_path, scenes=2), wanted=4)
        study.hits = study.hits | {"checks": {"share": 0.5, "kinds": ["same"]}}
        for number, comparison in enumerate(study.comparisons):
            hit = published(session, study, [comparison], name=f"3H{number}", assignments=4)
            for worker in range(4):
                page = reserve(session, hit, f"3A{number}{worker}", f"AWORKER{worker}", at=now())
                if worker < 3:
                    give(session, page, "alpha" if worker else "none")
    settings = Settings(console_password=PASSWORD)
    made = Console(None, None, engine)  # type: ignore[arg-type]

    def approve(study: str, assignment_id: str) -> str:
        if assignment_id == "3A00":
            raise UserError("the crowd is asleep.")
        made.approved.append((study, assignment_id))
        return f"{assignment_id}: approved."

    made.app = create_app(settings, engine, approve=approve)
    made.web = made.app.test_client()
    yield made
    engine.dispose()


def test_without_a_password_it_is_off_and_with_one_it_asks(console: Console) -> None:
    off = create_app(Settings(), console.engine).test_client()
    assert off.get("/console/").status_code == 404
    assert off.post("/console/sign-in", data={"password": ""}).status_code == 404
    for part in ("", "studies/scratch", "studies/scratch/workers", "studies/scratch/assignments"):
        answer = console.web.get(f"/console/{part}")
        assert answer.headers["Location"] == "/console/sign-in"
    wrong = console.web.post("/console/sign-in", data={"password": "guess"})
    assert wrong.status_code == 403
    assert "not the password" in wrong.text
    console.enter()
    with console.web.session_transaction() as cookie:
        assert PASSWORD not in str(dict(cookie))
    answer = console.web.post("/console/sign-in", data={"password": PASSWORD})
    for part in ("HttpOnly", "SameSite=Strict", "clearwinner_console"):
        assert part in answer.headers["Set-Cookie"]
    assert (
        "frame-ancestors 'none'" in console.web.get("/console/").headers["Content-Security-Policy"]
    )
    console.web.post("/console/sign-out")
    assert console.web.get("/console/").status_code == 302


def test_guessing_is_slowed_and_other_sites_are_refused(console: Console) -> None:
    for _ in range(10):
        console.web.post("/console/sign-in", data={"password": "guess"})
    assert console.web.post("/console/sign-in", data={"password": PASSWORD}).status_code == 429
    console.app.config["WRONG_PASSWORDS"].clear()
    console.enter()
    for part in ("approve", "flag"):
        answer = console.web.post(
            f"/console/studies/scratch/assignments/1/{part}",
            headers={"Sec-Fetch-Site": "cross-site"},
        )
        assert answer.status_code == 403
    assert console.approved == []


def test_votes_are_hidden_until_the_study_closes_or_asked_for(console: Console) -> None:
    console.enter()
    page = console.page()
    assert "Hidden until the study is closed" in page
    assert "no clear winner:" not in page
    assert "6 of 8 assignments collected" in page
    # Two comparisons, three workers each: of six votes two say nothing, four alpha.
    shown = console.page("?shares=1")
    assert "66.7 % (4)" in shown.replace("\n", " ").replace("  ", "")
    assert "33.3 % (2)" in shown.replace("\n", " ").replace("  ", "")
    one = console.page("/comparisons").split("/comparisons/")[1].split('"')[0]
    assert "Correctness:" not in console.page(f"/comparisons/{one}")
    console.close()
    assert "66.7 %" in console.page()
    assert "Correctness:" in console.page(f"/comparisons/{one}")


def test_workers_are_hashes_with_speed_checks_and_agreement(console: Console) -> None:
    console.enter()
    page = console.page("/workers")
    assert "AWORKER" not in page
    assert page.count('<th scope="row">') == 3
    assert "0.9" in page
    # Who says "no clear winner" agrees with none of the two others; they do with each other or not.
    assert "0 %" in page
    for part in ("/assignments", "/comparisons"):
        assert "AWORKER" not in console.page(part)


def test_a_comparison_shows_every_images_origin_and_what_each_worker_saw(console: Console) -> None:
    console.enter()
    one = console.page("/comparisons").split("/comparisons/")[1].split('"')[0]
    page = console.page(f"/comparisons/{one}")
    assert "ddim, 41 steps, seed 0, float32 on cpu" in " ".join(page.split())
    assert page.count("(not submitted yet)") >= 1
    assert console.web.get(f"/console/studies/scratch/comparisons/{'0' * 24}").status_code == 404
    assert console.web.get("/console/studies/none").status_code == 404


def test_assignments_are_approved_and_flagged_from_here(console: Console) -> None:
    console.enter()
    page = console.page("/assignments")
    records = [
        part.split("/")[0] for part in page.split("/assignments/")[1:] if "approve" in part[:12]
    ]
    assert len(records) == 6
    with Session(console.engine) as session:
        by_id = {a.assignment_id: a.id for a in session.scalars(select(Assignment))}
    address = "/console/studies/scratch/assignments/{}/{}"
    done = console.web.post(address.format(by_id["3A01"], "approve"), follow_redirects=True)
    assert "3A01: approved." in done.text
    assert console.approved == [("scratch", "3A01")]
    asleep = console.web.post(address.format(by_id["3A00"], "approve"))
    assert asleep.status_code == 502
    assert "the crowd is asleep" in asleep.text
    note = {"note": " too <quick> "}
    console.web.post(address.format(by_id["3A02"], "flag"), data=note)
    assert "too &lt;quick&gt;" in console.page("/assignments")
    with Session(console.engine) as session:
        assert session.get_one(Assignment, by_id["3A02"]).flag == "too <quick>"
    console.web.post(address.format(by_id["3A02"], "flag"), data={"note": ""})
    with Session(console.engine) as session:
        assert session.get_one(Assignment, by_id["3A02"]).flag is None
    assert console.web.post(address.format(999, "flag")).status_code == 404


@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 1366])
def test_axe_finds_nothing_on_any_page(console: Console, browser: Browser, width: int) -> None:
    with Server(console.app) as server:
        page = browser.new_context(viewport={"width": width, "height": 800}).new_page()
        page.goto(f"{server.url}/console/")
        assert Axe().run(page).violations_count == 0
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("link", name="A scratch study").wait_for()
        one = console.engine.connect().exec_driver_sql("select public_id from comparisons").scalar()
        parts = (
            "?shares=1",
            "/workers",
            "/comparisons",
            f"/comparisons/{one}?shares=1",
            "/assignments",
        )
        for part in parts:
            page.goto(f"{server.url}/console/studies/scratch{part}")
            found = Axe().run(page)
            assert found.violations_count == 0, found.generate_report()
            assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
            name = part.split("?")[0].strip("/").split("/")[0] + (
                "-one" if "comparisons/" in part else ""
            )
            picture(page, f"console-{name or 'study'}-{width}")
