"""Several claims at once: p values of scores, adjusted for how many there are."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy import stats


def score_p_value(score: float, variance: float, freedom: int) -> float | None:
    """Two-sided p value of "the score is even", Student's t; None where nothing varies.

    Args:
        score: wins and half the ties, as a share.
        variance: of the score, clustered two ways.
        freedom: the smaller number of clusters, less one.
    """
    if variance <= 0 or freedom < 1:
        return None
    return float(2 * stats.t.sf(abs(score - 0.5) / math.sqrt(variance), freedom))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p values, in the order given (Holm 1979): they control any false claim."""
    order = np.argsort(p_values, kind="stable")
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted
