"""Opening databases: SQLite made safe for several writers, or PostgreSQL; migrated on the way."""

from __future__ import annotations

import fcntl
import select
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, Executable, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, DisconnectionError, OperationalError
from sqlalchemy.orm import Session, sessionmaker

from generation.study import UserError
from hit_server.writers import QueuedConnection

BUSY_SECONDS = 30
READING = "clearwinner_reading"
ROOT = Path(__file__).resolve().parent.parent


class DatabaseProblem(UserError):
    """The database cannot be reached, is locked, or is not one of ours."""


def open_engine(url: str) -> Engine:
    """An engine for a URL, without looking at what the database holds.

    SQLite gets a write-ahead log, foreign keys, a busy timeout, and transactions that begin as
    writers: two that read first and then both want to write would deadlock.

    Raises:
        DatabaseProblem: the URL is not one.
    """
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() != "sqlite":
            engine = create_engine(parsed)
            event.listen(engine, "checkout", _refuse_closed)
            return engine
        if parsed.database and parsed.database != ":memory:":
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        options = {"timeout": BUSY_SECONDS, "factory": QueuedConnection}
        engine = create_engine(parsed, connect_args=options)
    except (ArgumentError, ModuleNotFoundError) as error:
        raise DatabaseProblem(
            f"{url!r} is not a database URL ({error}). Examples: sqlite:///runs/mine.sqlite3, "
            "postgresql+psycopg://user@host/name"
        ) from None
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_immediate)
    return engine


def open_database(url: str, migrations: str = "") -> Engine:
    """Open a database and bring it to the newest migration.

    Args:
        url: SQLAlchemy's URL.
        migrations: the folder inside `alembic/`; the studies' own when empty.

    Raises:
        DatabaseProblem: it cannot be reached, is locked, or is not a database.
    """
    engine = open_engine(url)
    with explained(url), _one_at_a_time(engine):
        command.upgrade(alembic_config(engine, migrations), "head")
    return engine


def session_factory(engine: Engine) -> sessionmaker[Session]:
    """Sessions whose objects stay readable after a commit."""
    return sessionmaker(engine, expire_on_commit=False)


def reading_engine(engine: Engine) -> Engine:
    """The same database for those who only read, each statement for itself.

    On SQLite they wait for no writer, and no writer for them; PostgreSQL is spared the begin and
    the end of a transaction.
    """
    options: dict[str, Any] = {READING: True}
    if engine.dialect.name != "sqlite":
        options["isolation_level"] = "AUTOCOMMIT"
    return engine.execution_options(**options)


@contextmanager
def writing(connection: Connection) -> Iterator[None]:
    """A transaction on a connection of `reading_engine`: kept unless something is raised.

    Who reads and then writes need not take a second connection while holding the first: when
    all have one and want another, nobody gets it.
    """
    if connection.dialect.name == "sqlite":
        _begin_as_writer(connection)
    else:
        connection.exec_driver_sql("BEGIN")
    try:
        yield
    except BaseException:
        connection.rollback()
        raise
    connection.commit()


def execute_rows(connection: Connection, statement: Executable, rows: list[dict[str, Any]]) -> None:
    """Execute a statement for each of some rows; nothing where there are none.

    One row goes alone: for a list, PostgreSQL's driver opens a pipeline, which takes longer.
    """
    if rows:
        connection.execute(statement, rows if len(rows) > 1 else rows[0])


def alembic_config(engine: Engine, migrations: str = "") -> Config:
    """Alembic's configuration for an engine, found beside the packages or in the wheel."""
    config = Config()
    folders = (ROOT / "alembic", ROOT / "clearwinner_alembic")
    folder = next(folder for folder in folders if (folder / "env.py").exists())
    config.set_main_option("script_location", str(folder / migrations))
    config.attributes["engine"] = engine
    return config


@contextmanager
def explained(url: str) -> Iterator[None]:
    """Turn what a database driver raises into words that a user can act on."""
    try:
        yield
    except (OperationalError, DatabaseError) as error:
        reason = str(error.orig).strip().splitlines()[0]
        shown = make_url(url).render_as_string(hide_password=True)
        remedy = "Check the URL, that the server runs and that the account may connect."
        if "locked" in reason:
            remedy = "Another program holds it: stop that, or wait, and run this again."
        elif "not a database" in reason:
            remedy = "The file is something else: give another path."
        raise DatabaseProblem(f"database {shown}: {reason}. {remedy}") from error


@contextmanager
def _one_at_a_time(engine: Engine) -> Iterator[None]:
    """Two processes that open a new SQLite file at once migrate it one after the other."""
    database = engine.url.database
    if engine.dialect.name != "sqlite" or not database or database == ":memory:":
        yield
        return
    with Path(f"{database}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _refuse_closed(connection: Any, _record: Any, _proxy: Any) -> None:
    """Have the pool replace a connection that the server closed, without asking the server."""
    # An idle connection has nothing to say: what can be read is the server's farewell.
    if select.select([connection.fileno()], [], [], 0)[0]:
        raise DisconnectionError


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions are begun by `_begin_immediate`
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute(f"PRAGMA busy_timeout={BUSY_SECONDS * 1000}")
    cursor.close()


def _begin_immediate(connection: Any) -> None:
    if not connection.get_execution_options().get(READING, False):
        _begin_as_writer(connection)


def _begin_as_writer(connection: Connection) -> None:
    driver: Any = connection.connection.driver_connection
    driver.queue()
    connection.exec_driver_sql("BEGIN IMMEDIATE")
