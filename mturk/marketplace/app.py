"""The marketplace's application factory: the API, the worker site and their database."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from flask import Flask, Response, render_template
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session, sessionmaker
from werkzeug.exceptions import HTTPException

from hit_server.database import explained, open_database, session_factory
from hit_server.records import now
from mturk.marketplace.accounts import Credentials, first_requester, invite_worker
from mturk.marketplace.api import api
from mturk.marketplace.requesters import requesters
from mturk.marketplace.site import site
from mturk.marketplace.tasks import tasks
from mturk.marketplace.throttling import Throttle
from mturk.marketplace.web import POLICY

ROOT = Path(__file__).resolve().parents[2]
KEYS_FILE = "requester.json"


@dataclass(frozen=True)
class Marketplace:
    """A marketplace's folder and database, open."""

    folder: Path
    engine: Engine
    sessions: sessionmaker[Session]
    credentials: Credentials

    def invite(self, name: str, *, masters: bool = True) -> str:
        """Open a worker's account; returns the path of its sign-in link."""
        with self.sessions() as session:
            return f"/worker/sign-in/{invite_worker(session, name, masters=masters)}"


def open_marketplace(folder: Path, url: str | None = None) -> Marketplace:
    """Open a marketplace, or begin one: its database, and its first requester's keys in a file.

    Args:
        folder: holds the keys, and the database unless a URL is given.
        url: a PostgreSQL database, in SQLAlchemy's form.

    Raises:
        DatabaseProblem: the database cannot be reached, is locked or is not one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    url = url or f"sqlite:///{folder / 'marketplace.sqlite3'}"
    engine = open_database(url, "marketplace")
    with explained(url):
        sessions = session_factory(engine)
        with sessions() as session:
            credentials = first_requester(session)
    keys = {"access_key": credentials.access_key, "secret_key": credentials.secret_key}
    _write_private(folder / KEYS_FILE, json.dumps(keys, indent=1) + "\n")
    return Marketplace(folder, engine, sessions, credentials)


def read_keys(folder: Path) -> Credentials | None:
    """The keys of the marketplace in a folder of this machine, if there is one."""
    try:
        return Credentials(**json.loads((folder / KEYS_FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def create_app(
    marketplace: Marketplace,
    *,
    public_url: str | None = None,
    clock: Callable[[], datetime] = now,
    throttle: Throttle | None = None,
) -> Flask:
    """The application.

    Args:
        marketplace: an open marketplace.
        public_url: where browsers reach it, when that is not where requests arrive.
        clock: the present; tests advance it.
        throttle: how fast each account may send requests; no limit when not given.
    """
    app = Flask(
        __name__, template_folder=str(ROOT / "templates"), static_folder=str(ROOT / "static")
    )
    app.secret_key = _secret_key(marketplace.folder)
    app.config.update(
        SESSIONS=marketplace.sessions,
        CLOCK=clock,
        THROTTLE=throttle or Throttle(),
        PUBLIC_URL=public_url.rstrip("/") if public_url else None,
        SESSION_COOKIE_NAME="worker",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=bool(public_url and public_url.startswith("https://")),
        MAX_CONTENT_LENGTH=1024 * 1024,
    )
    app.register_blueprint(api)
    app.register_blueprint(site)
    app.register_blueprint(tasks)
    app.register_blueprint(requesters)
    app.register_error_handler(HTTPException, _error_page)

    @app.get("/healthz")
    def healthz() -> dict[str, str]:
        with marketplace.engine.connect() as connection:
            connection.execute(text("SELECT 1"))
        return {"status": "ok"}

    @app.after_request
    def headers(response: Response) -> Response:
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers.setdefault("Cache-Control", "no-store")
        response.headers.setdefault("Content-Security-Policy", POLICY)
        return response

    return app


def _error_page(error: HTTPException) -> tuple[str, int]:
    page = render_template("marketplace/message.html", title=error.name, text=error.description)
    return page, error.code or 500


def _secret_key(folder: Path) -> str:
    """The key that signs workers' sessions; kept, so that a restart signs nobody out."""
    path = folder / "session.key"
    if not path.exists():
        _write_private(path, secrets.token_urlsafe(48))
    return path.read_text(encoding="utf-8")


def _write_private(path: Path, text: str) -> None:
    part = path.with_suffix(".part")
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    part.replace(path)
