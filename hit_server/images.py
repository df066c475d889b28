"""Images by the random names that workers' browsers know, all of equal size on the wire."""

from __future__ import annotations

from pathlib import Path

from flask import Blueprint, Response, abort, current_app, request
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from hit_server.hits import IMAGE_TYPES, hits_of_record
from hit_server.padding import OVERHEAD, padded
from hit_server.records import Hit, ImageRecord, StudyRecord
from hit_server.store import find_image

images = Blueprint("images", __name__)
KEPT = "public, max-age=31536000, immutable"
"""For a year."""
STEP = 4096
"""Sizes are multiples of this: adding an image to a study rarely changes all the others'."""


@images.get("/image/<public_id>")
def image(public_id: str) -> Response:
    """The PNG's bytes, to be kept by the browser: what an address shows never changes."""
    files: dict[str, tuple[Path, int]] = current_app.config["FILES"]
    path, study_id = files.get(public_id) or _file(public_id, files)
    try:
        content = path.read_bytes()
    except OSError:
        files.pop(public_id, None)
        abort(404, "There is no such image.")
    return _kept(padded(content, _size(study_id, len(content))), "image/png")


def _file(public_id: str, files: dict[str, tuple[Path, int]]) -> tuple[Path, int]:
    """An image's file, and its study; remembered once a HIT keeps it from being replaced."""
    sessions: sessionmaker[Session] = current_app.config["READING"]
    with sessions() as session:
        found = find_image(session, public_id)
        if found is None:
            abort(404, "There is no such image.")
        file = Path(found.image.path), found.image.study_id
        pooled = select(Hit.id).where(Hit.study_id == file[1], Hit.pooled).limit(1)
        if found.comparison.hit_record_id is not None or session.scalar(pooled) is not None:
            files[public_id] = file
        return file


def _size(study_id: int, needed: int) -> int:
    """Bytes of every image of a study; measured again when one that was added is larger."""
    sizes: dict[int, int] = current_app.config["SIZES"]
    if sizes.get(study_id, 0) < needed + OVERHEAD:
        sessions: sessionmaker[Session] = current_app.config["READING"]
        with sessions() as session:
            sizes[study_id] = common_size(session, study_id)
    return sizes[study_id]


@images.get("/example/<int:study_id>/<int:number>/<int:place>")
def example(study_id: int, number: int, place: int) -> Response:
    """An image of an example that the instructions show."""
    sessions: sessionmaker[Session] = current_app.config["READING"]
    with sessions() as session:
        study = session.get(StudyRecord, study_id)
        examples = hits_of_record(study.hits).examples if study else []
    if number >= len(examples) or place >= len(examples[number].images):
        abort(404, "There is no such example.")
    path = Path(examples[number].images[place])
    if not path.is_file():
        abort(404, "There is no such example.")
    return _kept(path.read_bytes(), IMAGE_TYPES[path.suffix.lower()])


def common_size(session: Session, study_id: int) -> int:
    """Bytes that every image of a study takes on the wire: the largest, rounded up."""
    paths = session.scalars(select(ImageRecord.path).where(ImageRecord.study_id == study_id))
    sizes = [Path(path).stat().st_size for path in paths if Path(path).is_file()]
    return -(-(max(sizes, default=0) + OVERHEAD) // STEP) * STEP


def _kept(content: bytes, kind: str) -> Response:
    """A response that browsers keep for ever, in parts where they ask for parts."""
    # No modification time and no name of the file: they could tell methods apart.
    response = Response(content, mimetype=kind)
    response.headers["Cache-Control"] = KEPT
    response.make_conditional(request, accept_ranges=True, complete_length=len(content))
    return response
