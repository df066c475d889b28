"""How far workers agree: Krippendorff's alpha, Fleiss' kappa and plain agreement.

A comparison is a unit, and its labels are the methods and "none", never sides: a swap of places
would scramble sides. Intervals resample comparisons (or prompts, where they have several seeds).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.intervals import Floats, Share
from analysis.resampling import percentile_interval, resampled_sums
from analysis.tally import Tallies, tallies

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Agreement:
    """How far workers agree on one question about the same methods."""

    question: str
    methods: tuple[str, ...]
    comparisons: int
    """Those with two votes or more."""
    alpha: Share | None
    """Krippendorff's, nominal; None where it is not defined, see `reason`."""
    kappa: Share | None
    """Fleiss'; None where comparisons have unequal numbers of votes."""
    raw: Share | None
    """Chance that two votes on the same comparison are alike, mean over comparisons."""
    reason: str
    """Why there is no alpha; empty when there is one."""


def agreements(
    votes: pd.DataFrame | Tallies, *, resamples: int, level: float, seed: int
) -> tuple[Agreement, ...]:
    """Agreement for every question and set of methods that met.

    Args:
        votes: that count, as `votes.without_rejected` gives them, or their tallies.
        resamples: bootstrap resamples.
        level: confidence level of the intervals.
        seed: of the bootstrap.
    """
    found = []
    for number, (group, tally) in enumerate(tallies(votes)):
        several = tally.counts.sum(axis=1) >= 2
        counts = tally.counts[several]
        clusters = tally.cluster_of_comparison[several]
        value, reason = krippendorff_alpha(counts)
        drawn = _resampled(counts, clusters, resamples, np.random.default_rng([seed, 29, number]))
        found.append(
            Agreement(
                question=group.question,
                methods=group.methods,
                comparisons=len(counts),
                alpha=None
                if value is None
                else Share(value, percentile_interval(drawn[:, 0], level=level)),
                kappa=_kappa(counts, drawn[:, 2], level),
                raw=_raw(counts, drawn[:, 1], level),
                reason=reason,
            )
        )
    return tuple(found)


def krippendorff_alpha(counts: Counts) -> tuple[float | None, str]:
    """Krippendorff's alpha for nominal labels, 1 - D_o / D_e, and why there is none.

    K. Krippendorff (2011), Computing Krippendorff's Alpha-Reliability: with n_uc votes for label
    c in unit u, n_u in the unit and n_c for the label,
    D_o = sum_u (n_u^2 - sum_c n_uc^2) / (n_u - 1) and D_e = (n^2 - sum_c n_c^2) / (n - 1).

    Args:
        counts: votes by unit and label, `(units, labels)`; units with fewer than two are left out.
    """
    counts = counts[counts.sum(axis=1) >= 2]
    if len(counts) == 0:
        return None, "no comparison has two votes"
    labels = counts.sum(axis=0, dtype=np.float64)
    n = labels.sum()
    expected = (n**2 - (labels**2).sum()) / (n - 1)
    if expected == 0:
        return None, "every vote is alike"
    return float(1 - _disagreement(counts).sum() / expected), ""


def fleiss_kappa(counts: Counts) -> float | None:
    """Fleiss' kappa (Fleiss 1971); None where units have unequal numbers of votes, or one label.

    Args:
        counts: votes by unit and label, `(units, labels)`.
    """
    votes = counts.sum(axis=1)
    if len(counts) == 0 or votes.min() < 2 or votes.min() != votes.max():
        return None
    observed = float(_alike(counts).mean())
    expected = float(((counts.sum(axis=0) / counts.sum()) ** 2).sum())
    return None if expected == 1.0 else (observed - expected) / (1 - expected)


def _disagreement(counts: Counts) -> Floats:
    votes = counts.sum(axis=1, dtype=np.float64)
    return np.asarray((votes**2 - (counts.astype(np.float64) ** 2).sum(axis=1)) / (votes - 1))


def _alike(counts: Counts) -> Floats:
    """Share of pairs of votes that are alike, in each unit."""
    return np.asarray(1 - _disagreement(counts) / counts.sum(axis=1))


def _resampled(
    counts: Counts, clusters: NDArray[np.intp], resamples: int, rng: np.random.Generator
) -> Floats:
    """Alpha, plain agreement and kappa of each resample, `(resamples, 3)`; NaN: undefined."""
    if len(counts) == 0:
        return np.full((resamples, 3), np.nan)
    codes = np.unique(clusters, return_inverse=True)[1]
    parts = np.column_stack([_disagreement(counts), _alike(counts), np.ones(len(counts)), counts])
    sums = np.zeros((int(codes.max()) + 1, parts.shape[1]))
    np.add.at(sums, codes, parts)
    total = resampled_sums(sums, resamples=resamples, rng=rng)
    labels = total[:, 3:]
    n = labels.sum(axis=1)
    expected = (n**2 - (labels**2).sum(axis=1)) / (n - 1)
    ratio = np.divide(total[:, 0], expected, out=np.full(len(n), np.nan), where=expected > 0)
    alike = total[:, 1] / total[:, 2]
    chance = ((labels / n[:, None]) ** 2).sum(axis=1)
    kappa = np.divide(alike - chance, 1 - chance, out=np.full(len(n), np.nan), where=chance < 1)
    return np.column_stack([1 - ratio, alike, kappa])


def _kappa(counts: Counts, drawn: Floats, level: float) -> Share | None:
    value = fleiss_kappa(counts)
    return None if value is None else Share(value, percentile_interval(drawn, level=level))


def _raw(counts: Counts, drawn: Floats, level: float) -> Share | None:
    if len(counts) == 0:
        return None
    return Share(float(_alike(counts).mean()), percentile_interval(drawn, level=level))
