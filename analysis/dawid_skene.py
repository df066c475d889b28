"""Dawid and Skene's model of workers who err: a diagnostic of workers, never of methods.

It assumes that every comparison has a true label. Visual appeal has none, so its "accuracy" only
says how a worker's labels go with everybody else's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from analysis.intervals import Codes, Floats

STEPS = 100
"""Enough for a diagnostic; where workers hardly differ the last digits take thousands."""
CLOSE = 1e-7
"""Largest change of a task's probabilities at which the fit has converged."""
SMALL = 1e-10


@dataclass(frozen=True)
class DawidSkene:
    """Maximum likelihood estimates by expectation and maximisation (Dawid and Skene 1979)."""

    probabilities: Floats
    """`(tasks, labels)`: of each task's true label."""
    priors: Floats
    """`(labels,)`."""
    confusion: Floats
    """`(workers, labels, labels)`: what a worker says, by the true label (last)."""
    converged: bool

    @property
    def accuracy(self) -> Floats:
        """`(workers,)`: chance that a worker gives the true label."""
        right = np.diagonal(self.confusion, axis1=1, axis2=2)
        return np.asarray(right @ self.priors)


def dawid_skene(
    tasks: Codes, workers: Codes, labels: Codes, *, count: int, steps: int = STEPS
) -> DawidSkene:
    """Fit the model, beginning from the shares of votes.

    Args:
        tasks: code of each vote's comparison.
        workers: code of each vote's worker.
        labels: code of each vote's label.
        count: how many labels there are.
        steps: at most so many.
    """
    number, people = int(tasks.max()) + 1, int(workers.max()) + 1
    votes = np.bincount(tasks * count + labels, minlength=number * count).reshape(number, count)
    found = votes / votes.sum(axis=1, keepdims=True)
    said = sparse.csr_array(
        (np.ones(len(tasks)), (tasks, workers * count + labels)), shape=(number, people * count)
    )
    heard = said.T.tocsr()
    for _ in range(steps):
        confusion = _confusion(heard @ found, people, count)
        priors = found.mean(axis=0)
        before, found = found, _expected(confusion, priors, said)
        if np.abs(found - before).max() < CLOSE:
            return DawidSkene(found, priors, confusion, True)
    return DawidSkene(found, priors, confusion, False)


def _confusion(sums: Floats, people: int, count: int) -> Floats:
    """From `(people * count, count)` weights of what was said, by the true label."""
    sums = sums.reshape(people, count, count)
    whole = sums.sum(axis=1, keepdims=True)
    even = np.full_like(sums, 1 / count)
    return np.asarray(np.divide(sums, whole, out=even, where=whole > 0))


def _expected(confusion: Floats, priors: Floats, said: sparse.csr_array) -> Floats:
    logs = np.log(np.maximum(confusion, SMALL)).reshape(-1, len(priors))
    told = np.asarray(said @ logs) + np.log(np.maximum(priors, SMALL))
    told -= told.max(axis=1, keepdims=True)
    chances = np.exp(told)
    return np.asarray(chances / chances.sum(axis=1, keepdims=True))
