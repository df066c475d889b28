"""The headline under other choices: with all workers, without flagged ones, weighted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.intervals import Share
from analysis.rates import score_of
from analysis.tally import tallies
from analysis.workers import accuracy_of_votes


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
    frame: pd.DataFrame, flagged: Sequence[str], *, level: float
) -> tuple[Sensitivity, ...]:
    """Scores of every question and pair of methods, three ways.

    Args:
        frame: votes of all workers, flagged ones included.
        flagged: workers' hashes.
        level: confidence level.
    """
    kept = frame[~frame["worker"].isin(list(flagged))]
    without = dict(tallies(kept)) if len(kept) else {}
    found = []
    for group, tally in tallies(frame):
        if len(group.methods) != 2:
            continue
        every = score_of(tally, level)
        other = score_of(without[group], level) if group in without else None
        weighted = score_of(tally, level, np.asarray(accuracy_of_votes(tally)))
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
