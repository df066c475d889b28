"""The headline under other choices: with all workers, without flagged ones, weighted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analysis.intervals import Floats, Share
from analysis.rates import score_of
from analysis.tally import Tallies, Tally


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


def sensitivity(groups: Tallies, unflagged: Tallies, *, level: float) -> tuple[Sensitivity, ...]:
    """Scores of every question and pair of methods, three ways.

    Args:
        groups: tallies of all workers' votes.
        unflagged: tallies of the votes without flagged workers; the same where nobody is flagged.
        level: confidence level.
    """
    without = dict(unflagged)
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
