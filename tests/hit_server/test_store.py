"""The study's records, on SQLite and on a real PostgreSQL."""

from dataclasses import replace
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import Engine, select

from generation.manifest import read_manifest
from generation.study import StudyFile, UserError
from hit_server.comparisons import judged, scenes
from hit_server.database import alembic_config, open_database, open_engine, session_factory
from hit_server.records import Comparison, Hit, ImageRecord, Placement, Vote, now
from hit_server.registering import register_study
from hit_server.reserving import reserve
from hit_server.store import images_of
from tests.conftest import manifest_row, scratch_study
from tests.hit_server.conftest import published


@pytest.fixture
def file(tmp_path: Path) -> StudyFile:
    return scratch_study(tmp_path)


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
        published(session, study, study.comparisons[:1])
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


def test_records_of_an_earlier_version_come_along(tmp_path: Path) -> None:
    """A study that was launched and voted on before HITs could show several comparisons."""
    engine = open_engine(f"sqlite:///{tmp_path}/old.sqlite3")
    config = alembic_config(engine)
    command.upgrade(config, "0002")
    with engine.begin() as connection:
        for statement in EARLIER.strip().split(";\n"):
            connection.exec_driver_sql(statement)
    command.upgrade(config, "head")
    command.check(config)
    with session_factory(engine)() as session:
        hit = session.scalars(select(Hit)).one()
        (comparison,) = hit.comparisons
        # What is published keeps its address.
        assert hit.public_id == comparison.public_id == "c1"
        assert sorted(images_of(session, [comparison])[comparison.id]) == ["alpha", "beta"]
        placements = session.scalars(select(Placement).order_by(Placement.id)).all()
        assert [each.slot for each in placements] == [0, 1, 2]
        assert [each.released_at is None for each in placements] == [False, True, True]
        assert comparison.reserved == 2
        assert placements[0].questions == ["correctness", "appeal"]
        vote = session.scalars(select(Vote)).one()
        assert (vote.kind, vote.number, vote.choice) == ("vote", 1, "beta")
        # And the next worker is placed.
        reserve(session, hit, "A4", "W4", at=now())
        assert comparison.reserved == 3
    engine.dispose()


EARLIER = """
INSERT INTO studies (id, name, title, seed, hits, digest, created_at) VALUES
(1, 's', 'S', 1, '{"comparisons": [["alpha", "beta"]], "questions": [
{"key": "correctness", "title": "C", "text": "c"}, {"key": "appeal", "title": "A", "text": "a"}]}',
'd', '2026-11-01');
INSERT INTO comparisons (id, public_id, study_id, key, prompt_id, prompt, category, seed, methods)
VALUES (1, 'c1', 1, 'k', 'p', 'a prompt', '', 0, '["alpha", "beta"]');
INSERT INTO images (id, public_id, study_id, prompt_id, seed, method, sha256, path, width, height)
VALUES (1, 'i1', 1, 'p', 0, 'alpha', 'x', '/x', 64, 64),
(2, 'i2', 1, 'p', 0, 'beta', 'y', '/y', 64, 64);
INSERT INTO hits (id, comparison_id, endpoint, token, hit_id, intended_at) VALUES
(1, 1, 'e', 't', 'H', '2026-11-01');
INSERT INTO placements (id, comparison_id, assignment_id, worker_id, methods, drawn_at) VALUES
(1, 1, 'A1', 'W1', '["alpha", "beta"]', '2026-11-01'),
(2, 1, 'A2', 'W1', '["beta", "alpha"]', '2026-11-01'),
(3, 1, 'A3', 'W3', '["beta", "alpha"]', '2026-11-01');
INSERT INTO assignments (id, hit_record_id, assignment_id, worker_id, status, answer) VALUES
(1, 1, 'A2', 'W1', 'Submitted', '<xml/>');
INSERT INTO votes (id, assignment_record_id, comparison_id, question, choice, places) VALUES
(1, 1, 1, 'appeal', 'beta', '["beta", "alpha"]')
"""
