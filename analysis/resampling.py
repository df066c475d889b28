"""Resampling: bootstraps over comparisons, and over comparisons and workers at once.

They are checks of the headline interval. The bootstrap over comparisons holds workers fixed, so
it is a little too narrow where a few workers cast most of the votes; the pigeonhole bootstrap
(Owen 2007) resamples both and is a little too wide.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse, stats

from analysis.intervals import Clusters, Floats, Interval

CHUNK = 256
"""Resamples drawn at once: bounds the memory to CHUNK × clusters."""
PIGEONHOLE = 200
"""Resamples of comparisons and workers: enough for a standard error to 5 %."""


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

    Clusters that are alike are drawn together, which is the same and much quicker: with ten votes
    on a pair there are only 66 kinds.

    Args:
        sums: `(clusters, columns)`, what each cluster adds.
        resamples: how many to draw.
        rng: source of randomness.

    Returns:
        `(resamples, columns)`.
    """
    _, first, times = np.unique(sums, axis=0, return_index=True, return_counts=True)
    # As they come: naming the methods the other way round changes nothing.
    order = np.argsort(first)
    kinds, times = sums[first[order]], times[order]
    clusters = len(sums)
    drawn = np.empty((resamples, sums.shape[1]))
    for start in range(0, resamples, CHUNK):
        size = min(CHUNK, resamples - start)
        picked = rng.multinomial(clusters, times / clusters, size=size).astype(np.float64)
        drawn[start : start + size] = picked @ kinds
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


def pigeonhole_interval(
    values: Floats, of: Clusters, *, level: float, rng: np.random.Generator
) -> Interval | None:
    """The mean of comparison means with the spread that resampling both ways gives.

    A vote counts as often as its cluster was drawn times as often as its worker was (Owen 2007).
    The interval is the mean ± t standard deviations of the resampled means.

    Args:
        values: of each vote, 0 to 1.
        of: codes of the votes.
        level: confidence level.
        rng: source of randomness.
    """
    if of.why_none:
        return None
    weights, places = of.weights(), (of.clusters, of.workers)
    shape = int(of.clusters.max()) + 1, int(of.workers.max()) + 1
    worth = sparse.csr_array(sparse.coo_array((weights * values, places), shape=shape))
    whole = sparse.csr_array(sparse.coo_array((weights, places), shape=shape))
    means = []
    for _ in range(0, PIGEONHOLE, 50):
        rows = rng.multinomial(shape[0], np.full(shape[0], 1 / shape[0]), size=50)
        columns = rng.multinomial(shape[1], np.full(shape[1], 1 / shape[1]), size=50).T
        above = np.einsum("ij,ji->i", rows, worth @ columns.astype(np.float64))
        below = np.einsum("ij,ji->i", rows, whole @ columns.astype(np.float64))
        means.append(np.divide(above, below, out=np.full(50, np.nan), where=below > 0))
    spread = float(np.nanstd(np.concatenate(means), ddof=1))
    mean = float(np.sum(weights * values))
    if spread < 1e-12:
        return None
    reach = float(stats.t.ppf(0.5 + level / 2, of.smallest - 1)) * spread
    return Interval(max(0.0, mean - reach), min(1.0, mean + reach), "pigeonhole bootstrap")
