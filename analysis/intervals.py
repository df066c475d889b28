"""Confidence intervals for shares of votes that are not independent of each other.

Votes on the same comparison share its images, and votes of the same worker share a taste.

* `two_way_interval` and `share_interval`: a variance clustered by comparison and by worker
  (Cameron, Gelbach and Miller 2011) with Student's t; near 0 and 1 on the logit scale (scores) or
  by Wilson's formula with the effective number of votes (shares). These are the headline.
* `naive_interval`: as if votes were independent; only to say how much too narrow it is.

The resampling checks are in `resampling`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]
Codes = NDArray[np.intp]

EXTREME = 0.1
"""Scores nearer than this to 0 or 1 get their interval on the logit scale."""
NOTHING = 1e-18
"""A variance below this is that of votes which do not vary."""


@dataclass(frozen=True)
class Interval:
    """A confidence interval and the method that made it."""

    low: float
    high: float
    method: str


@dataclass(frozen=True)
class Share:
    """A share between 0 and 1 with its interval, where there is one."""

    value: float
    interval: Interval | None


@dataclass(frozen=True)
class Clusters:
    """What each vote shares with others: codes 0, 1, ... of its comparison, cluster and worker."""

    comparisons: Codes
    clusters: Codes
    """What would be drawn anew: the comparison, or its prompt."""
    workers: Codes

    @classmethod
    def of(cls, comparisons: Codes, prompts: Codes, workers: Codes) -> Clusters:
        """The prompt is the cluster where prompts have several comparisons."""
        several = prompts.max() < comparisons.max()
        return cls(comparisons, prompts if several else comparisons, workers)

    @property
    def smallest(self) -> int:
        """The smaller number of clusters: less one it gives the degrees of freedom."""
        return int(min(self.clusters.max(), self.workers.max())) + 1

    @property
    def why_none(self) -> str:
        """Why the votes do not say how far they spread; empty when they do."""
        if self.smallest > 1:
            return ""
        which = "comparison" if self.clusters.max() < 1 else "worker"
        return f"votes of one {which} only"

    def weights(self, of_vote: Floats | None = None) -> Floats:
        """Weights of the votes that make every comparison count alike; they sum to 1."""
        own = np.ones(len(self.comparisons)) if of_vote is None else of_vote
        totals = np.bincount(self.comparisons, weights=own)
        return np.asarray(own / totals[self.comparisons] / len(totals))


@dataclass(frozen=True)
class Variance:
    """The variance of a sum of votes' terms, clustered two ways, and its parts."""

    value: float
    of_votes: float
    """As if votes were independent."""


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


def two_way_variance(terms: Floats, of: Clusters) -> Variance:
    """V = max(V_cluster + V_worker - V_vote, V_cluster, V_worker), each with its factor n/(n-1).

    The maximum guards against a sum that falls below its parts.

    Args:
        terms: what each vote adds to the deviation of the estimate, weight included.
        of: codes of the votes.
    """
    if of.why_none:
        return Variance(0.0, 0.0)
    count = len(terms)
    by_vote = float(count / (count - 1) * np.sum(terms**2))
    by_cluster, by_worker = _clustered(terms, of.clusters), _clustered(terms, of.workers)
    return Variance(max(by_cluster + by_worker - by_vote, by_cluster, by_worker), by_vote)


def two_way_interval(
    values: Floats,
    comparisons: Codes,
    clusters: Codes,
    workers: Codes,
    *,
    level: float,
    weights: Floats | None = None,
) -> ClusteredMean:
    """Mean of comparison means with its two-way clustered t interval.

    Degrees of freedom: the smaller number of clusters, less one. Near 0 and 1, or where the
    interval would leave [0, 1], it is made on the logit scale.

    Args:
        values: of each vote, 0 to 1.
        comparisons: code of each vote's comparison, 0, 1, ...
        clusters: code of what is resampled: the comparison, or its prompt.
        workers: code of each vote's worker.
        level: confidence level.
        weights: of the votes within their comparison; all alike when not given.
    """
    of = Clusters(comparisons, clusters, workers)
    weighted = of.weights(weights)
    mean = float(np.clip(np.sum(weighted * values), 0.0, 1.0))
    if of.why_none:
        return ClusteredMean(mean, 0.0, None, None, of.why_none)
    variance = two_way_variance(weighted * (values - mean), of)
    if variance.value < NOTHING:
        return ClusteredMean(mean, 0.0, None, None, "no spread between comparisons or workers")
    interval = _t_interval(mean, variance.value, of.smallest - 1, level)
    effective = len(values) * variance.of_votes / variance.value
    return ClusteredMean(mean, variance.value, effective, interval, "")


