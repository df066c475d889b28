"""Headers that keep workers' browsers safe. No X-Frame-Options: the page lives in a frame."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from flask import Flask, Response, abort, request

CONSOLE_POLICY = (
    "default-src 'none'; img-src 'self'; style-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
"""Of the researcher's own pages: in nobody's frame, and no script at all."""


def content_security_policy(sites: Sequence[str], image_url: str = "") -> str:
    """Only our own images, style and script; framed by, and submitting to, known sites alone."""
    allowed = " ".join(sites)
    parts = urlsplit(image_url)
    images = f"'self' {parts.scheme}://{parts.netloc}" if parts.netloc else "'self'"
    return (
        f"default-src 'none'; img-src {images}; style-src 'self'; script-src 'self'; "
        f"connect-src 'self'; base-uri 'none'; form-action {allowed}; frame-ancestors {allowed}"
    )


def add_headers(app: Flask, sites: Sequence[str], image_url: str = "") -> None:
    """Send the headers with every response."""
    policy = content_security_policy(sites, image_url)

    @app.after_request
    def headers(response: Response) -> Response:
        own = request.path.startswith("/console")
        response.headers["Content-Security-Policy"] = CONSOLE_POLICY if own else policy
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers.setdefault("Cache-Control", "no-store")
        return response


def refuse_other_sites() -> None:
    """Refuse a write that another site's page sends in a visitor's name.

    Browsers say where a request comes from; programs that are none need not.
    """
    site = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get("Origin")
    if site is not None:
        allowed = site == "same-origin"
    else:
        allowed = origin is None or urlsplit(origin).netloc == request.host
    if not allowed:
        abort(403, "This request came from another site. Nothing was recorded.")
