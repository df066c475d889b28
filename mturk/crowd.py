"""The table `[crowd]`: who is asked, for how much, for how long."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from generation.study import Table

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


class Crowd(Table):
    """`[crowd]`."""

    assignments: int = Field(default=10, ge=1, le=1000)
    """Different workers for each comparison."""
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
