"""Opening databases: writers that queue, and connections that the server closed."""

import multiprocessing
import threading
import time
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from hit_server import writers
from hit_server.database import open_database, open_engine


def _add(url: str, times: int) -> None:
    engine = open_engine(url)
    for _ in range(times):
        with engine.begin() as connection:
            number = connection.scalar(text("SELECT number FROM counters"))
            time.sleep(0.0005)
            connection.execute(text("UPDATE counters SET number = :n"), {"n": number + 1})
    engine.dispose()


def test_writers_of_a_sqlite_file_take_turns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path}/counter.sqlite3"
    engine = open_engine(url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE counters (number INTEGER)"))
        connection.execute(text("INSERT INTO counters VALUES (0)"))
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_add, args=(url, 40)) for _ in range(2)]
    threads = [threading.Thread(target=_add, args=(url, 40)) for _ in range(4)]
    for each in [*processes, *threads]:
        each.start()
    for each in [*processes, *threads]:
        each.join()
    with engine.begin() as connection:
        assert connection.scalar(text("SELECT number FROM counters")) == 240
        # While one writes nobody else holds the queue, and who waited too long goes on: what
        # keeps writers apart is the database's own lock.
        monkeypatch.setattr(writers, "WAIT_S", 0.05)
        monkeypatch.setattr("hit_server.database.BUSY_SECONDS", 0)
        other = open_engine(url)
        with pytest.raises(Exception, match="locked"), other.begin():
            pass
        other.dispose()
    with engine.begin():
        pass  # the queue is free again
    engine.dispose()


@pytest.mark.postgres
def test_a_connection_that_the_server_closed_is_replaced(postgres_url: str) -> None:
    engine: Engine = open_database(postgres_url)
    with engine.connect() as connection:
        own = connection.scalar(text("SELECT pg_backend_pid()"))
    other = open_engine(postgres_url)
    with other.begin() as connection:
        connection.execute(text("SELECT pg_terminate_backend(:own)"), {"own": own})
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT pg_backend_pid()")) != own
    engine.dispose()
    other.dispose()
