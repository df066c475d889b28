"""Preference rates: what share of votes each method won, for every question."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import pandas as pd

from analysis.claims import (
    benjamini_hochberg,
    holm,
    permutation_p_value,
    score_p_value,
    sign_p_value,
    tost_p_value,
)
from analysis.intervals import (
    ClusteredMean,
    Floats,
    Interval,
    Share,
    clustered_share,
    difference_interval,
    naive_interval,
    share_interval,
    two_way_interval,
)
from analysis.resampling import percentile_interval, pigeonhole_interval
from analysis.tally import Basis, Group, Tallies, Tally, tallies
from analysis.votes import VotesError

WORTH = np.array([1.0, 0.0, 0.5])
"""Of the first method, the second, and no clear winner."""


@dataclass(frozen=True)
class Majority:
    """Comparisons by what most of their votes said."""

    wins: int
    """Comparisons in which the first method had more votes than the second."""
    ties: int
    """As many."""
    losses: int
    win: Share
    """Share of comparisons that the first method won; Wilson, by cluster."""


@dataclass(frozen=True)
class Tests:
    """P values of "the score is even", two-sided, and of equivalence; None where undefined."""

    t: float | None
    """Two-way clustered t: the one that goes with the headline interval."""
    holm: float | None
    """`t` adjusted by Holm's method for all claims of the study, see `claims`."""
    benjamini_hochberg: float | None
    """`t` adjusted for the false discovery rate: for exploring, not for claims."""
    sign: float | None
    """Sign test on the comparisons' majorities."""
    permutation: float | None
    """The two methods' names exchanged at random within each comparison."""
    equivalence: float | None
    """Two one-sided tests against the study's margin; None without a margin."""


@dataclass(frozen=True)
class PreferenceRate:
    """Two methods that met, and one question. Every comparison counts alike.

    Shares are means over comparisons of the share of each comparison's votes; where all
    comparisons have equally many votes they are the shares of all votes.
    """

    question: str
    method_a: str
    method_b: str
    part: str
    """"category" or "prompt_set" where only some prompts are counted."""
    value: str
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
    no_interval: str
    """Why the score has no interval; empty when it has one."""
    effective_votes: float | None
    score_resampled: Interval | None
    """A check: the bootstrap over comparisons."""
    score_pigeonhole: Interval | None
    """A check: comparisons and workers resampled."""
    score_naive: Interval | None
    """As if votes were independent: too narrow, shown to say by how much."""
    tests: Tests
    vote_score: float
    """The score with every vote counting alike, whatever its comparison."""
    decided_win: Share | None
    """Win share of the votes that named a winner; None where none did."""
    times: Share | None
    """How many times as many votes the preferred method had; None where the other had none."""
    majority: Majority

    @property
    def methods(self) -> tuple[str, str]:
        """Both."""
        return self.method_a, self.method_b


@dataclass(frozen=True)
class ImpliedPair:
    """Two of three methods that were shown together."""

    method_a: str
    method_b: str
    difference: Share
    """Share of votes for the first less that for the second."""
    decided_win: Share | None
    """Share of the first among the votes for either (Luce's choice axiom)."""
    t: float | None
    """P value of "the difference is 0", two-way clustered t; None where undefined."""
    holm: float | None = None
    """`t` adjusted by Holm's method, in one family with the scores of pairs."""
    benjamini_hochberg: float | None = None
    """`t` adjusted for the false discovery rate."""


@dataclass(frozen=True)
class ThreeWayRate:
    """Three methods that met side by side, and one question."""

    question: str
    methods: tuple[str, ...]
    part: str
    value: str
    counts: tuple[int, ...]
    """Votes for each method, then for no clear winner."""
    basis: Basis
    shares: tuple[Share, ...]
    """Of each method, then of no clear winner; two-way clustered, Wilson."""
    pairs: tuple[ImpliedPair, ...]


Rate = PreferenceRate | ThreeWayRate
Claim = TypeVar("Claim", Tests, ImpliedPair)


