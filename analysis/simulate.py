"""Simulated votes with a known truth: for planning, and to see whether intervals hold it.

Each comparison has a lead of the first method, normal around `lead` with standard deviation
`prompt_spread`; each worker has a taste, normal with `worker_spread`, that is added to it, and a
place adds `left` to the image on the left. With x the sum, the vote is the first method with
chance 1/(1 + exp(h - x)), the second with 1/(1 + exp(h + x)), and a tie otherwise (Rao and Kupper),
where h sets how many ties there are. A careless worker chooses by chance, ties as often as others.
Few workers do much of the work: their activity is drawn from an exponential distribution.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from analysis.intervals import Clusters, Floats

QUADRATURE = 60


@dataclass(frozen=True)
class Crowd:
    """Who votes on what, and how."""

    comparisons: int
    votes: int = 10
    """On each comparison, by different workers."""
    workers: int = 40
    lead: float = 0.0
    """Of the first method, on the log-odds scale."""
    ties: float = 0.24
    """Share of votes without a clear winner, for workers who look."""
    prompt_spread: float = 1.0
    worker_spread: float = 0.3
    left: float = 0.0
    careless: float = 0.05
    """Share of workers who choose by chance; rounded to whole workers."""

    def __post_init__(self) -> None:
        """Refuse what cannot be drawn, with a ValueError."""
        for name in ("ties", "careless"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} = {getattr(self, name)} must be at least 0, below 1.")
        for name in ("prompt_spread", "worker_spread"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} = {getattr(self, name)} must not be negative.")
        if self.votes > self.workers:
            raise ValueError(
                f"{self.votes} votes a comparison need as many workers, not {self.workers}."
            )

    @property
    def careless_workers(self) -> int:
        """How many choose by chance."""
        return round(self.careless * self.workers)


@dataclass(frozen=True)
class SimulatedVotes:
    """Votes of one simulated study."""

    choices: NDArray[np.intp]
    """0 the first method, 1 the second, 2 no clear winner."""
    first_left: NDArray[np.bool_]
    of: Clusters


def threshold(crowd: Crowd) -> float:
    """Half-width of ties on the log-odds scale, for the wanted share."""
    if crowd.ties == 0:
        return 0.0
    return float(optimize.brentq(lambda h: _expected(crowd, h)[1] - crowd.ties, 0.0, 50.0))


def true_score(crowd: Crowd) -> float:
    """The expected score of the first method, careless workers included."""
    score, share = _expected(crowd, threshold(crowd))[0], crowd.careless_workers / crowd.workers
    return (1 - share) * score + share / 2


def lead_for(crowd: Crowd, score: float) -> float:
    """The lead at which the expected score is `score`.

    Raises:
        ValueError: no lead gives it.
    """
    share = crowd.careless_workers / crowd.workers
    furthest = 1 - share / 2
    if not 1 - furthest < score < furthest:
        raise ValueError(f"a score of {score} cannot be reached with {share:.0%} careless workers.")
    wanted = (score - share / 2) / (1 - share)

    def short(lead: float) -> float:
        moved = replace(crowd, lead=lead)
        return _expected(moved, threshold(moved))[0] - wanted

    return float(optimize.brentq(short, -30.0, 30.0))


def simulate(crowd: Crowd, rng: np.random.Generator, *, h: float | None = None) -> SimulatedVotes:
    """Draw the votes of a study.

    Args:
        crowd: who votes.
        rng: source of every draw.
        h: `threshold(crowd)`, where it is known.
    """
    h = threshold(crowd) if h is None else h
    number, shape = crowd.comparisons, (crowd.comparisons, crowd.votes)
    lead = crowd.lead + crowd.prompt_spread * rng.standard_normal(number)
    taste = crowd.worker_spread * rng.standard_normal(crowd.workers)
    careless = np.arange(crowd.workers) < crowd.careless_workers
    # The smallest of exponential times are a draw without repeats, by activity.
    activity = rng.exponential(size=crowd.workers) + 0.05
    times = rng.exponential(size=(number, crowd.workers)) / activity
    people = np.argpartition(times, crowd.votes - 1, axis=1)[:, : crowd.votes]
    # Sides are balanced: half of each comparison's votes see the first method on the left.
    first_left = rng.permuted(np.tile(np.arange(crowd.votes) % 2 == 0, (number, 1)), axis=1)
    x = lead[:, None] + taste[people] + crowd.left * np.where(first_left, 1, -1)
    win, loss = special.expit(x - h), special.expit(-x - h)
    win = np.where(careless[people], (1 - crowd.ties) / 2, win)
    loss = np.where(careless[people], (1 - crowd.ties) / 2, loss)
    drawn = rng.random(shape)
    choices = np.where(drawn < win, 0, np.where(drawn < win + loss, 1, 2))
    comparisons = np.repeat(np.arange(number), crowd.votes)
    workers = np.unique(people, return_inverse=True)[1].ravel()
    return SimulatedVotes(
        choices.ravel(), first_left.ravel(), Clusters(comparisons, comparisons, workers)
    )


def _expected(crowd: Crowd, h: float) -> tuple[float, float]:
    """Score and share of ties of workers who look, over prompts, workers and both sides."""
    points, weights = np.polynomial.hermite_e.hermegauss(QUADRATURE)
    spread = np.hypot(crowd.prompt_spread, crowd.worker_spread)
    x: Floats = np.add.outer(crowd.lead + spread * points, [crowd.left, -crowd.left])
    win, loss = special.expit(x - h), special.expit(-x - h)
    share = weights / weights.sum()
    score = float(share @ (win + (1 - win - loss) / 2).mean(axis=1))
    return score, float(share @ (1 - win - loss).mean(axis=1))
