"""Preference rates: what share of votes each method won, for every question."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.claims import holm, score_p_value
from analysis.intervals import (
    ClusteredMean,
    Floats,
    Interval,
    percentile_interval,
    resampled_shares,
    two_way_interval,
)
from analysis.votes import JOIN, NONE, VotesError


@dataclass(frozen=True)
class Share:
    """A share between 0 and 1 with its interval, where there is one."""

    value: float
    interval: Interval | None


@dataclass(frozen=True)
class Basis:
    """What a rate rests on."""

    votes: int
    comparisons: int
    workers: int
    unit: str
    """What is resampled: "comparison", or "prompt" where prompts have several seeds."""
    units: int


@dataclass(frozen=True)
class PreferenceRate:
    """Two methods that met, and one question. Every comparison counts alike.

    Shares are means over comparisons of the share of each comparison's votes; where all
    comparisons have equally many votes they are the shares of all votes.
    """

    question: str
    method_a: str
    method_b: str
    wins: int
    """Votes for `method_a`."""
    losses: int
    """Votes for `method_b`."""
    ties: int
    """Votes for no clear winner."""
    basis: Basis
    win: Share
    tie: Share
    loss: Share
    score: Share
    """Win share plus half the tie share; its interval is the headline, two-way clustered t."""
    score_resampled: Interval | None
    """The score's bootstrap interval, beside the headline."""
    no_interval: str
    """Why the score has no interval; empty when it has one."""
    effective_votes: float | None
    p_value: float | None
    """Of an even score, two-sided, two-way clustered t; None where the votes do not vary."""
    p_holm: float | None
    """The same, adjusted by Holm's method for all the scores of the report."""
    vote_score: float
    """The score with every vote counting alike, whatever its comparison."""
    decided_win: Share | None
    """Win share of the votes that named a winner; None where none did."""
    majority_wins: int
    """Comparisons in which `method_a` had more votes than `method_b`."""
    majority_ties: int
    majority_losses: int


@dataclass(frozen=True)
class ThreeWayRate:
    """Three methods that met side by side, and one question."""

    question: str
    methods: tuple[str, ...]
    counts: tuple[int, ...]
    """Votes for each method, then for no clear winner."""
    basis: Basis
    shares: tuple[Share, ...]
    """Of each method, then of no clear winner; bootstrap intervals over comparisons."""


Rate = PreferenceRate | ThreeWayRate


@dataclass(frozen=True)
class Tally:
    """Votes of one question and set of methods, as arrays."""

    labels: tuple[str, ...]
    choices: NDArray[np.intp]
    comparisons: NDArray[np.intp]
    clusters: NDArray[np.intp]
    workers: NDArray[np.intp]
    counts: NDArray[np.int64]
    """`(comparisons, labels)`."""
    basis: Basis

    @property
    def cluster_of_comparison(self) -> NDArray[np.intp]:
        """The cluster of each comparison: itself, or its prompt where prompts have several."""
        first = np.zeros(len(self.counts), dtype=np.intp)
        first[self.comparisons] = self.clusters
        return first

    @property
    def shares(self) -> Floats:
        """Share of each label in each comparison, `(comparisons, labels)`."""
        return np.asarray(self.counts / self.counts.sum(axis=1, keepdims=True), dtype=np.float64)


def preference_rates(
    frame: pd.DataFrame, *, resamples: int, level: float, seed: int
) -> tuple[Rate, ...]:
    """Rates for every question and set of methods that met, questions in order of appearance.

    Args:
        frame: votes that count, as `votes.without_rejected` gives them.
        resamples: bootstrap resamples.
        level: confidence level of the intervals.
        seed: of the bootstrap. Each rate draws from its own stream, so that adding a question
            changes no other rate.

    Raises:
        VotesError: there are no votes.
    """
    if frame.empty:
        raise VotesError("there are no votes to count.")
    rates: list[Rate] = []
    for question, methods, tally in tallies(frame):
        rng = np.random.default_rng([seed, *_digest(question, methods)])
        drawn = _resampled(tally, resamples, rng)
        if len(methods) == 2:
            rates.append(_pair(question, methods, tally, drawn, level))
        else:
            rates.append(_three_way(question, methods, tally, drawn, level))
    return _adjusted(rates)


def tallies(frame: pd.DataFrame) -> Iterator[tuple[str, tuple[str, ...], Tally]]:
    """Question, methods and counted votes of every set of methods that met."""
    for question, methods, votes in _groups(frame):
        yield question, methods, _tally(votes, (*methods, NONE))


def _adjusted(rates: Sequence[Rate]) -> tuple[Rate, ...]:
    """The rates with p values adjusted for there being so many of them."""
    tested = [
        (number, rate.p_value)
        for number, rate in enumerate(rates)
        if isinstance(rate, PreferenceRate) and rate.p_value is not None
    ]
    found = list(rates)
    for (number, _), p in zip(tested, holm([p for _, p in tested]), strict=True):
        rate = found[number]
        if isinstance(rate, PreferenceRate):
            found[number] = replace(rate, p_holm=p)
    return tuple(found)