@dataclass(frozen=True)
class Options:
    """How rates are made."""

    resamples: int
    level: float
    seed: int
    """Of the resampling. Each rate draws from its own stream, so that adding a question changes
    no other rate."""
    margin: float | None = None
    """Scores within 0.5 ± margin count as equivalent."""


def preference_rates(
    votes: pd.DataFrame | Tallies,
    *,
    resamples: int,
    level: float,
    seed: int,
    margin: float | None = None,
    part: str = "",
) -> tuple[Rate, ...]:
    """Rates for every question and set of methods that met, in order of appearance.

    Args:
        votes: that count, as `votes.without_rejected` gives them, or their tallies.
        resamples: bootstrap resamples.
        level: confidence level of the intervals.
        seed: of the resampling.
        margin: of equivalence, fixed before the study.
        part: "category" or "prompt_set" to count each of its values apart.

    Raises:
        VotesError: there are no votes.
    """
    if len(votes) == 0:
        raise VotesError("there are no votes to count.")
    options = Options(resamples, level, seed, margin)
    rates: list[Rate] = []
    for group, tally in tallies(votes, part):
        rate = _pair if len(group.methods) == 2 else _three_way
        rates.append(rate(group, tally, options))
    return _adjusted(rates)


def score_of(tally: Tally, level: float, weights: Floats | None = None) -> ClusteredMean:
    """The score of the first of two methods with its headline interval.

    Args:
        tally: of two methods.
        level: confidence level.
        weights: of the votes within their comparison; all alike when not given.
    """
    of = tally.of
    return two_way_interval(
        WORTH[tally.choices], of.comparisons, of.clusters, of.workers, level=level, weights=weights
    )


def claims(rates: Iterable[Rate]) -> Iterator[Tests | ImpliedPair]:
    """What is tested: the score of each pair, and each two of three methods."""
    for rate in rates:
        if isinstance(rate, PreferenceRate):
            yield rate.tests
        else:
            yield from rate.pairs


def _adjusted(rates: Sequence[Rate]) -> tuple[Rate, ...]:
    """The rates with p values adjusted for there being so many claims."""
    p_values = [claim.t for claim in claims(rates) if claim.t is not None]
    adjusted = iter(zip(holm(p_values), benjamini_hochberg(p_values), strict=True))

    def told(claim: Claim) -> Claim:
        if claim.t is None:
            return claim
        strict, exploring = next(adjusted)
        return replace(claim, holm=strict, benjamini_hochberg=exploring)

    return tuple(
        replace(rate, tests=told(rate.tests))
        if isinstance(rate, PreferenceRate)
        else replace(rate, pairs=tuple(told(pair) for pair in rate.pairs))
        for rate in rates
    )


def _pair(group: Group, tally: Tally, options: Options) -> PreferenceRate:
    rng = np.random.default_rng([options.seed, *_digest(group)])
    wins, losses, ties = (int(count) for count in tally.counts.sum(axis=0))
    score = score_of(tally, options.level)
    effective = score.effective_votes or float(tally.basis.units)
    win, loss, tie = (_share(tally, label, options.level, effective) for label in range(3))
    decided = _decided(tally, 0, 1, options.level, effective)
    drawn = tally.resampled(options.resamples, rng)
    values = WORTH[tally.choices]
    return PreferenceRate(
        question=group.question,
        method_a=group.methods[0],
        method_b=group.methods[1],
        part=group.part,
        value=group.value,
        wins=wins,
        losses=losses,
        ties=ties,
        basis=tally.basis,
        win=win,
        tie=tie,
        loss=loss,
        score=Share(score.mean, score.interval),
        no_interval=score.reason,
        effective_votes=score.effective_votes,
        score_resampled=percentile_interval(drawn @ WORTH, level=options.level),
        score_pigeonhole=pigeonhole_interval(values, tally.of, level=options.level, rng=rng),
        score_naive=naive_interval(values, level=options.level),
        tests=_tests(tally, score, options, rng),
        vote_score=(wins + ties / 2.0) / len(tally.choices),
        decided_win=decided,
        times=_times(decided),
        majority=_majority(tally, options.level),
    )


