"""The console's sign-in: one password, from the environment; a first-party session."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections import deque
from typing import Any

from flask import (
    Blueprint,
    Flask,
    Request,
    abort,
    current_app,
    redirect,
    render_template,
    request,
    url_for,
)
from flask import session as cookie
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from werkzeug.wrappers import Response as AnyResponse

from hit_server.security import refuse_other_sites
from hit_server.settings import Settings

sign_in = Blueprint("sign_in", __name__)
TRIES, SECONDS = 10, 60.0
"""Wrong passwords that are answered in so many seconds."""


class ConsoleSessions(SecureCookieSessionInterface):
    """Sessions of the console alone: workers' pages use no cookies and need not look for any."""

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """The browser's session; none, which cannot be written to, for who brings no cookie."""
        if "Cookie" in request.headers or request.path.startswith("/console"):
            return super().open_session(app, request)
        return None


@sign_in.get("/console/sign-in")
def page() -> str:
    """The form."""
    _password()
    return render_template("console/sign_in.html", wrong=False)


@sign_in.post("/console/sign-in")
def enter() -> AnyResponse | tuple[str, int]:
    """Begin a session."""
    refuse_other_sites()
    wrong: deque[float] = current_app.config["WRONG_PASSWORDS"]
    now = time.monotonic()
    while wrong and now - wrong[0] > SECONDS:
        wrong.popleft()
    if len(wrong) >= TRIES:
        abort(429, "Too many wrong passwords. Wait a minute.")
    given = request.form.get("password", "")
    if not hmac.compare_digest(given.encode(), _password().encode()):
        wrong.append(now)
        return render_template("console/sign_in.html", wrong=True), 403
    cookie.clear()
    cookie["console"] = mark()
    return redirect(url_for("console.studies"))


@sign_in.post("/console/sign-out")
def leave() -> AnyResponse:
    """End the session of this browser."""
    refuse_other_sites()
    cookie.clear()
    return redirect(url_for("sign_in.page"))


def required() -> Any:
    """Send those who are not signed in to the form."""
    _password()
    if not hmac.compare_digest(str(cookie.get("console", "")), mark()):
        return redirect(url_for("sign_in.page"))
    return None


def mark() -> str:
    """What a session holds: another password ends the sessions of the old one."""
    return hashlib.sha256(f"console|{_password()}".encode()).hexdigest()[:32]


def _password() -> str:
    settings: Settings = current_app.config["SETTINGS"]
    password = settings.console_password.get_secret_value()
    if not password:
        abort(404, "The console is off. Set CLEARWINNER_CONSOLE_PASSWORD to switch it on.")
    return password
