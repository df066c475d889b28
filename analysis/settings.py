"""The table `[report]` of the study file."""

from __future__ import annotations

from pydantic import Field

from generation.study import Table


class ReportTable(Table):
    """`[report]`: what the report shows and how its intervals are made."""

    examples: int = Field(default=3, ge=0, le=20)
    """Comparisons shown for each set of methods: of each kind (one-sided, split, tied)."""
    resamples: int = Field(default=2000, ge=100, le=100_000)
    """Bootstrap resamples behind the intervals of the shares."""
    level: float = Field(default=0.95, gt=0.5, lt=1.0)
    """Confidence level of every interval."""
