"""Drawn images as manifest rows and PNG bytes: an image carries its origin."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from generation.jobs import Job, captioner_name
from generation.manifest import ManifestRow, as_png, image_path
from generation.options import DnpOptions, own_steps
from generation.origin import git_commit, versions
from generation.plan import drawn_with
from generation.studio import Drawn, Studio
from generation.study import StudyFile


def rows_of(
    file: StudyFile, studio: Studio, jobs: Sequence[Job], drawn: Drawn
) -> list[tuple[ManifestRow, bytes]]:
    """Rows and PNGs of a batch that one method has drawn."""
    common = _common(file, studio, jobs[0].method, drawn, len(jobs))
    rows = []
    for job, image, negative in zip(jobs, drawn.images, drawn.negative_prompts, strict=True):
        sha256, content = as_png(image)
        row = ManifestRow(
            prompt_id=job.prompt.id,
            prompt=job.prompt.text,
            category=job.prompt.category,
            seed=job.seed,
            method=job.method,
            negative_prompt=negative,
            width=image.width,
            height=image.height,
            sha256=sha256,
            path=image_path(sha256),
            entities=list(getattr(job.prompt, "entities", ())),
            **common,
        )
        rows.append((row, content))
    return rows


def _common(
    file: StudyFile, studio: Studio, method: str, drawn: Drawn, number: int
) -> dict[str, Any]:
    """What all rows of a batch share."""
    table, model = studio.table, studio.model
    options = drawn_with(table)[method]
    return {
        "study": file.study.name,
        "options": options.model_dump(),
        "model": model.name,
        "revision": model.revision,
        "revision_asked": table.revision,
        "scheduler": table.scheduler,
        "steps": own_steps(options, table.steps),
        "dtype": table.dtype,
        "device": str(model.device),
        "created_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "evaluations": drawn.evaluations,
        "seconds": round(drawn.seconds / number, 4),
        "versions": versions(),
        "git_commit": git_commit(),
        "null_embedding": model.null_rule,
        "captioner": captioner_name(table) if isinstance(options, DnpOptions) else None,
        "compute": table.compute.model_dump(),
    }
