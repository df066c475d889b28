"""Tests of scores, and p values adjusted for there being several claims."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy import stats

from analysis.intervals import Floats

PERMUTATIONS = 10_000


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


def tost_p_value(score: float, variance: float, freedom: int, margin: float) -> float | None:
    """P value of "the score lies outside 0.5 ± margin": two one-sided t tests (Schuirmann 1987).

    Below 0.05 just where the 90 % interval lies within the margin. None where nothing varies.
    """
    if variance <= 0 or freedom < 1:
        return None
    above = stats.t.sf((score - (0.5 - margin)) / math.sqrt(variance), freedom)
    below = stats.t.sf((0.5 + margin - score) / math.sqrt(variance), freedom)
    return float(max(above, below))


def sign_p_value(wins: int, losses: int) -> float | None:
    """Two-sided sign test on comparisons' majorities, even ones left out; None without any."""
    if wins + losses == 0:
        return None
    return float(stats.binomtest(wins, wins + losses).pvalue)


def permutation_p_value(leads: Floats, *, rng: np.random.Generator) -> float | None:
    """Two-sided p value with the two methods exchanged at random within each cluster.

    All votes of a comparison are exchanged together, so that their likeness does no harm. Equal
    leads are drawn together: how many of them keep their sign is binomial.

    Args:
        leads: of each comparison (or prompt), the share of wins less that of losses.
        rng: source of randomness.
    """
    sizes, times = np.unique(np.abs(leads[leads != 0]), return_counts=True)
    if len(sizes) == 0:
        return None
    kept = rng.binomial(times, 0.5, size=(PERMUTATIONS, len(times)))
    drawn = np.abs((2 * kept - times) @ sizes)
    extreme = drawn >= abs(float(leads.sum())) - 1e-9
    return float((1 + extreme.sum()) / (1 + PERMUTATIONS))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p values, in the order given (Holm 1979): they control any false claim."""
    order = np.argsort(p_values, kind="stable")
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """P values adjusted for the false discovery rate (Benjamini and Hochberg 1995)."""
    if not p_values:
        return []
    return [float(p) for p in stats.false_discovery_control(p_values, method="bh")]
