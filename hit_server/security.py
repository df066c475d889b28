"""Headers that keep workers' browsers safe. No X-Frame-Options: the page lives in a frame."""

from __future__ import annotations

from collections.abc import Sequence

from flask import Flask, Response


def content_security_policy(sites: Sequence[str]) -> str:
    """Only our own images, style and script; framed by, and submitting to, known sites alone."""
    allowed = " ".join(sites)
    return (
        "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; "
        f"base-uri 'none'; form-action {allowed}; frame-ancestors {allowed}"
    )


def add_headers(app: Flask, sites: Sequence[str]) -> None:
    """Send the headers with every response."""
    policy = content_security_policy(sites)

    @app.after_request
    def headers(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = policy
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers.setdefault("Cache-Control", "no-store")
        return response
