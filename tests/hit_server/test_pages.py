"""The page of a HIT through HTTP: what it refuses, what it saves, and what it does not betray."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from flask.testing import FlaskClient
from PIL import Image
from sqlalchemy import Engine, delete, select
from sqlalchemy.orm import Session

from generation.manifest import read_manifest
from generation.study import StudyError, read_study_file
from hit_server.app import create_app
from hit_server.database import open_database, session_factory
from hit_server.hits import checked_hits
from hit_server.padding import padded
from hit_server.records import (
    Assignment,
    Comparison,
    Placement,
    SavedAnswer,
    ShownImage,
    StudyRecord,
    now,
)
from hit_server.registering import register_study
from hit_server.settings import Settings
from hit_server.tokens import BadToken, read_token, sign
from tests.conftest import scratch_study
from tests.hit_server.conftest import published, registered

SITE = "http://127.0.0.1:8010"
PROMPT = "<script>alert('x')</script> & \"quotes\" 🙂 كلب"


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

    def count(self, record: type = Placement) -> int:
        with Session(self.engine) as session:
            return len(session.scalars(select(record)).all())

    def token(self) -> str:
        return self.get().text.split("/answers?token=")[1].split('"')[0]

    def save(self, token: str, headers: dict[str, str] | None = None, **fields: str) -> int:
        answer = self.web.post(f"/answers?token={token}", data=fields, headers=headers or {})
        return int(answer.status_code)


@pytest.fixture
def pages(tmp_path: Path) -> Iterator[Pages]:
    file = scratch_study(tmp_path, scenes=1, prompts=[PROMPT])
    engine = open_database(f"sqlite:///{tmp_path}/records.sqlite3")
    with session_factory(engine)() as session:
        study = registered(session, file)
        public_id = published(session, study, study.comparisons).public_id
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
    assert pages.count() == 0


def test_a_preview_records_nothing_and_an_accepted_page_once(pages: Pages) -> None:
    assert pages.get(assignmentId="ASSIGNMENT_ID_NOT_AVAILABLE").status_code == 200
    assert pages.count() == 0
    first, again = (re.sub(r"token=[^\"]*", "", pages.get().text) for _ in range(2))
    assert first == again
    assert pages.count() == 1


def test_answers_are_kept_and_found_again(pages: Pages) -> None:
    token = pages.token()
    fields = {"1.correctness": "2", "1.correctness.milliseconds": "850", "1.zooms": "1"}
    fields |= {"viewport": "1366x640", "pixel_ratio": "1.5", "1.focus_losses": "0"}
    for _ in range(2):
        assert pages.save(token, **fields) == 204
    with Session(pages.engine) as session:
        (saved,) = session.scalars(select(SavedAnswer))
        assert (saved.label, saved.milliseconds) == ("2", 850)
        assert saved.conditions == {
            "zooms": 1, "focus_losses": 0, "viewport": "1366x640", "pixel_ratio": 1.5, "asked": 1,
        }  # fmt: skip
    page = pages.get().text
    assert page.count(" checked") == 1
    # A page that was loaded again shows the answer and did not time it: the time stays.
    assert pages.save(token, **{"1.correctness": "2", "1.correctness.milliseconds": ""}) == 204
    assert pages.save(token, **{"1.appeal": "none"}) == 204
    with Session(pages.engine) as session:
        assert [each.milliseconds for each in session.scalars(select(SavedAnswer))] == [850, None]


def test_a_closed_page_is_noticed_and_an_opened_one_too(pages: Pages) -> None:
    token = pages.token()
    assert pages.web.post(f"/left?token={token}").status_code == 204
    with Session(pages.engine) as session:
        assert session.scalars(select(Placement.left_at)).one() is not None
    pages.get()
    with Session(pages.engine) as session:
        assert session.scalars(select(Placement.left_at)).one() is None


def test_what_must_not_be_written_is_refused(pages: Pages) -> None:
    token = pages.token()
    good = {"1.correctness": "1"}
    assert pages.save(token, {"Sec-Fetch-Site": "cross-site"}, **good) == 403
    assert pages.save(token, {"Sec-Fetch-Site": "same-site"}, **good) == 403
    assert pages.save(token, {"Origin": "https://evil.example"}, **good) == 403
    assert pages.save("", **good) == 403
    assert pages.save(token[:-2] + "xx", **good) == 403
    assert pages.save(sign("another key", "3ABC", "A1"), **good) == 403
    with session_factory(pages.engine)() as session:
        from hit_server.tokens import secret_of

        secret = secret_of(session, Settings())
    # A worker for whom nothing was shown, and another worker's assignment.
    assert pages.save(sign(secret, "3ABC", "A2"), **good) == 403
    assert pages.save(token, **{"1.correctness": "3"}) == 400
    assert pages.save(token, **{"1.correctness": "9" * 70_000}) == 413
    assert pages.count(SavedAnswer) == 0
    with pytest.raises(BadToken, match="too old"):
        read_token(secret, sign(secret, "3ABC", "A1"), max_age_s=-1)
    with Session(pages.engine) as session:
        placement = session.scalars(select(Placement)).one()
        session.add(
            Assignment(
                hit_record_id=placement.hit_record_id, assignment_id="3ABC", worker_id="A1",
                status="Submitted", answer="", submitted_at=now(),
            )
        )  # fmt: skip
        session.commit()
    # Replayed after it was submitted.
    assert pages.save(token, **good) == 409
    assert pages.count(SavedAnswer) == 0


def test_who_judged_enough_is_thanked_and_nothing_more_is_recorded(pages: Pages) -> None:
    with Session(pages.engine) as session:
        study = session.scalars(select(StudyRecord)).one()
        study.hits = study.hits | {"most_per_worker": 1}
        session.commit()
    with session_factory(pages.engine)() as session:
        study = session.scalars(select(StudyRecord)).one()
        other = published(session, study, [], name="3OTHER").public_id
    assert pages.get(assignmentId="3ONE").status_code == 200
    # The same assignment may be loaded again; another one is too many, for this worker alone.
    assert pages.get(assignmentId="3ONE").status_code == 200
    pages.public_id = other
    refused = pages.get(assignmentId="3TWO", hitId="3OTHER")
    assert refused.status_code == 403
    assert "return this HIT" in refused.text
    assert pages.get(assignmentId="3TWO", hitId="3OTHER", workerId="A2").status_code == 200
    assert pages.count() == 2


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
    assert not answer.headers.get("Set-Cookie")


def test_instructions_are_open_on_a_workers_first_hit_only(pages: Pages) -> None:
    with session_factory(pages.engine)() as session:
        study = session.scalars(select(StudyRecord)).one()
        second = published(session, study, [], name="3OTHER").public_id
    opened = '<details class="instructions" open>'
    assert opened in pages.get().text
    assert opened in pages.get(workerId="A2", assignmentId="3DEF").text
    pages.public_id = second
    with session_factory(pages.engine)() as session:
        placement = session.scalars(select(Placement)).first()
        assert placement is not None
        placement.comparison.study.votes_wanted = 10
        other = placement.comparison
        session.add(
            Comparison(
                public_id="second", study_id=other.study_id, key="z", prompt_id=other.prompt_id,
                prompt="another", seed=other.seed, methods=other.methods,
            )
        )  # fmt: skip
        session.flush()
        made = session.scalars(select(Comparison).where(Comparison.key == "z")).one()
        for image in session.scalars(select(ShownImage)).all():
            session.add(
                ShownImage(
                    public_id=f"x{image.id}", comparison_id=made.id, image_id=image.image_id,
                    name=image.name,
                )
            )  # fmt: skip
        session.commit()
    assert opened not in pages.get(hitId="3OTHER", assignmentId="3GHI").text
    assert opened in pages.get(hitId="3OTHER", assignmentId="3JKL", workerId="A9").text


def test_examples_are_shown_and_named_when_missing(tmp_path: Path) -> None:
    file = scratch_study(tmp_path)
    Image.new("RGB", (16, 16), "red").save(tmp_path / "good.png")
    example = (
        '[[hits.examples]]\nprompt = "a red square"\nimages = ["good.png", "bad.png"]\n'
        'answer = "Image 1: the square is there."\n[crowd]'
    )
    text = file.path.read_text()
    file.path.write_text(text.replace("[crowd]", example))
    with pytest.raises(StudyError, match=r"there is no file .*bad\.png"):
        checked_hits(read_study_file(file.path))
    Image.new("RGB", (16, 16), "blue").save(tmp_path / "bad.png")
    engine = open_database(f"sqlite:///{tmp_path}/records.sqlite3")
    with session_factory(engine)() as session:
        study = registered(session, read_study_file(file.path))
        public_id = published(session, study, study.comparisons[:1]).public_id
    web = create_app(Settings(worker_sites=[SITE]), engine).test_client()
    page = web.get(f"/hit/{public_id}").text
    assert "Image 1: the square is there." in page
    source = re.findall(r'src="(/example/[^"]+)"', page)
    assert [web.get(each).status_code for each in source] == [200, 200]
    assert web.get(source[0]).mimetype == "image/png"
    assert web.get("/example/1/7/0").status_code == 404
    assert web.get("/example/99/0/0").status_code == 404
    engine.dispose()


def test_images_are_kept_for_ever_come_in_parts_and_name_nothing(pages: Pages) -> None:
    source = pages.get().text.split('src="/image/')[1].split('"')[0]
    answer = pages.web.get(f"/image/{source}")
    assert answer.mimetype == "image/png"
    assert "immutable" in answer.headers["Cache-Control"]
    for header in ("Last-Modified", "ETag", "Content-Disposition"):
        assert header not in answer.headers
    part = pages.web.get(f"/image/{source}", headers={"Range": "bytes=10-19"})
    assert part.status_code == 206
    assert part.data == answer.data[10:20]
    assert pages.web.get("/image/" + "0" * 24).status_code == 404
    assert pages.web.get("/hit/" + "0" * 24).status_code == 404
    assert pages.web.get("/healthz").json == {"status": "ok"}


@pytest.mark.parametrize("more", [0, 12, 13, 5000])
def test_a_padded_png_shows_the_same_image(more: int) -> None:
    buffer = BytesIO()
    Image.effect_noise((40, 30), 60).save(buffer, "PNG")
    png = buffer.getvalue()
    made = padded(png, len(png) + more)
    assert len(made) == len(png) + more
    with Image.open(BytesIO(made)) as image:
        image.verify()
    with Image.open(BytesIO(made)) as shown, Image.open(buffer) as original:
        assert shown.tobytes() == original.tobytes()
        assert shown.info == original.info


def test_what_cannot_be_padded_is_refused() -> None:
    with pytest.raises(ValueError, match="not a PNG"):
        padded(b"GIF89a", 100)
    buffer = BytesIO()
    Image.new("L", (4, 4)).save(buffer, "PNG")
    with pytest.raises(ValueError, match="cannot be padded"):
        padded(buffer.getvalue(), len(buffer.getvalue()) + 5)


def test_odd_requests_break_nothing_and_record_nothing(tmp_path: Path) -> None:
    """A thousand here; `python -m tests.hit_server.malformed` sends twenty times as many."""
    from tests.hit_server.malformed import run

    seen = run(tmp_path, 1000)
    assert seen[404] > 100


def test_an_image_that_was_replaced_before_it_was_published_is_the_new_one(tmp_path: Path) -> None:
    """What no HIT shows yet may be drawn again; an address must not show the old file then."""
    file = scratch_study(tmp_path, scenes=1)
    engine = open_database(f"sqlite:///{tmp_path}/records.sqlite3")
    web = create_app(Settings(worker_sites=[SITE]), engine).test_client()
    folder = file.study.place
    rows = read_manifest(folder)
    with session_factory(engine)() as session:
        study = register_study(session, file, rows, folder)
        address = f"/image/{session.scalars(select(ShownImage.public_id)).first()}"
        before = web.get(address).data
        others = [replace(row, path=rows[2].path, sha256=rows[2].sha256) for row in rows]
        register_study(session, file, others, folder)
        after = web.get(address).data
        assert before != after
        # Once a HIT shows it, it stays, whatever the manifest says.
        published(session, study, study.comparisons)
        register_study(session, file, rows, folder)
        assert web.get(address).data == after
    engine.dispose()


def test_answers_that_come_at_the_same_moment_are_kept_once(engine: Engine, tmp_path: Path) -> None:
    """Two tabs of one assignment save at once: nobody is told that something broke."""
    with session_factory(engine)() as session:
        study = registered(session, scratch_study(tmp_path, scenes=1))
        public_id = published(session, study, study.comparisons).public_id
    app = create_app(Settings(worker_sites=[SITE]), engine)
    pages = Pages(app.test_client(), engine, public_id)
    token, together = pages.token(), Barrier(6)

    def tab(number: int) -> int:
        own = Pages(app.test_client(), engine, public_id)
        together.wait()
        return own.save(token, **{"1.correctness": str(1 + number % 2), "1.appeal": "none"})

    for _ in range(5):
        with ThreadPoolExecutor(6) as tabs:
            assert set(tabs.map(tab, range(6))) == {204}
        with Session(engine) as session:
            kept = {each.question: each.label for each in session.scalars(select(SavedAnswer))}
            assert len(session.scalars(select(SavedAnswer)).all()) == 2
            assert kept["correctness"] in ("1", "2") and kept["appeal"] == "none"
            session.execute(delete(SavedAnswer))
            session.commit()


def test_pages_are_drawn_again_taken_over_and_refused_on_both_databases(
    engine: Engine, tmp_path: Path
) -> None:
    """What is rare takes another way through the server than a first visit."""
    with session_factory(engine)() as session:
        study = registered(session, scratch_study(tmp_path, scenes=8))
        study.hits = study.hits | {"checks": {"share": 0.5}, "per_hit": 4}
        first = published(session, study, study.comparisons[:4]).public_id
        pool = published(session, study, [], name="3POOL").public_id
    web = create_app(Settings(worker_sites=[SITE]), engine).test_client()
    pages = Pages(web, engine, first)
    token = pages.token()
    checks = pages.count() - 4
    assert pages.save(token, **{"1.correctness": "1"}) == 204
    assert pages.save(token, **{"1.correctness": "2", "2.appeal": "9"}) == 400
    assert web.post(f"/left?token={token}").status_code == 204
    again = pages.get().text
    assert again.count(" checked") == 1
    # The crowd gives a returned assignment to the next worker, who gets its places.
    assert pages.get(workerId="A2").status_code == 200
    with Session(engine) as session:
        held = session.scalars(select(Placement).where(Placement.released_at.is_(None))).all()
        assert {each.worker_id for each in held} == {"A2"}
        votes = [each for each in held if each.kind == "vote"]
        assert [each.slot for each in votes] == [0] * 4
        assert len(held) - 4 == checks
        assert {each.comparison.reserved for each in votes} == {1}
        session.add(
            Assignment(
                hit_record_id=held[0].hit_record_id, assignment_id="3ABC", worker_id="A2",
                status="Submitted", answer="", submitted_at=now(),
            )
        )  # fmt: skip
        session.commit()
    before = pages.count()
    assert pages.get(workerId="A3").status_code == 403
    pages.public_id = pool
    assert pages.get(workerId="A2", hitId="3POOL", assignmentId="3P").status_code == 200
    assert pages.count() > before
    with Session(engine) as session:
        twice = select(Placement.comparison_id).where(
            Placement.worker_id == "A2", Placement.kind == "vote"
        )
        assert len(set(session.scalars(twice))) == len(session.scalars(twice).all()) > 4
