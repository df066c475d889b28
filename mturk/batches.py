"""Which HITs a study needs: how many comparisons each shows, and to how many workers. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from mturk.costs import MANY
from mturk.crowd import Crowd

Item = TypeVar("Item")


def hit_sizes(comparisons: int, per_hit: int, crowd: Crowd, *, there: int = 0) -> list[int]:
    """Assignments of each HIT that is needed.

    HITs of ten assignments and more cost another fee. Pooled HITs stay below: they are equal
    places for workers, and the server decides what each of them judges.

    Args:
        comparisons: that lack a HIT; for pooled HITs all of the study.
        per_hit: comparisons on a page.
        crowd: the study's.
        there: assignments of the pooled HITs that were asked for before.
    """
    if not crowd.pooled:
        return [crowd.assignments] * -(-comparisons // per_hit)
    return pool_sizes(-(-comparisons * crowd.assignments // per_hit) - there)


def pool_sizes(assignments: int) -> list[int]:
    """So many assignments in HITs of fewer than ten."""
    full, rest = divmod(max(0, assignments), MANY - 1)
    return [MANY - 1] * full + ([rest] if rest else [])


def chunks(items: Sequence[Item], size: int) -> list[list[Item]]:
    """Items in groups of a size; the last may be smaller."""
    return [list(items[start : start + size]) for start in range(0, len(items), size)]
