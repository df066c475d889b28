"""Studies on SQLite and on a real PostgreSQL, with a HIT that is published."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from sqlalchemy import Engine, delete
from sqlalchemy.orm import Session

from generation.manifest import read_manifest
from generation.study import StudyFile
from hit_server.database import open_database
from hit_server.reading import Answer
from hit_server.records import Comparison, Hit, Placement, Record, StudyRecord, now
from hit_server.registering import register_study
from hit_server.store import Submission, intend_hit, record_assignment, settle_hit


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


def registered(session: Session, file: StudyFile, *, wanted: int = 10) -> StudyRecord:
    folder = file.study.place
    study = register_study(session, file, read_manifest(folder), folder)
    study.votes_wanted = wanted
    session.commit()
    return study


def published(
    session: Session,
    study: StudyRecord,
    comparisons: Sequence[Comparison],
    *,
    name: str = "3HIT",
    assignments: int = 10,
    duration_s: int = 600,
) -> Hit:
    """A HIT that the crowd has; without comparisons it is pooled."""
    hit = intend_hit(
        session,
        study,
        "e",
        name,
        comparisons=comparisons,
        assignments=assignments,
        duration_s=duration_s,
    )
    settle_hit(session, hit, name, now())
    return hit


def give(session: Session, placements: list[Placement], choice: str = "none") -> bool:
    """The worker's answers come in as the crowd reports them."""
    first = placements[0]
    answers = [
        Answer(each.number, question, choice, 900, {})
        for each in placements
        for question in each.questions
    ]
    submission = Submission(
        assignment_id=first.assignment_id,
        worker_id=first.worker_id,
        status="Submitted",
        accepted_at=now(),
        submitted_at=now(),
        answer="<xml/>",
        answers=answers,
        problem=None,
    )
    return record_assignment(session, first.hit, submission)