def _groups(frame: pd.DataFrame) -> Iterator[tuple[str, tuple[str, ...], pd.DataFrame]]:
    for question in frame["question"].unique():
        asked = frame[frame["question"] == question]
        for methods in asked["methods"].unique():
            yield str(question), tuple(methods.split(JOIN)), asked[asked["methods"] == methods]


def _tally(votes: pd.DataFrame, labels: tuple[str, ...]) -> Tally:
    comparisons = pd.factorize(votes["comparison"])[0]
    prompts = pd.factorize(votes["prompt_id"])[0]
    workers = pd.factorize(votes["worker"])[0]
    choices = np.asarray(pd.Index(labels).get_indexer(pd.Index(votes["choice"])), dtype=np.intp)
    if (choices < 0).any():
        unknown = votes["choice"].iloc[int(np.argmin(choices))]
        raise VotesError(f"unknown choice {unknown!r}. Known: {', '.join(labels)}.")
    counts = np.zeros((int(comparisons.max()) + 1, len(labels)), dtype=np.int64)
    np.add.at(counts, (comparisons, choices), 1)
    several = len(np.unique(prompts)) < len(counts)
    clusters = prompts if several else comparisons
    basis = Basis(
        votes=len(votes),
        comparisons=len(counts),
        workers=int(workers.max()) + 1,
        unit="prompt" if several else "comparison",
        units=int(clusters.max()) + 1,
    )
    return Tally(labels, choices, comparisons, clusters, workers, counts, basis)


def _resampled(tally: Tally, resamples: int, rng: np.random.Generator) -> Floats:
    first = tally.cluster_of_comparison
    sums = np.zeros((tally.basis.units, len(tally.labels)))
    np.add.at(sums, first, tally.shares)
    counts = np.bincount(first, minlength=tally.basis.units).astype(np.float64)
    return resampled_shares(sums, counts, resamples=resamples, rng=rng)


def _pair(
    question: str, methods: Sequence[str], tally: Tally, drawn: Floats, level: float
) -> PreferenceRate:
    wins, losses, ties = (int(count) for count in tally.counts.sum(axis=0))
    win, loss, tie = (float(share) for share in tally.shares.mean(axis=0))
    score = _score(tally, level)
    lead = tally.counts[:, 0] - tally.counts[:, 1]
    return PreferenceRate(
        question=question,
        method_a=methods[0],
        method_b=methods[1],
        wins=wins,
        losses=losses,
        ties=ties,
        basis=tally.basis,
        win=Share(win, percentile_interval(drawn[:, 0], level=level)),
        tie=Share(tie, percentile_interval(drawn[:, 2], level=level)),
        loss=Share(loss, percentile_interval(drawn[:, 1], level=level)),
        score=Share(score.mean, score.interval),
        score_resampled=percentile_interval(drawn[:, 0] + drawn[:, 2] / 2.0, level=level),
        no_interval=score.reason,
        effective_votes=score.effective_votes,
        p_value=score_p_value(
            score.mean, score.variance, min(tally.basis.units, tally.basis.workers) - 1
        ),
        p_holm=None,
        vote_score=(wins + ties / 2.0) / len(tally.choices),
        decided_win=_decided(win, loss, drawn, level),
        majority_wins=int((lead > 0).sum()),
        majority_ties=int((lead == 0).sum()),
        majority_losses=int((lead < 0).sum()),
    )


def _score(tally: Tally, level: float) -> ClusteredMean:
    worth = np.array([1.0, 0.0, 0.5])  # the first method, the second, no clear winner
    return two_way_interval(
        worth[tally.choices], tally.comparisons, tally.clusters, tally.workers, level=level
    )


def _decided(win: float, loss: float, drawn: Floats, level: float) -> Share | None:
    if win + loss == 0.0:
        return None
    decided = drawn[:, 0] + drawn[:, 1]
    shares = np.divide(drawn[:, 0], decided, out=np.full(len(drawn), np.nan), where=decided > 0)
    return Share(win / (win + loss), percentile_interval(shares, level=level))


def _three_way(
    question: str, methods: tuple[str, ...], tally: Tally, drawn: Floats, level: float
) -> ThreeWayRate:
    means = tally.shares.mean(axis=0)
    return ThreeWayRate(
        question=question,
        methods=methods,
        counts=tuple(int(count) for count in tally.counts.sum(axis=0)),
        basis=tally.basis,
        shares=tuple(
            Share(float(mean), percentile_interval(drawn[:, place], level=level))
            for place, mean in enumerate(means)
        ),
    )


def _digest(question: str, methods: Sequence[str]) -> bytes:
    # sorted: a study that names the methods the other way round draws the same resamples
    return hashlib.sha256("\n".join([question, *sorted(methods)]).encode()).digest()
