"""Images on another host: for HITs without a server of one's own, or to spare the server."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

from PIL import Image
from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from generation.manifest import store_bytes
from generation.stores import Bucket, StoreError
from hit_server.hits import hits_of_record
from hit_server.images import common_size
from hit_server.padding import padded
from hit_server.records import Comparison, ShownImage, StudyRecord

Progress = Callable[[int, int], None]


def host_images(
    session: Session, study: StudyRecord, target: str, *, progress: Progress | None = None
) -> int:
    """Put a study's images where browsers find them, under their random names; how many are new.

    Args:
        session: of the study's database.
        study: that is registered.
        target: a folder, or `s3://bucket/prefix`.
        progress: is told how many are done.

    Raises:
        StoreError: the target cannot be written.
    """
    files = _files(session, study)
    size = common_size(session, study.id)
    session.commit()
    bucket = Bucket.at(target) if target.startswith("s3://") else None
    there = set(bucket.names() if bucket else (path.name for path in Path(target).glob("*.png")))
    new = 0
    for number, (name, path, shown) in enumerate(files, 1):
        if name not in there:
            content = padded(path.read_bytes(), size) if shown else _as_png(path)
            if bucket:
                bucket.put(name, content)
            else:
                _put(Path(target), name, content)
            new += 1
        if progress:
            progress(number, len(files))
    return new


def _files(session: Session, study: StudyRecord) -> list[tuple[str, Path, bool]]:
    """Names, files, and whether each is of a comparison: those have equal sizes on the wire."""
    shown = session.scalars(
        select(ShownImage)
        .join(Comparison, ShownImage.comparison_id == Comparison.id)
        .where(Comparison.study_id == study.id)
        .options(joinedload(ShownImage.image))
        .order_by(ShownImage.id)
    )
    found = [(f"{each.public_id}.png", Path(each.image.path), True) for each in shown]
    for number, example in enumerate(hits_of_record(study.hits).examples):
        for place, name in enumerate(example.images):
            found.append((f"example-{number}-{place}.png", Path(name), False))
    return found


def _as_png(path: Path) -> bytes:
    buffer = io.BytesIO()
    with Image.open(path) as image:
        image.save(buffer, "PNG")
    return buffer.getvalue()


def _put(folder: Path, name: str, content: bytes) -> None:
    try:
        store_bytes(folder, name, content)
    except OSError as error:
        raise StoreError(
            f"{folder}: cannot store images: {error.strerror}. Make room or give another folder, "
            "and run it again: what is stored is kept."
        ) from None
