"""How far workers agree: Krippendorff's alpha, Fleiss' kappa and plain agreement.

A comparison is a unit, and its labels are the methods and "none", never sides: a swap of places
would scramble sides. Intervals resample comparisons (or prompts, where they have several seeds).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.intervals import Floats, Share
from analysis.resampling import percentile_interval, resampled_sums
from analysis.tally import Tallies, tallies

Counts = NDArray[np.int64]
ORDERED = (0, 2, 1)
"""Columns of two methods' counts in order: the first, no clear winner, the second."""


@dataclass(frozen=True)
class Agreement:
    """How far workers agree on one question about the same methods."""

    question: str
    methods: tuple[str, ...]
    comparisons: int
    """Those with two votes or more."""
    alpha: Share | None
    """Krippendorff's, nominal; None where it is not defined, see `reason`."""
    ordinal: Share | None
    """Krippendorff's for ordered labels: lost, no clear winner, won. None for three images."""
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
        order = ORDERED if counts.shape[1] == len(ORDERED) else ()
        rng = np.random.default_rng([seed, 29, number])
        drawn = _resampled(counts, clusters, order, resamples, rng)
        found.append(
            Agreement(
                question=group.question,
                methods=group.methods,
                comparisons=len(counts),
                alpha=None
                if value is None
                else Share(value, percentile_interval(drawn[:, 0], level=level)),
                ordinal=_ordinal(counts, order, drawn[:, 3], level),
                kappa=_kappa(counts, drawn[:, 2], level),
                raw=_raw(counts, drawn[:, 1], level),
                reason=reason,
            )
        )
    return tuple(found)


def krippendorff_alpha(counts: Counts, *, ordered: bool = False) -> tuple[float | None, str]:
    """Krippendorff's alpha, 1 - D_o / D_e, and why there is none.

    K. Krippendorff (2011), Computing Krippendorff's Alpha-Reliability: with n_uc votes for label
    c in unit u, n_u in the unit, n_c for the label and n in all, summed over pairs of labels c < k,
    D_o = sum_u n_uc n_uk d_ck / (n_u - 1) and D_e = n_c n_k d_ck / (n - 1). The squared
    difference d_ck is 1 for nominal labels; for ordered ones it is
    (n_c / 2 + n_(c+1) + ... + n_(k-1) + n_k / 2)^2.

    Args:
        counts: votes by unit and label, `(units, labels)`; units with fewer than two are left out.
        ordered: the labels stand in an order.
    """
    counts = counts[counts.sum(axis=1) >= 2]
    if len(counts) == 0:
        return None, "no comparison has two votes"
    labels = counts.sum(axis=0, dtype=np.float64)
    if (labels > 0).sum() < 2:
        return None, "every vote is alike"
    together = _together(counts).sum(axis=0)
    return float(_alpha(together[None], labels[None], ordered=ordered)[0]), ""


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


def _together(counts: Counts) -> Floats:
    """n_uc n_uk / (n_u - 1) of each unit and each two labels, `(units, pairs)`."""
    votes = counts.sum(axis=1, keepdims=True, dtype=np.float64)
    one, other = np.triu_indices(counts.shape[1], 1)
    return np.asarray(counts[:, one] * counts[:, other] / (votes - 1))


def _alpha(together: Floats, labels: Floats, *, ordered: bool) -> Floats:
    """Alpha of each row of sums; NaN where all votes are alike.

    Args:
        together: `(rows, pairs)`, sums of `_together`.
        labels: `(rows, labels)`, how many votes each has.
        ordered: the labels stand in an order.
    """
    one, other = np.triu_indices(labels.shape[1], 1)
    weight = np.ones_like(together)
    if ordered:
        # Votes up to the middle of each label: its rank.
        rank = np.cumsum(labels, axis=1) - labels / 2
        weight = (rank[:, other] - rank[:, one]) ** 2
    observed = (together * weight).sum(axis=1)
    expected = (labels[:, one] * labels[:, other] * weight).sum(axis=1)
    whole = observed * (labels.sum(axis=1) - 1)
    ratio = np.divide(whole, expected, out=np.full(len(whole), np.nan), where=expected > 0)
    return np.asarray(1 - ratio)


def _alike(counts: Counts) -> Floats:
    """Share of pairs of votes that are alike, in each unit."""
    return np.asarray(1 - 2 * _together(counts).sum(axis=1) / counts.sum(axis=1))


def _resampled(
    counts: Counts,
    clusters: NDArray[np.intp],
    order: Sequence[int],
    resamples: int,
    rng: np.random.Generator,
) -> Floats:
    """Alpha, plain agreement, kappa and ordinal alpha of each resample, `(resamples, 4)`.

    NaN stands where one is undefined, and for ordinal alpha where the labels have no order.
    """
    if len(counts) == 0:
        return np.full((resamples, 4), np.nan)
    codes = np.unique(clusters, return_inverse=True)[1]
    ordered = counts[:, order] if order else counts
    parts = [_alike(counts)[:, None], np.ones((len(counts), 1)), ordered, _together(ordered)]
    columns = np.hstack(parts)
    sums = np.zeros((int(codes.max()) + 1, columns.shape[1]))
    np.add.at(sums, codes, columns)
    total = resampled_sums(sums, resamples=resamples, rng=rng)
    labels, together = np.split(total[:, 2:], [counts.shape[1]], axis=1)
    alike = total[:, 0] / total[:, 1]
    chance = ((labels / labels.sum(axis=1, keepdims=True)) ** 2).sum(axis=1)
    kappa = np.divide(alike - chance, 1 - chance, out=np.full(len(alike), np.nan), where=chance < 1)
    nominal = _alpha(together, labels, ordered=False)
    ordinal = _alpha(together, labels, ordered=True) if order else np.full(len(alike), np.nan)
    return np.column_stack([nominal, alike, kappa, ordinal])


def _ordinal(counts: Counts, order: Sequence[int], drawn: Floats, level: float) -> Share | None:
    value = krippendorff_alpha(counts[:, order], ordered=True)[0] if order else None
    return None if value is None else Share(value, percentile_interval(drawn, level=level))


def _kappa(counts: Counts, drawn: Floats, level: float) -> Share | None:
    value = fleiss_kappa(counts)
    return None if value is None else Share(value, percentile_interval(drawn, level=level))


def _raw(counts: Counts, drawn: Floats, level: float) -> Share | None:
    if len(counts) == 0:
        return None
    return Share(float(_alike(counts).mean()), percentile_interval(drawn, level=level))