def _share(tally: Tally, label: int, level: float, effective: float) -> Share:
    chosen = (tally.choices == label).astype(np.float64)
    every = np.ones(len(chosen))
    found = share_interval(chosen, every, tally.of, level=level, effective=effective)
    assert found is not None  # there are votes
    return found


def _decided(tally: Tally, one: int, other: int, level: float, effective: float) -> Share | None:
    """Share of one label among the votes for either of two."""
    first = (tally.choices == one).astype(np.float64)
    either = first + (tally.choices == other)
    counted = max(1.0, effective * float(either.mean()))
    return share_interval(first, either, tally.of, level=level, effective=counted)


def _times(decided: Share | None) -> Share | None:
    """From the share among decided votes: r / (1 - r), of the method that has more."""
    if decided is None or decided.value in (0.0, 1.0):
        return None
    low, high = (decided.interval.low, decided.interval.high) if decided.interval else (0.0, 1.0)
    value = decided.value
    if value < 0.5:
        value, low, high = 1 - value, 1 - high, 1 - low
    ratio = value / (1 - value)
    if decided.interval is None or high >= 1.0:
        return Share(ratio, None)
    return Share(ratio, Interval(low / (1 - low), high / (1 - high), decided.interval.method))


def _majority(tally: Tally, level: float) -> Majority:
    lead = tally.counts[:, 0] - tally.counts[:, 1]
    won = (lead > 0).astype(np.float64)
    return Majority(
        int((lead > 0).sum()),
        int((lead == 0).sum()),
        int((lead < 0).sum()),
        clustered_share(won, tally.cluster_of_comparison, level=level),
    )


def _tests(tally: Tally, score: ClusteredMean, options: Options, rng: np.random.Generator) -> Tests:
    freedom = tally.of.smallest - 1
    lead = tally.counts[:, 0] - tally.counts[:, 1]
    shares = (lead / tally.counts.sum(axis=1)).astype(np.float64)
    of_cluster = np.bincount(tally.cluster_of_comparison, weights=shares).astype(np.float64)
    return Tests(
        t=score_p_value(score.mean, score.variance, freedom),
        holm=None,
        benjamini_hochberg=None,
        sign=sign_p_value(int((lead > 0).sum()), int((lead < 0).sum())),
        permutation=permutation_p_value(of_cluster, rng=rng),
        equivalence=None
        if options.margin is None
        else tost_p_value(score.mean, score.variance, freedom, options.margin),
    )


def _three_way(group: Group, tally: Tally, options: Options) -> ThreeWayRate:
    names, level = group.methods, options.level
    effective = float(tally.basis.units)
    return ThreeWayRate(
        question=group.question,
        methods=names,
        part=group.part,
        value=group.value,
        counts=tuple(int(count) for count in tally.counts.sum(axis=0)),
        basis=tally.basis,
        shares=tuple(_share(tally, label, level, effective) for label in range(4)),
        pairs=tuple(
            _implied(names, tally, (one, other), level, effective)
            for one, other in ((0, 1), (0, 2), (1, 2))
        ),
    )


def _implied(
    names: Sequence[str], tally: Tally, two: tuple[int, int], level: float, effective: float
) -> ImpliedPair:
    one, other = two
    terms = (tally.choices == one).astype(np.float64) - (tally.choices == other)
    value = float(np.sum(tally.of.weights() * terms))
    difference, variance = difference_interval(terms, value, tally.of, level=level)
    return ImpliedPair(
        names[one],
        names[other],
        difference,
        _decided(tally, one, other, level, effective),
        # A difference d of shares is a score of (1 + d) / 2.
        t=score_p_value((1 + value) / 2, variance / 4, tally.of.smallest - 1),
    )


def _digest(group: Group) -> bytes:
    # sorted: a study that names the methods the other way round draws the same resamples
    names = [group.question, *sorted(group.methods), group.part, group.value]
    return hashlib.sha256("\n".join(names).encode()).digest()
