"""Which images a study wants, and which of them are missing. Light imports: no torch here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from generation.manifest import ManifestRow, read_manifest
from generation.options import CnpOptions, DnpOptions, own_steps
from generation.plan import Generation, drawn_with
from generation.prompts import Prompt


@dataclass(frozen=True)
class Job:
    """One image to make."""

    prompt: Prompt
    seed: int
    method: str


def wanted_images(table: Generation, prompts: Sequence[Prompt]) -> list[Job]:
    """Every image of a study, method by method."""
    return [
        Job(prompt, seed, method)
        for method in table.methods
        for prompt in prompts
        for seed in table.seeds
    ]


def missing_images(table: Generation, prompts: Sequence[Prompt], folder: Path) -> list[Job]:
    """The images that have no row made with today's settings, or whose file is gone.

    Args:
        table: the settled table (`generation.plan.settled`).
        prompts: the study's prompts.
        folder: the study's folder.
    """
    rows = [row for row in read_manifest(folder) if (folder / row.path).is_file()]
    return missing_among(table, prompts, rows)


def missing_among(
    table: Generation, prompts: Sequence[Prompt], rows: Iterable[ManifestRow]
) -> list[Job]:
    """The images that are not among rows whose files are there."""
    there = {row.scene for row in rows if is_current(row, table)}
    return [
        job
        for job in wanted_images(table, prompts)
        if (job.prompt.id, job.seed, job.method) not in there
    ]


def is_current(row: ManifestRow, table: Generation) -> bool:
    """Whether a manifest row was made with these settings."""
    options = drawn_with(table).get(row.method)
    if options is None or row.options != options.model_dump():
        return False
    if isinstance(options, DnpOptions | CnpOptions) and row.captioner != captioner_name(table):
        return False
    asked = (table.model, table.revision, table.scheduler, table.dtype)
    return (
        (row.model, row.revision_asked, row.scheduler, row.dtype) == asked
        and row.steps == own_steps(options, table.steps)
        and table.null in ("auto", row.null_embedding)
        and table.height in (None, row.height)
        and table.width in (None, row.width)
    )


def captioner_name(table: Generation) -> str:
    """The captioner that a study's negative images are worded by."""
    if table.model == "shapes":
        return "shapes"
    revision = table.captioner_revision
    return table.captioner + (f"@{revision}" if revision else "")
