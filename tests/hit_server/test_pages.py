"""The page of a HIT through HTTP: what it refuses, and what it does not betray."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from generation.manifest import read_manifest
from hit_server.app import create_app
from hit_server.database import open_database, session_factory
from hit_server.records import Placement, StudyRecord, now
from hit_server.settings import Settings
from hit_server.store import intend_hit, register_study, settle_hit
from tests.conftest import scratch_study

SITE = "http://127.0.0.1:8010"
PROMPT = "<script>alert('x')</script> & \"quotes\" 🙂"


@dataclass
class Pages:
    web: FlaskClient
    engine: Engine
    public_id: str

    def get(self, **changes: str) -> Any:
        query = {
            "assignmentId": "3ABC",
            "workerId": "A1",
            "hitId": "3HIT",
            "turkSubmitTo": SITE,
        }
        kept = {name: value for name, value in (query | changes).items() if value != "-"}
        return self.web.get(f"/hit/{self.public_id}", query_string=kept)

    def placements(self) -> int:
        with Session(self.engine) as session:
            return len(session.scalars(select(Placement)).all())


@pytest.fixture
def pages(tmp_path: Path) -> Iterator[Pages]:
    file = scratch_study(tmp_path, scenes=1, prompts=[PROMPT])
    engine = open_database(f"sqlite:///{tmp_path}/records.sqlite3")
    folder = file.study.place
    with session_factory(engine)() as session:
        study = register_study(session, file, read_manifest(folder), folder)
        comparison = study.comparisons[0]
        settle_hit(session, intend_hit(session, comparison, "e", "t"), "3HIT", now())
        public_id = comparison.public_id
    yield Pages(create_app(Settings(worker_sites=[SITE]), engine).test_client(), engine, public_id)
    engine.dispose()


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"workerId": "-"}, 400),
        ({"hitId": "-"}, 400),
        ({"turkSubmitTo": "-"}, 400),
        ({"turkSubmitTo": "https://evil.example"}, 400),
        ({"turkSubmitTo": SITE + ".evil.example"}, 400),
        ({"assignmentId": "<script>"}, 400),
        ({"workerId": "A" * 65}, 400),
        ({"hitId": "3OTHER"}, 403),
    ],
)
def test_forged_parameters_are_refused_and_nothing_is_recorded(
    pages: Pages, changes: dict[str, str], status: int
) -> None:
    answer = pages.get(**changes)
    assert answer.status_code == status
    assert "<script>" not in answer.text.replace("<script src", "")
    assert pages.placements() == 0


def test_a_preview_records_nothing_and_an_accepted_page_once(pages: Pages) -> None:
    assert pages.get(assignmentId="ASSIGNMENT_ID_NOT_AVAILABLE").status_code == 200
    assert pages.placements() == 0
    first, again = pages.get().text, pages.get().text
    assert first == again
    assert pages.placements() == 1


def test_who_judged_enough_is_thanked_and_nothing_more_is_recorded(pages: Pages) -> None:
    with Session(pages.engine) as session:
        study = session.scalars(select(StudyRecord)).one()
        study.hits = study.hits | {"most_per_worker": 1}
        session.commit()
    assert pages.get(assignmentId="3ONE").status_code == 200
    # The same assignment may be loaded again; another one is too many, for this worker alone.
    assert pages.get(assignmentId="3ONE").status_code == 200
    refused = pages.get(assignmentId="3TWO")
    assert refused.status_code == 403
    assert "return this HIT" in refused.text
    assert pages.get(assignmentId="3TWO", workerId="A2").status_code == 200
    assert pages.placements() == 2


def test_the_page_shows_a_prompt_as_it_is_and_tells_no_method(pages: Pages) -> None:
    answer = pages.get()
    assert "&lt;script&gt;alert" in answer.text
    assert f'action="{SITE}/mturk/externalSubmit"' in answer.text
    for method in ("alpha", "beta", "gamma", ".png"):
        assert method not in answer.text
    policy = answer.headers["Content-Security-Policy"]
    assert f"form-action {SITE}" in policy
    assert f"frame-ancestors {SITE}" in policy
    assert "X-Frame-Options" not in answer.headers
    assert "pick no clear winner" in answer.text
    assert "2 images" in answer.text


def test_images_are_kept_for_ever_and_name_nothing(pages: Pages) -> None:
    source = pages.get().text.split('src="/image/')[1].split('"')[0]
    answer = pages.web.get(f"/image/{source}")
    assert answer.mimetype == "image/png"
    assert "immutable" in answer.headers["Cache-Control"]
    for header in ("Last-Modified", "ETag", "Content-Disposition"):
        assert header not in answer.headers
    assert pages.web.get("/image/" + "0" * 24).status_code == 404
    assert pages.web.get("/hit/" + "0" * 24).status_code == 404
    assert pages.web.get("/healthz").json == {"status": "ok"}
