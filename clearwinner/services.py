"""The two web services, put together from settings."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from generation.study import StudyFile
from hit_server.app import create_app as hit_app
from hit_server.database import open_database
from hit_server.serve import Server
from hit_server.settings import Settings
from mturk.marketplace.app import create_app as marketplace_app
from mturk.marketplace.app import open_marketplace


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
    settings = settings or Settings()
    return Server(
        hit_app(settings, open_database(database_url(file, settings))), host=host, port=port
    )


def marketplace_server(
    folder: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    invite: Sequence[str] = (),
    tell: Callable[[str], None] = lambda _: None,
) -> Server:
    """The marketplace in a folder, not started yet; tells how to reach it.

    Raises:
        UserError: the port is taken or the database cannot be opened.
    """
    marketplace = open_marketplace(folder)
    server = Server(marketplace_app(marketplace), host=host, port=port)
    keys = marketplace.credentials
    tell(f"export CLEARWINNER_ENDPOINT={server.url}")
    tell(f"export AWS_ACCESS_KEY_ID={keys.access_key}")
    tell(f"export AWS_SECRET_ACCESS_KEY={keys.secret_key}")
    for name in invite:
        tell(f"sign-in link of {name}: {server.url}{marketplace.invite(name)}")
    return server


def run_until_interrupted(server: Server, what: str) -> None:
    """Serve until Ctrl-C or a termination signal."""
    import click

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with server:
        click.echo(f"{what}: {server.url} (Ctrl-C stops)")
        stop.wait()
