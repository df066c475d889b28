"""What all pages of the worker site share: the present, the session, who asks."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from urllib.parse import urlsplit

from flask import abort, current_app, request
from flask import session as cookie
from sqlalchemy.orm import Session

from mturk.marketplace.records import Requester, Worker
from mturk.marketplace.settling import settle

POLICY = (
    "default-src 'self'; img-src 'self' data: http: https:; frame-src 'self' http: https:; "
    "form-action 'self'; frame-ancestors 'self'; base-uri 'none'; object-src 'none'"
)
"""Content-Security-Policy of the marketplace's own pages: no script and style but its own."""


def present() -> datetime:
    """The marketplace's clock."""
    clock: Callable[[], datetime] = current_app.config["CLOCK"]
    return clock()


def open_session() -> Session:
    """A session on a database that is brought up to the present."""
    session: Session = current_app.config["SESSIONS"]()
    settle(session, present())
    session.commit()
    return session


def base_url() -> str:
    """Where browsers reach this marketplace, without a slash at the end."""
    configured: str | None = current_app.config["PUBLIC_URL"]
    return configured or request.host_url.rstrip("/")


def signed_in(session: Session) -> Worker:
    """The worker whose browser this is."""
    worker = session.get(Worker, cookie.get("worker", 0))
    if worker is None or cookie.get("token") != worker.token_hash[:16]:
        abort(401, "Open the sign-in link that you were given.")
    return worker


def requester_signed_in(session: Session) -> Requester:
    """The requester whose browser this is."""
    requester = session.get(Requester, cookie.get("requester", 0))
    if requester is None:
        abort(401, "Sign in with your access key first, at /requester/.")
    return requester


def refuse_other_sites() -> None:
    """Refuse a write that another site's page sends with this browser's cookie."""
    sent_by = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get("Origin", "")
    own = urlsplit(base_url()).netloc
    fine = sent_by == "same-origin" if sent_by else urlsplit(origin).netloc in (own, request.host)
    if not fine:
        abort(403, "This form was sent from another site. Nothing was done.")