def share_interval(
    numerator: Floats, denominator: Floats, of: Clusters, *, level: float, effective: float
) -> Share | None:
    """A share of votes, or of those votes that `denominator` counts, with Wilson's interval.

    Wilson's formula takes the effective number of votes, p(1 - p)/V, and t in place of the
    normal quantile. None where nothing is counted.

    Args:
        numerator: 1 for the votes that have it, else 0.
        denominator: 1 for the votes that are asked about, else 0; all ones for a plain share.
        of: codes of the votes.
        level: confidence level.
        effective: number of votes to take where the share is 0 or 1 and has no variance.
    """
    weights = of.weights()
    whole = float(np.sum(weights * denominator))
    if whole <= 0:
        return None
    share = float(np.clip(np.sum(weights * numerator) / whole, 0.0, 1.0))
    if of.why_none:
        return Share(share, None)
    variance = two_way_variance(weights * (numerator - share * denominator) / whole, of).value
    if variance >= NOTHING:
        effective = share * (1 - share) / variance
    quantile = float(stats.t.ppf(0.5 + level / 2, of.smallest - 1))
    return Share(share, wilson(share, effective, quantile, "two-way clustered, Wilson"))


def clustered_share(values: Floats, clusters: Codes, *, level: float) -> Share:
    """A mean of values between 0 and 1, one a comparison, with Wilson's interval by cluster.

    Args:
        values: one for each comparison, each counting alike.
        clusters: the code of each comparison's cluster.
        level: confidence level.
    """
    mean = float(values.mean())
    sums = np.bincount(clusters, weights=values - mean)
    number = len(np.unique(clusters))
    if number < 2:
        return Share(mean, None)
    variance = float(number / (number - 1) * np.sum((sums / len(values)) ** 2))
    votes = mean * (1 - mean) / variance if variance > 0 else float(number)
    quantile = float(stats.norm.ppf(0.5 + level / 2))
    return Share(mean, wilson(mean, votes, quantile, "Wilson, by cluster"))


def wilson(share: float, votes: float, quantile: float, method: str) -> Interval:
    """Wilson's score interval (Wilson 1927).

    Args:
        share: the observed one.
        votes: how many, effective ones where they depend on each other.
        quantile: of the normal distribution, or of t.
        method: its name.
    """
    squared = quantile**2 / votes
    centre = (share + squared / 2) / (1 + squared)
    reach = quantile / (1 + squared) * np.sqrt(share * (1 - share) / votes + squared / (4 * votes))
    return Interval(max(0.0, float(centre - reach)), min(1.0, float(centre + reach)), method)


def naive_interval(values: Floats, *, level: float) -> Interval | None:
    """The mean's interval as if votes were independent: too narrow, shown to say by how much."""
    if len(values) < 2 or np.ptp(values) == 0:
        return None
    mean = float(values.mean())
    reach = float(stats.norm.ppf(0.5 + level / 2) * values.std(ddof=1) / np.sqrt(len(values)))
    return Interval(max(0.0, mean - reach), min(1.0, mean + reach), "votes taken as independent")


def difference_interval(
    terms: Floats, value: float, of: Clusters, *, level: float
) -> tuple[Share, float]:
    """A difference of shares, -1 to 1, with its two-way clustered t interval; and its variance.

    Args:
        terms: of each vote, without weight: its difference.
        value: the estimate.
        of: codes of the votes.
        level: confidence level.
    """
    variance = two_way_variance(of.weights() * (terms - value), of).value
    if variance < NOTHING:
        return Share(value, None), 0.0
    reach = float(stats.t.ppf(0.5 + level / 2, of.smallest - 1)) * float(np.sqrt(variance))
    ends = max(-1.0, value - reach), min(1.0, value + reach)
    return Share(value, Interval(*ends, "two-way clustered t")), variance


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
