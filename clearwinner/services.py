"""The two web services, put together from settings."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from flask import Flask

from generation.study import StudyFile, UserError
from hit_server.app import create_app as hit_app
from hit_server.database import open_database
from hit_server.records import now
from hit_server.serve import Server
from hit_server.settings import Settings
from mturk.marketplace.accounts import Credentials, requester_named
from mturk.marketplace.app import create_app as marketplace_app
from mturk.marketplace.app import open_marketplace
from mturk.marketplace.notifier import Notifier
from mturk.marketplace.throttling import Throttle


def database_url(file: StudyFile, settings: Settings) -> str:
    """Where the study's records are: as set, or a SQLite file in its folder."""
    return settings.database_url or f"sqlite:///{file.study.place / 'study.sqlite3'}"


def hit_server(
    file: StudyFile, *, host: str = "127.0.0.1", port: int = 0, settings: Settings | None = None
) -> Server:
    """The server of a study's pages, not started yet.

    Raises:
        UserError: the port is taken or the database cannot be opened.
    """
    return Server(hit_application(file, settings), host=host, port=port)


def hit_application(file: StudyFile, settings: Settings | None = None) -> Flask:
    """The web application of a study's pages and console.

    Raises:
        UserError: the database cannot be opened.
    """
    settings = settings or Settings()
    engine = open_database(database_url(file, settings))
    return hit_app(settings, engine, approve=partial(_approve, file.path))


def _approve(path: Path, study: str, assignment_id: str) -> str:
    """Approve one assignment at the crowd that the environment names."""
    from clearwinner.crowd import open_crowd

    with open_crowd(path) as crowd:
        if crowd.file.study.name != study:
            raise UserError(f"this server was started for study {crowd.file.study.name!r}.")
        done = crowd.approve(only=assignment_id)
    return f"{assignment_id}: {'approved' if done.approved else 'was reviewed before'}."


@dataclass(frozen=True)
class MarketplaceOptions:
    """How a marketplace is run."""

    host: str = "127.0.0.1"
    port: int = 0
    public_url: str | None = None
    """Where browsers reach it, when that is not where it listens."""
    database_url: str | None = None
    """Of a PostgreSQL database; a SQLite file in the marketplace's folder when not given."""
    rate: float | None = None
    """Requests a second that each account may send; no limit when not given."""
    invite: Sequence[str] = ()
    """Names of workers to make sign-in links for."""
    requesters: Sequence[str] = ()
    """Names of requesters to open accounts for, besides the first."""


@contextmanager
def marketplace_server(
    folder: Path, options: MarketplaceOptions, tell: Callable[[str], None]
) -> Iterator[Server]:
    """The marketplace in a folder, served while the block runs; tells how to reach it.

    Raises:
        UserError: the port is taken or the database cannot be opened.
    """
    marketplace = open_marketplace(folder, options.database_url)
    throttle = Throttle(options.rate)
    app = marketplace_app(marketplace, public_url=options.public_url, throttle=throttle)
    server = Server(app, host=options.host, port=options.port)
    url = (options.public_url or server.url).rstrip("/")
    tell(f"export CLEARWINNER_ENDPOINT={url}")
    _tell_keys(marketplace.credentials, tell)
    with marketplace.sessions() as session:
        for name in options.requesters:
            tell(f"# requester {name}")
            _tell_keys(requester_named(session, name), tell)
    for name in options.invite:
        tell(f"sign-in link of {name}: {url}{marketplace.invite(name)}")
    tell(f"what is owed to workers: {url}/requester/")
    with server, Notifier(marketplace.sessions, now):
        yield server


def _tell_keys(keys: Credentials, tell: Callable[[str], None]) -> None:
    tell(f"export AWS_ACCESS_KEY_ID={keys.access_key}")
    tell(f"export AWS_SECRET_ACCESS_KEY={keys.secret_key}")


def run_until_interrupted(serving: AbstractContextManager[Server], what: str) -> None:
    """Serve until Ctrl-C or a termination signal."""
    import click

    with serving as server:
        click.echo(f"{what}: {server.url} (Ctrl-C stops)")
        wait_for_interrupt()


def wait_for_interrupt() -> None:
    """Wait for Ctrl-C or a termination signal."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    stop.wait()
