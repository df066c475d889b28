"""The table `[report]` of the study file."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from generation.study import Table, nearest

COLUMN_NAMES = (
    "prompt_set", "comparison", "prompt_id", "prompt", "category", "seed", "question", "methods",
    "places", "choice", "worker", "assignment", "milliseconds", "check", "status", "accepted_at",
    "submitted_at",
)  # fmt: skip
"""Of the vote frame (`analysis.votes.VOTE_COLUMNS`), less the study."""


class BatchResults(Table):
    """`[report.batch_results]`: what the columns of a batch-results CSV mean."""

    file: str
    """Relative to the study file."""
    prompt: str = "Input.prompt"
    places: list[str] = Field(min_length=2, max_length=3)
    """Columns that name the method shown at each place, from the left."""
    category: str | None = None
    seed: str | None = None
    questions: dict[str, str] = Field(min_length=1)
    """Columns by the question's key, such as `correctness = "Answer.correctness"`."""
    choices: dict[str, str] = Field(
        default={"1": "1", "2": "2", "3": "3", "none": "none"}, min_length=2
    )
    """What answers mean: the number of a place, or "none" for no clear winner."""

    @field_validator("choices")
    @classmethod
    def _places_or_none(cls, choices: dict[str, str]) -> dict[str, str]:
        for answer, meaning in choices.items():
            if meaning not in ("1", "2", "3", "none"):
                raise ValueError(f'{answer} = {meaning!r} must be "1", "2", "3" or "none".')
        return choices


class VoteFile(Table):
    """`[report.votes]`: votes from a CSV or Parquet file, one row a vote."""

    file: str
    """Relative to the study file."""
    columns: dict[str, str] = Field(default={})
    """The file's columns by the vote frame's, such as `worker = "annotator"`."""
    places: list[str] = Field(default=[], max_length=3)
    """Columns that name the method at each place, from the left; without, a column `places`."""
    question: str | None = None
    """Key of the only question, where no column names it."""
    choices: dict[str, str] = Field(default={})
    """What labels mean: a method, the number of a place, or "none" for no clear winner."""

    @field_validator("columns")
    @classmethod
    def _known(cls, columns: dict[str, str]) -> dict[str, str]:
        for name in columns:
            if name not in COLUMN_NAMES:
                raise ValueError(f"{name!r} is no column of votes.{nearest(name, COLUMN_NAMES)}")
        return columns


class ScoresFile(Table):
    """`[report.scores]`: automatic scores of images, one row an image, CSV or Parquet.

    Images are named by `prompt_id`, `seed` and `method`, or by `sha256`.
    """

    file: str
    """Relative to the study file."""
    metrics: list[str] = Field(default=[])
    """Columns that hold scores; every other column when not given."""
    lower_is_better: list[str] = Field(default=[])
    """Those of them where less is better."""


class Flags(Table):
    """`[report.flags]`: when a worker is flagged. Set it before the votes are seen.

    Agreement with other workers is not among the rules: it would pick the votes by the result.
    """

    failed_checks: float = Field(default=0.5, ge=0, le=1)
    """More than this share of a worker's checks answered wrongly."""
    least_checks: int = Field(default=3, ge=1)
    """Fewer checks than these flag nobody."""
    one_sided_p: float = Field(default=0.001, gt=0, lt=1)
    """P value of an even share of left and right, Holm's correction over workers."""
    median_seconds: float = Field(default=0.5, ge=0)
    """A median time for an answer below this."""
    longest_run: int = Field(default=50, ge=2)
    """So many decided votes in a row for the same place."""


class ReportTable(Table):
    """`[report]`: what the report shows and how its intervals are made."""

    examples: int = Field(default=3, ge=0, le=20)
    """Comparisons shown for each set of methods: of each kind (one-sided, split, tied)."""
    resamples: int = Field(default=2000, ge=100, le=100_000)
    """Bootstrap resamples behind the intervals of the shares."""
    level: float = Field(default=0.95, gt=0.5, lt=1.0)
    """Confidence level of every interval."""
    margin: float | None = Field(default=None, gt=0, lt=0.5)
    """Scores within 0.5 ± margin count as equivalent; no such test when not given."""
    ties: Literal["davidson", "rao-kupper"] = "davidson"
    """The model of ties in the ranking."""
    flags: Flags = Flags()
    exclude_flagged: bool = False
    """Leave flagged workers out of every number; the sensitivity lines show both either way."""
    batch_results: BatchResults | None = None
    """Votes from a batch-results CSV in place of this software's own records."""
    votes: VoteFile | None = None
    """Votes from any other file."""
    scores: ScoresFile | None = None
    """Automatic scores to set beside the votes."""
