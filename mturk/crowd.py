"""The table `[crowd]`: who is asked, for how much, for how long."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from generation.study import Table
from mturk.costs import MANY

YEAR_S = 31_536_000
MONTH_S = 2_592_000


def _quoted(value: Any) -> Any:
    """A TOML number would go through binary floating point, which has no ten cents."""
    if not isinstance(value, (str, Decimal)):
        raise ValueError('money is written in quotes: quote the amount, for example "0.10".')
    return value


Dollars = Annotated[Decimal, BeforeValidator(_quoted), Field(ge=0, decimal_places=2)]


class ReviewRules(Table):
    """`[crowd.review]`: what `clearwinner review` points at. It decides nothing."""

    min_seconds: float = Field(default=2.0, ge=0)
    """Answers that came quicker."""
    same_side_votes: int = Field(default=10, ge=2)
    """Votes that a worker must have given before its side is looked at."""
    same_side_share: float = Field(default=0.95, gt=0, le=1)
    """Share of a worker's votes for one place, or for "no clear winner"."""
    failed_checks: int = Field(default=1, ge=1)
    """Answers to check comparisons that were wrong, in one assignment."""


class Crowd(Table):
    """`[crowd]`."""

    assignments: int = Field(default=10, ge=1, le=1000)
    """Different workers for each comparison. "save_fees" stands for ten, with `save_fees`."""
    save_fees: bool = False
    """Publish HITs of at most nine assignments, which cost less: the server sees to it that no
    worker judges a comparison twice."""
    reward_usd: Dollars = Decimal("0.10")
    """Dollars for each assignment, in quotes."""
    masters: bool = True
    approval_above: int | None = Field(default=95, ge=0, le=100)
    """Percent of a worker's assignments that were approved: more than this."""
    approved_hits_min: int | None = Field(default=None, ge=0)
    locales: list[str] = Field(default=[])
    """Two-letter countries; everywhere when empty."""
    exclude_studies: list[str] = Field(default=[])
    """Names of earlier studies in the same database: who worked on them is not asked again."""
    budget_usd: Dollars | None = None
    """Nothing is published that would cost more, fees included."""
    lifetime_s: int = Field(default=604_800, ge=30, le=YEAR_S)
    duration_s: int = Field(default=600, ge=30, le=YEAR_S)
    auto_approval_s: int = Field(default=259_200, ge=0, le=MONTH_S)
    review: ReviewRules = ReviewRules()

    @model_validator(mode="before")
    @classmethod
    def _save_fees(cls, table: Any) -> Any:
        if isinstance(table, dict) and table.get("assignments") == "save_fees":
            return table | {"assignments": 10, "save_fees": True}
        return table

    @property
    def hit_assignments(self) -> int:
        """The most assignments that one HIT has: the fee depends on it."""
        return min(self.assignments, MANY - 1) if self.pooled else self.assignments

    @property
    def pooled(self) -> bool:
        """Whether HITs leave it to the server which comparison a worker judges."""
        return self.save_fees and self.assignments >= MANY
