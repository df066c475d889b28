"""The study's records, on SQLite and on a real PostgreSQL."""

import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import Engine, delete, select
from sqlalchemy.orm import Session

from generation.manifest import read_manifest
from generation.study import StudyFile, UserError
from hit_server.comparisons import judged, scenes
from hit_server.database import alembic_config, open_database, session_factory
from hit_server.records import Comparison, ImageRecord, Placement, Record, StudyRecord, now
from hit_server.store import intend_hit, place, placement_for, register_study, settle_hit
from tests.conftest import manifest_row, scratch_study


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/records.sqlite3"
    else:
        url = request.getfixturevalue("postgres_url")
    engine = open_database(url)
    with engine.begin() as connection:
        for table in reversed(Record.metadata.sorted_tables):
            connection.execute(delete(table))
    yield engine
    engine.dispose()


@pytest.fixture
def file(tmp_path: Path) -> StudyFile:
    return scratch_study(tmp_path)


def registered(session: Session, file: StudyFile) -> StudyRecord:
    folder = file.study.place
    return register_study(session, file, read_manifest(folder), folder)


def test_migrations_make_exactly_the_records(engine: Engine) -> None:
    command.check(alembic_config(engine))


def test_registering_again_adds_nothing_and_new_images_add_comparisons(
    engine: Engine, file: StudyFile
) -> None:
    folder = file.study.place
    rows = read_manifest(folder)
    with session_factory(engine)() as session:
        register_study(session, file, rows[:3], folder)
        first = session.scalars(select(Comparison.public_id)).all()
        assert len(first) == 1
        register_study(session, file, rows, folder)
        register_study(session, file, rows, folder)
        assert len(session.scalars(select(Comparison)).all()) == 3
        assert set(first) <= set(session.scalars(select(Comparison.public_id)))
        assert len(session.scalars(select(ImageRecord)).all()) == 9


def test_a_published_comparison_keeps_its_images(engine: Engine, file: StudyFile) -> None:
    folder = file.study.place
    rows = read_manifest(folder)
    with session_factory(engine)() as session:
        study = register_study(session, file, rows, folder)
        hit = intend_hit(session, study.comparisons[0], "e", "t")
        settle_hit(session, hit, "H", now())
        other = [row.__class__(**{**vars(row), "sha256": "f" * 64}) for row in rows]
        register_study(session, file, other, folder)
        kept = session.scalars(
            select(ImageRecord.sha256).where(
                ImageRecord.prompt_id == study.comparisons[0].prompt_id,
                ImageRecord.method.in_(["alpha", "beta"]),
            )
        ).all()
        assert "f" * 64 not in kept
        changed = session.scalars(select(ImageRecord.sha256)).all()
        assert changed.count("f" * 64) == 7


def test_a_placement_is_drawn_once_and_orders_are_balanced(engine: Engine, file: StudyFile) -> None:
    with session_factory(engine)() as session:
        comparison = registered(session, file).comparisons[0]
        again = place(session, comparison, "A0", "W0").methods
        assert place(session, comparison, "A0", "W0").methods == again
        orders = [tuple(place(session, comparison, f"A{i}", f"W{i}").methods) for i in range(10)]
        assert Counter(orders) == {("alpha", "beta"): 5, ("beta", "alpha"): 5}
        assert placement_for(session, comparison, "A0", "somebody else") is None


def test_workers_who_come_at_once_are_placed_in_balance(engine: Engine, file: StudyFile) -> None:
    factory = session_factory(engine)
    with factory() as session:
        comparison_id = registered(session, file).comparisons[0].id
    gate = threading.Barrier(10)
    failures: list[BaseException] = []

    def arrive(number: int) -> None:
        try:
            with factory() as session:
                gate.wait()
                comparison = session.get_one(Comparison, comparison_id)
                place(session, comparison, f"A{number}", f"W{number}")
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=arrive, args=(number,)) for number in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with factory() as session:
        orders = [tuple(order) for order in session.scalars(select(Placement.methods))]
    assert Counter(orders) == {("alpha", "beta"): 5, ("beta", "alpha"): 5}


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("not a url", "is not a database URL"),
        ("postgresql+psycopg://nobody@127.0.0.1:1/x", "127.0.0.1"),
    ],
)
def test_a_database_that_cannot_be_opened_is_named(url: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        open_database(url)


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "letter.sqlite3"
    path.write_text("Dear Sir or Madam, " * 100, encoding="utf-8")
    with pytest.raises(UserError, match="not a database"):
        open_database(f"sqlite:///{path}")
    assert path.read_text(encoding="utf-8").startswith("Dear")


def test_only_as_many_pairs_are_judged_as_asked(tmp_path: Path) -> None:
    """Different prompts come first, the seed decides, and what is judged already stays."""
    rows = [
        manifest_row(number, method, f"prompt {number % 4}", "0" * 64, "x.png")
        for number in range(8)
        for method in ("alpha", "beta")
    ]
    rows = [replace(row, prompt_id=row.prompt, seed=number // 8) for number, row in enumerate(rows)]
    found = scenes(rows)
    assert len(found) == 8
    assert judged(found, None, seed=1) == found
    four = judged(found, 4, seed=1)
    assert len({prompt for prompt, _ in four}) == 4
    assert set(four) < set(judged(found, 5, seed=1))
    assert any(set(judged(found, 4, seed=seed)) != set(four) for seed in range(2, 20))
    left_out = next(scene for scene in found if scene not in four)
    assert left_out in judged(found, 4, seed=1, already=[left_out])
