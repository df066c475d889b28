"""The hit server's application factory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path

from flask import Flask, render_template
from sqlalchemy import Engine, text
from werkzeug.exceptions import HTTPException

from hit_server.console.sign_in import ConsoleSessions, sign_in
from hit_server.console.views import console
from hit_server.database import reading_engine, session_factory
from hit_server.images import images
from hit_server.known import Known
from hit_server.pages import pages
from hit_server.security import add_headers
from hit_server.settings import Settings
from hit_server.tokens import secret_of

ROOT = Path(__file__).resolve().parent.parent


Approve = Callable[[str, str], str]
"""Given a study's name and an assignment's id, approves it and says what came of it."""


def create_app(settings: Settings, engine: Engine, *, approve: Approve | None = None) -> Flask:
    """The application that serves the pages of HITs, and the researcher's console.

    Args:
        settings: hosts that may frame the pages and take submissions.
        engine: an opened database, see `database.open_database`.
        approve: asks the crowd to approve; without it the console cannot.
    """
    app = Flask(
        __name__, template_folder=str(ROOT / "templates"), static_folder=str(ROOT / "static")
    )
    app.config["SETTINGS"] = settings
    app.config["ENGINE"] = engine
    app.config["READING_ENGINE"] = reading_engine(engine)
    app.config["SESSIONS"] = session_factory(engine)
    app.config["READING"] = session_factory(app.config["READING_ENGINE"])
    app.config["KNOWN"] = Known()
    app.config["SIZES"] = {}
    app.config["FILES"] = {}
    app.config["APPROVE"] = approve
    app.config["WRONG_PASSWORDS"] = deque()
    app.config |= {
        # Cookies know no ports: the marketplace may run on the same host.
        "SESSION_COOKIE_NAME": "clearwinner_console",
        "SESSION_COOKIE_SAMESITE": "Strict",
        "SESSION_COOKIE_HTTPONLY": True,
    }
    app.session_interface = ConsoleSessions()
    app.config["SESSION_COOKIE_SECURE"] = settings.public_url.startswith("https://")
    with app.config["SESSIONS"]() as session:
        app.secret_key = secret_of(session, settings)
    app.config["MAX_CONTENT_LENGTH"] = 64 * 1024
    app.register_blueprint(pages)
    app.register_blueprint(images)
    app.register_blueprint(sign_in)
    app.register_blueprint(console)
    app.register_error_handler(HTTPException, _error_page)
    add_headers(app, settings.sites, settings.image_url)

    @app.get("/healthz")
    def healthz() -> dict[str, str]:
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))
        return {"status": "ok"}

    return app


def _error_page(error: HTTPException) -> tuple[str, int]:
    page = render_template("hit/error.html", name=error.name, message=error.description)
    return page, error.code or 500
