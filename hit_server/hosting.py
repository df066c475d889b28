"""Images on another host: for HITs without a server of one's own, or to spare the server."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path

from PIL import Image
from sqlalchemy import select
from sqlalchemy.orm import Session

from generation.stores import Bucket, StoreError
from hit_server.hits import Hits
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
    files = list(_files(session, study))
    session.commit()
    bucket = Bucket.at(target) if target.startswith("s3://") else None
    there = set(bucket.names() if bucket else _names(Path(target)))
    new = 0
    for number, (name, content) in enumerate(files, 1):
        if name not in there:
            if bucket:
                bucket.put(name, content())
            else:
                _put(Path(target), name, content())
            new += 1
        if progress:
            progress(number, len(files))
    return new


def _files(session: Session, study: StudyRecord) -> Iterator[tuple[str, Callable[[], bytes]]]:
    size = common_size(session, study.id)
    shown = session.scalars(
        select(ShownImage)
        .join(Comparison, ShownImage.comparison_id == Comparison.id)
        .where(Comparison.study_id == study.id)
        .order_by(ShownImage.id)
    )
    for each in shown:
        path = Path(each.image.path)
        yield f"{each.public_id}.png", lambda path=path: padded(path.read_bytes(), size)  # type: ignore[misc]
    for number, example in enumerate(Hits.model_validate(study.hits).examples):
        for place, name in enumerate(example.images):
            yield f"example-{number}-{place}.png", lambda path=Path(name): _as_png(path)  # type: ignore[misc]


def _as_png(path: Path) -> bytes:
    buffer = io.BytesIO()
    with Image.open(path) as image:
        image.save(buffer, "PNG")
    return buffer.getvalue()


def _names(folder: Path) -> list[str]:
    return [path.name for path in folder.glob("*.png")]


def _put(folder: Path, name: str, content: bytes) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        half = folder / f".{name}.half"
        half.write_bytes(content)
        half.rename(folder / name)
    except OSError as error:
        raise StoreError(
            f"{folder}: cannot store images: {error.strerror}. Make room or give another folder, "
            "and run it again: what is stored is kept."
        ) from None
