"""Position bias: whether votes go to a place rather than to a method."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from analysis.intervals import Clusters, Floats, Share, difference_interval, share_interval
from analysis.rates import WORTH
from analysis.tally import Tallies, Tally, tallies


@dataclass(frozen=True)
class PositionBias:
    """How much a place adds, for one question and set of methods."""

    question: str
    methods: tuple[str, ...]
    shares: tuple[Share, ...]
    """Share of the decided votes that each place got, from the left."""
    bias: Share | None
    """Two images: mean score of the first method where it stood left, less where it stood right.
    Twice the effect of a place."""
    adjusted: float | None
    """Two images: the first method's score with both sides counting alike."""
    left: tuple[int, int]
    """Votes that saw the first method in the first place, and all votes."""
    placement_p: float
    """Binomial test that methods were placed by chance (two images; 1 for three)."""


def position_bias(votes: pd.DataFrame | Tallies, *, level: float) -> tuple[PositionBias, ...]:
    """Position bias of every question and set of methods.

    Args:
        votes: that count, or their tallies.
        level: confidence level.
    """
    return tuple(
        _bias(group.question, group.methods, tally, level) for group, tally in tallies(votes)
    )


def _bias(question: str, methods: Sequence[str], tally: Tally, level: float) -> PositionBias:
    place, size = tally.chosen_places, len(methods)
    decided = (place < size).astype(np.float64)
    shares = [
        share_interval(
            (place == number).astype(np.float64), decided, tally.of, level=level,
            effective=float(tally.basis.units),
        )
        for number in range(size)
    ]  # fmt: skip
    first_left = tally.places[:, 0] == 0
    left, votes = int(first_left.sum()), len(first_left)
    bias, adjusted = None, None
    if size == 2 and 0 < left < votes:
        bias, adjusted = _by_side(WORTH[tally.choices], first_left, tally.of, level)
    return PositionBias(
        question,
        tuple(methods),
        tuple(share for share in shares if share is not None),
        bias,
        adjusted,
        (left, votes),
        float(stats.binomtest(left, votes).pvalue) if size == 2 else 1.0,
    )


def _by_side(
    values: Floats, first_left: NDArray[np.bool_], of: Clusters, level: float
) -> tuple[Share, float]:
    weights = of.weights()
    on_left, on_right = weights * first_left, weights * ~first_left
    left = float(on_left @ values / on_left.sum())
    right = float(on_right @ values / on_right.sum())
    # Each vote's part in the difference, so that its weighted sum is the deviation.
    terms = np.where(
        first_left, (values - left) / on_left.sum(), -(values - right) / on_right.sum()
    )
    bias, _ = difference_interval(terms + (left - right), left - right, of, level=level)
    return bias, (left + right) / 2
