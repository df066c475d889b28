"""Confidence intervals for shares of votes that are not independent of each other.

Votes on the same comparison share its images, and votes of the same worker share a taste. Two
intervals come from here:

* `two_way_interval`: Student's t with a variance clustered by comparison and by worker (Cameron,
  Gelbach and Miller 2011). It is the headline interval of a score.
* `resampled_shares` with `percentile_interval`: a bootstrap that resamples comparisons. It
  holds workers fixed, so it is a little too narrow where a few workers cast most of the votes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]
Codes = NDArray[np.intp]

CHUNK = 256
"""Resamples drawn at once: bounds the memory to CHUNK × clusters."""
EXTREME = 0.1
"""Scores nearer than this to 0 or 1 get their interval on the logit scale."""


@dataclass(frozen=True)
class Interval:
    """A confidence interval and the method that made it."""

    low: float
    high: float
    method: str


@dataclass(frozen=True)
class ClusteredMean:
    """Mean of comparison means, its two-way clustered variance and interval."""

    mean: float
    variance: float
    effective_votes: float | None
    """Independent votes that would give the same variance; None when all votes are alike."""
    interval: Interval | None
    """None where the votes do not say how far they spread: see `reason`."""
    reason: str
    """Why there is no interval; empty when there is one."""


def two_way_interval(
    values: Floats, comparisons: Codes, clusters: Codes, workers: Codes, *, level: float
) -> ClusteredMean:
    """Mean of comparison means with its two-way clustered t interval.

    V = max(V_cluster + V_worker - V_vote, V_cluster, V_worker), each with its factor n/(n-1); the
    maximum guards against a sum that falls below its parts. Degrees of freedom: the smaller
    number of clusters, less one. Near 0 and 1, or where the interval would leave [0, 1], it is
    made on the logit scale.

    Args:
        values: of each vote, 0 to 1.
        comparisons: code of each vote's comparison, 0, 1, ...
        clusters: code of what is resampled: the comparison, or its prompt.
        workers: code of each vote's worker.
        level: confidence level.
    """
    weights = 1.0 / (np.bincount(comparisons)[comparisons] * (comparisons.max() + 1))
    mean = float(np.clip(np.sum(weights * values), 0.0, 1.0))
    smallest = int(min(clusters.max(), workers.max())) + 1
    if smallest < 2:
        which = "comparison" if clusters.max() < 1 else "worker"
        return ClusteredMean(mean, 0.0, None, None, f"votes of one {which} only")
    terms = weights * (values - mean)
    by_vote = _clustered(terms, np.arange(len(terms)))
    by_cluster, by_worker = _clustered(terms, clusters), _clustered(terms, workers)
    variance = max(by_cluster + by_worker - by_vote, by_cluster, by_worker)
    if variance < 1e-18:
        return ClusteredMean(mean, 0.0, None, None, "no spread between comparisons or workers")
    interval = _t_interval(mean, variance, smallest - 1, level)
    return ClusteredMean(mean, variance, len(values) * by_vote / variance, interval, "")


def resampled_shares(
    sums: Floats, counts: Floats, *, resamples: int, rng: np.random.Generator
) -> Floats:
    """Shares in bootstrap resamples of clusters.

    Args:
        sums: `(clusters, labels)`, for each cluster the sum of its comparisons' shares.
        counts: `(clusters,)`, how many comparisons each cluster has.
        resamples: how many to draw.
        rng: source of randomness.

    Returns:
        `(resamples, labels)`; every row sums to 1 when every comparison's shares do.
    """
    drawn = resampled_sums(np.column_stack([sums, counts]), resamples=resamples, rng=rng)
    return drawn[:, :-1] / drawn[:, -1:]


def resampled_sums(sums: Floats, *, resamples: int, rng: np.random.Generator) -> Floats:
    """Column sums in bootstrap resamples of clusters.

    Args:
        sums: `(clusters, columns)`, what each cluster adds.
        resamples: how many to draw.
        rng: source of randomness.

    Returns:
        `(resamples, columns)`.
    """
    clusters = len(sums)
    even = np.full(clusters, 1.0 / clusters)
    drawn = np.empty((resamples, sums.shape[1]))
    for start in range(0, resamples, CHUNK):
        size = min(CHUNK, resamples - start)
        times = rng.multinomial(clusters, even, size=size).astype(np.float64)
        drawn[start : start + size] = times @ sums
    return drawn


def percentile_interval(drawn: Floats, *, level: float) -> Interval | None:
    """Percentile interval of one resampled quantity; None where it never varied.

    Resamples in which the quantity is undefined (NaN) are left out; where they are more than the
    interval's tail, there is no interval.
    """
    defined = drawn[np.isfinite(drawn)]
    tail = (1.0 - level) / 2.0
    if len(defined) < (1.0 - tail) * len(drawn) or np.ptp(defined) < 1e-12:
        return None
    low, high = np.quantile(defined, [tail, 1.0 - tail])
    return Interval(float(low), float(high), "bootstrap over comparisons")


def _clustered(terms: Floats, codes: Codes) -> float:
    sums = np.bincount(codes, weights=terms)
    return float(len(sums) / (len(sums) - 1) * np.sum(sums**2))


def _t_interval(mean: float, variance: float, df: int, level: float) -> Interval:
    reach = float(stats.t.ppf(0.5 + level / 2.0, df)) * float(np.sqrt(variance))
    low, high = mean - reach, mean + reach
    if EXTREME <= mean <= 1.0 - EXTREME and low >= 0.0 and high <= 1.0:
        return Interval(low, high, "two-way clustered t")
    centre = float(np.log(mean / (1.0 - mean)))
    reach /= mean * (1.0 - mean)
    ends = 1.0 / (1.0 + np.exp(-np.clip([centre - reach, centre + reach], -700, 700)))
    return Interval(float(ends[0]), float(ends[1]), "two-way clustered t, logit scale")
