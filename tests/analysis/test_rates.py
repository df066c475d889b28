"""Preference rates: by hand, by property, and where votes are few."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analysis.rates import PreferenceRate, ThreeWayRate, preference_rates
from analysis.votes import VotesError

TINY = (
    Path(__file__).resolve().parents[3] / "shared/data/statistics/tiny_votes_hand_computable.json"
)
FrameOf = Callable[..., pd.DataFrame]
WORD = {"win": "cfg", "loss": "dnp", "tie": "none"}


def rate_of(frame: pd.DataFrame, seed: int = 1) -> PreferenceRate:
    (rate,) = preference_rates(frame, resamples=200, level=0.95, seed=seed)
    assert isinstance(rate, PreferenceRate)
    return rate


def test_sixteen_votes_by_hand(frame_of: FrameOf) -> None:
    if not TINY.exists():
        pytest.skip("the hand-computed votes are not on this machine")
    case = json.loads(TINY.read_text())
    votes = [(v["pair"], v["worker"], WORD[v["outcome"]]) for v in case["input"]["votes"]]
    expected = case["expected"]
    rate = rate_of(frame_of(votes))
    assert (rate.wins, rate.ties, rate.losses) == (8, 4, 4)
    assert [rate.win.value, rate.tie.value, rate.loss.value] == pytest.approx([0.5, 0.25, 0.25])
    assert rate.score.value == pytest.approx(expected["score_ties_half_pair_mean"], abs=1e-9)
    assert rate.decided_win is not None
    assert rate.decided_win.value == pytest.approx(expected["win_rate_excluding_ties"])
    assert (rate.majority.wins, rate.majority.ties, rate.majority.losses) == (3, 0, 1)
    assert (rate.basis.comparisons, rate.basis.workers) == (4, 5)
    # the guard is at work here: the variance by comparison is the largest of the three
    parts = expected["var_components_two_way"]
    assert rate.effective_votes == pytest.approx(16 * parts["V_vote"] / parts["V_pair"])


def test_four_votes_by_hand(frame_of: FrameOf) -> None:
    """c1: one win, one tie; c2: one loss, one win. Shares 1/2, 1/4, 1/4; score 5/8."""
    votes = [("c1", "u", "cfg"), ("c1", "v", "none"), ("c2", "u", "dnp"), ("c2", "v", "cfg")]
    rate = rate_of(frame_of(votes))
    assert (rate.win.value, rate.tie.value, rate.loss.value) == (0.5, 0.25, 0.25)
    assert rate.score.value == 0.625
    assert (rate.majority.wins, rate.majority.ties, rate.majority.losses) == (1, 1, 0)


def test_every_comparison_counts_alike(frame_of: FrameOf) -> None:
    """c1: four wins; c2: one loss. By comparison 1/2, by vote 4/5."""
    votes = [("c1", w, "cfg") for w in "abcd"] + [("c2", "a", "dnp")]
    rate = rate_of(frame_of(votes))
    assert rate.score.value == 0.5
    assert rate.vote_score == 0.8


votes_strategy = st.lists(
    st.tuples(st.sampled_from("pqrst"), st.sampled_from("abcdef"), st.sampled_from([*WORD])),
    min_size=1, max_size=40, unique_by=lambda vote: vote[:2],
)  # fmt: skip


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(votes=votes_strategy)
def test_shares_sum_to_one_and_swapping_mirrors(frame_of: FrameOf, votes: list) -> None:
    named = [(c, w, WORD[outcome]) for c, w, outcome in votes]
    rate, mirror = rate_of(frame_of(named)), rate_of(frame_of(named, methods="dnp|cfg"))
    assert rate.win.value + rate.tie.value + rate.loss.value == pytest.approx(1)
    assert rate.score.value == pytest.approx(1 - mirror.score.value)
    assert (rate.wins, rate.losses) == (mirror.losses, mirror.wins)
    assert rate.majority.wins == mirror.majority.losses
    for ours, theirs in (
        (rate.score.interval, mirror.score.interval),
        (rate.score_resampled, mirror.score_resampled),
    ):
        assert (ours is None) == (theirs is None)
        if ours and theirs:
            assert 0 <= ours.low <= ours.high <= 1
            assert ours.low == pytest.approx(1 - theirs.high, abs=1e-9)
    assert not any(math.isnan(x) for x in _numbers(asdict(rate)))


def _numbers(value: object) -> list[float]:
    if isinstance(value, dict):
        return [number for inner in value.values() for number in _numbers(inner)]
    return [value] if isinstance(value, float) else []


def test_all_ties_is_even_without_an_interval(frame_of: FrameOf) -> None:
    rate = rate_of(frame_of([(c, w, "none") for c in "pq" for w in "ab"]))
    assert rate.score.value == 0.5
    assert rate.score.interval is None and rate.no_interval
    assert rate.decided_win is None


def test_the_seed_decides_the_bootstrap(frame_of: FrameOf) -> None:
    votes = [(c, w, WORD[[*WORD][(i * 7 + j) % 3]]) for i, c in enumerate("pqrstu")
             for j, w in enumerate("abc")]  # fmt: skip
    votes[0] = ("p", "a", "cfg")
    votes[1] = ("p", "b", "cfg")
    frame = frame_of(votes)
    assert rate_of(frame, 1) == rate_of(frame, 1)
    assert rate_of(frame, 1).score_pigeonhole != rate_of(frame, 2).score_pigeonhole


def test_seeds_of_one_prompt_are_resampled_together(frame_of: FrameOf) -> None:
    votes = [(c, w, "cfg" if c < "r" else "dnp") for c in "pqrs" for w in "ab"]
    frame = frame_of(votes)
    frame["prompt_id"] = frame["comparison"].map({"p": "1", "q": "1", "r": "2", "s": "2"})
    rate = rate_of(frame)
    assert (rate.basis.unit, rate.basis.units, rate.basis.comparisons) == ("prompt", 2, 4)
    assert rate.score_resampled is not None
    assert (rate.score_resampled.low, rate.score_resampled.high) == (0.0, 1.0)


def test_three_images(frame_of: FrameOf) -> None:
    votes = [("p", "a", "cfg"), ("p", "b", "answer"), ("q", "a", "none"), ("q", "b", "answer")]
    frame = frame_of(votes, methods="cfg|dnp|answer")
    (rate,) = preference_rates(frame, resamples=100, level=0.95, seed=0)
    assert isinstance(rate, ThreeWayRate)
    assert rate.counts == (1, 0, 2, 1)
    assert [share.value for share in rate.shares] == [0.25, 0.0, 0.5, 0.25]


def test_two_of_three_images_are_tested_like_two(frame_of: FrameOf) -> None:
    """Where nobody chose the third, the contrast of the others is the score of a pair."""
    rng = np.random.default_rng(4)
    choices = rng.choice(["cfg", "dnp", "none"], p=[0.5, 0.3, 0.2], size=(30, 10))
    votes = [(f"c{n}", f"w{w}", str(choices[n, w])) for n in range(30) for w in range(10)]
    (pair,) = preference_rates(frame_of(votes), resamples=100, level=0.95, seed=0)
    three = frame_of(votes, methods="cfg|dnp|answer")
    (rate,) = preference_rates(three, resamples=100, level=0.95, seed=0)
    assert isinstance(rate, ThreeWayRate) and isinstance(pair, PreferenceRate)
    implied = rate.pairs[0]
    assert implied.difference.value == pytest.approx(2 * pair.score.value - 1)
    assert implied.t == pytest.approx(pair.tests.t)
    assert implied.decided_win == pair.decided_win
    # One family: three contrasts of one question, of which the smallest p is tripled.
    p_values = [each.t for each in rate.pairs]
    assert min(each.holm or 1 for each in rate.pairs) == pytest.approx(3 * min(p_values))
    assert rate.pairs[1].difference.value == pytest.approx(rate.shares[0].value)


def test_no_votes_is_an_error(frame_of: FrameOf) -> None:
    empty = frame_of([("p", "a", "cfg")]).iloc[:0]
    with pytest.raises(VotesError, match="no votes"):
        preference_rates(empty, resamples=100, level=0.95, seed=0)
