"""Which images a study wants, and which of them are missing. Light imports: no torch here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from generation.manifest import ManifestRow, read_manifest
from generation.plan import Generation
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
    """The images that have no row made with today's settings, or whose file is gone."""
    there = {row.scene for row in read_manifest(folder) if is_current(row, table, folder)}
    return [
        job
        for job in wanted_images(table, prompts)
        if (job.prompt.id, job.seed, job.method) not in there
    ]


def is_current(row: ManifestRow, table: Generation, folder: Path) -> bool:
    """Whether a manifest row was made with these settings and its image is still there."""
    options = table.methods.get(row.method)
    return (
        options is not None
        and row.options == options.model_dump()
        and (row.model, row.scheduler, row.steps, row.dtype)
        == (table.model, table.scheduler, table.steps, table.dtype)
        and (folder / row.path).is_file()
    )
