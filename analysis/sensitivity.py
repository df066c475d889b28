"""The headline under other choices: with all workers, without flagged ones, weighted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.intervals import Floats, Share
from analysis.rates import score_of
from analysis.tally import Tallies, Tally, tallies


@dataclass(frozen=True)
class Sensitivity:
    """A score three ways."""

    question: str
    methods: tuple[str, ...]
    everybody: Share
    unflagged: Share | None
    """Without flagged workers; None where nobody is left."""
    weighted: Share
    """Votes weighted by Dawid and Skene's accuracy above chance. A diagnostic: the model assumes
    a true answer, which appeal does not have."""


def sensitivity(
    frame: pd.DataFrame, groups: Tallies, flagged: Sequence[str], *, level: float
) -> tuple[Sensitivity, ...]:
    """Scores of every question and pair of methods, three ways.

    Args:
        frame: votes of all workers, flagged ones included.
        groups: their tallies.
        flagged: workers' hashes.
        level: confidence level.
    """
    kept = frame[~frame["worker"].isin(list(flagged))]
    without = dict(tallies(kept) if flagged else groups) if len(kept) else {}
    found = []
    for group, tally in groups:
        if len(group.methods) != 2:
            continue
        every = score_of(tally, level)
        other = score_of(without[group], level) if group in without else None
        weighted = score_of(tally, level, _accuracy_above_chance(tally))
        found.append(
            Sensitivity(
                group.question,
                group.methods,
                Share(every.mean, every.interval),
                Share(other.mean, other.interval) if other else None,
                Share(weighted.mean, weighted.interval),
            )
        )
    return tuple(found)


def _accuracy_above_chance(tally: Tally) -> Floats:
    """Of each vote's worker, 0 to 1: as a weight. Never 0, which would leave nothing."""
    labels = len(tally.labels)
    above = np.clip((tally.skill.accuracy - 1 / labels) / (1 - 1 / labels), 0.01, 1.0)
    return np.asarray(above[tally.of.workers])
