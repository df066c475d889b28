"""Registering: a study's images and comparisons are written into the database."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import exists, or_, select
from sqlalchemy.orm import Session

from generation.manifest import ManifestRow
from generation.study import StudyFile
from hit_server.comparisons import comparison_key, judged, scenes
from hit_server.hits import checked_hits
from hit_server.records import Comparison, Hit, ImageRecord, ShownImage, StudyRecord


def register_study(
    session: Session, file: StudyFile, rows: Sequence[ManifestRow], folder: Path
) -> StudyRecord:
    """Write a study and the comparisons whose images all exist; again and again adds what is new.

    Images that were replaced since are taken over as long as no HIT shows them.

    Raises:
        StudyError: the table `[hits]` does not hold.
    """
    hits = checked_hits(file)
    study = session.scalar(select(StudyRecord).where(StudyRecord.name == file.study.name))
    if study is None:
        study = StudyRecord(name=file.study.name, seed=file.study.seed)
        session.add(study)
    study.title, study.hits = file.study.title, hits.model_dump()
    study.digest = file.digest
    session.flush()
    images = _register_images(session, study, rows, folder)
    there = list(session.scalars(select(Comparison).where(Comparison.study_id == study.id)))
    known = {comparison.key for comparison in there}
    already = {(comparison.prompt_id, comparison.seed) for comparison in there}
    turns = Counter(tuple(comparison.methods) for comparison in there)
    wanted = judged(scenes(rows), hits.pairs, seed=file.study.seed, already=already)
    for scene, by_method in wanted.items():
        for group in hits.comparisons:
            key = comparison_key(scene, group)
            if key in known or not all(name in by_method for name in group):
                continue
            row = by_method[group[0]]
            comparison = Comparison(
                public_id=new_name(),
                study_id=study.id,
                key=key,
                prompt_id=row.prompt_id,
                prompt=row.prompt,
                category=row.category,
                seed=row.seed,
                methods=list(group),
                turn=turns[tuple(group)],
            )
            turns[tuple(group)] += 1
            session.add(comparison)
            for name in group:
                session.add(
                    ShownImage(
                        public_id=new_name(),
                        comparison=comparison,
                        image=images[(*scene, name)],
                        name=name,
                    )
                )
    session.commit()
    return study


def new_name() -> str:
    """A random name: nothing in an address may betray what is behind it."""
    return secrets.token_hex(12)


def _published(session: Session, study: StudyRecord) -> set[tuple[str, int, str]]:
    """Images that a HIT shows or may show: they stay what they are."""
    pooled = exists().where(Hit.study_id == study.id, Hit.pooled)
    shown = session.scalars(
        select(Comparison).where(
            Comparison.study_id == study.id,
            or_(Comparison.hit_record_id.is_not(None), pooled),
        )
    )
    return {(each.prompt_id, each.seed, method) for each in shown for method in each.methods}


def _register_images(
    session: Session, study: StudyRecord, rows: Sequence[ManifestRow], folder: Path
) -> dict[tuple[str, int, str], ImageRecord]:
    """Write the images of a manifest; all of the study by prompt, seed and method."""
    found = {
        (image.prompt_id, image.seed, image.method): image
        for image in session.scalars(select(ImageRecord).where(ImageRecord.study_id == study.id))
    }
    published = _published(session, study)
    for row in rows:
        image = found.get(row.scene)
        if image is None:
            image = found[row.scene] = ImageRecord(study_id=study.id)
            image.prompt_id, image.seed, image.method = row.scene
            session.add(image)
        elif row.scene in published:
            continue
        image.sha256, image.path = row.sha256, str((folder / row.path).resolve())
        image.width, image.height = row.width, row.height
    return found
