"""Dawid and Skene's model of workers who err: a diagnostic of workers, never of methods.

It assumes that every comparison has a true label. Visual appeal has none, so its "accuracy" only
says how a worker's labels go with everybody else's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.intervals import Codes, Floats

STEPS = 200
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
    by_task = tasks * count + labels
    by_worker = workers * count + labels
    votes = np.bincount(by_task, minlength=number * count).reshape(number, count)
    found = votes / votes.sum(axis=1, keepdims=True)
    for _ in range(steps):
        confusion = _confusion(found, tasks, by_worker, people, count)
        priors = found.mean(axis=0)
        before, found = found, _expected(confusion, priors, tasks, by_worker, number)
        if np.abs(found - before).max() < CLOSE:
            return DawidSkene(found, priors, confusion, True)
    return DawidSkene(found, priors, confusion, False)


def _confusion(found: Floats, tasks: Codes, by_worker: Codes, people: int, count: int) -> Floats:
    sums = np.stack(
        [
            np.bincount(by_worker, weights=found[tasks, true], minlength=people * count)
            for true in range(count)
        ],
        axis=-1,
    ).reshape(people, count, count)
    whole = sums.sum(axis=1, keepdims=True)
    even = np.full_like(sums, 1 / count)
    return np.asarray(np.divide(sums, whole, out=even, where=whole > 0))


def _expected(
    confusion: Floats, priors: Floats, tasks: Codes, by_worker: Codes, number: int
) -> Floats:
    count = len(priors)
    logs = np.log(np.maximum(confusion, SMALL)).reshape(-1, count)
    told: NDArray[np.float64] = np.stack(
        [
            np.bincount(tasks, weights=logs[by_worker, true], minlength=number)
            for true in range(count)
        ],
        axis=-1,
    )
    told += np.log(np.maximum(priors, SMALL))
    told -= told.max(axis=1, keepdims=True)
    chances = np.exp(told)
    return np.asarray(chances / chances.sum(axis=1, keepdims=True))
