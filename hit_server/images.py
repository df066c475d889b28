"""Images by the random names that workers' browsers know."""

from __future__ import annotations

from pathlib import Path

from flask import Blueprint, Response, abort, current_app, send_file
from sqlalchemy.orm import Session, sessionmaker

from hit_server.store import find_image

images = Blueprint("images", __name__)
A_YEAR = 31_536_000


@images.get("/image/<public_id>")
def image(public_id: str) -> Response:
    """The PNG's bytes, to be kept by the browser: what an address shows never changes."""
    sessions: sessionmaker[Session] = current_app.config["SESSIONS"]
    with sessions() as session:
        found = find_image(session, public_id)
    if found is None or not Path(found.path).is_file():
        abort(404, "There is no such image.")
    # No modification time and no name of the file: they could tell methods apart.
    response = send_file(
        found.path, mimetype="image/png", etag=False, last_modified=None, conditional=False
    )
    response.headers.pop("Last-Modified", None)
    response.headers.pop("Content-Disposition", None)
    response.headers["Cache-Control"] = f"public, max-age={A_YEAR}, immutable"
    return response
