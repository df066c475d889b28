"""P values and Wilson's interval against published values and other libraries."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from analysis.claims import (
    benjamini_hochberg,
    holm,
    permutation_p_value,
    score_p_value,
    sign_p_value,
    tost_p_value,
)
from analysis.intervals import clustered_share, two_way_interval, wilson
from tests.analysis.conftest import published

P_VALUES = st.lists(st.floats(0.0, 1.0), min_size=1, max_size=30)


@settings(max_examples=50)  # statsmodels takes 40 ms a call
@given(P_VALUES)
def test_adjusted_p_values_are_statsmodels(p_values: list[float]) -> None:
    for ours, method in ((holm, "holm"), (benjamini_hochberg, "fdr_bh")):
        expected = multipletests(p_values, method=method)[1]
        assert ours(p_values) == pytest.approx(list(expected), rel=1e-12, abs=1e-12)


def test_the_sign_test_is_the_binomial_test() -> None:
    assert sign_p_value(9, 3) == pytest.approx(stats.binomtest(9, 12).pvalue)
    assert sign_p_value(0, 0) in (None, 1.0)


def test_the_permutation_test_counts_every_exchange() -> None:
    leads = np.array([0.4, 0.2, 0.6, -0.1, 0.3, 0.2, 0.5, -0.2])
    sums = [abs(np.dot(signs, leads)) for signs in product((1, -1), repeat=len(leads))]
    exact = np.mean(np.array(sums) >= abs(leads.sum()) - 1e-12)
    found = permutation_p_value(leads, rng=np.random.default_rng(0))
    assert found == pytest.approx(exact, abs=0.01)
    assert permutation_p_value(-leads, rng=np.random.default_rng(1)) == pytest.approx(
        exact, abs=0.01
    )


def test_the_score_test_is_students() -> None:
    values = np.array([0.2, 0.6, 0.9, 0.7, 0.8])
    variance = float(values.var(ddof=1) / 5)
    expected = stats.ttest_1samp(values, 0.5).pvalue
    assert score_p_value(float(values.mean()), variance, 4) == pytest.approx(expected)


def test_equivalence_is_the_published_one() -> None:
    case = published("tost_one_proportion")
    for name, expected in case["expected"].items():
        wins, votes = map(int, name.split("/"))
        share = wins / votes
        # So many degrees of freedom that t is the normal distribution of the example.
        found = tost_p_value(share, share * (1 - share) / votes, 10**9, 0.05)
        assert found == pytest.approx(expected["wald_tost_p"], abs=1e-6), name


def test_wilson_is_newcombes_table() -> None:
    case = published("proportion_ci_newcombe_1998")
    for (wins, votes), (low, high) in zip(
        case["input"]["k_n"], case["expected"]["wilson"], strict=True
    ):
        found = wilson(wins / votes, votes, float(stats.norm.ppf(0.975)), "Wilson")
        assert (found.low, found.high) == pytest.approx((low, high), abs=6e-5)


def test_a_share_of_single_comparisons_is_nearly_wilsons() -> None:
    values = np.repeat([1.0, 0.0], [81, 182])
    found = clustered_share(values, np.arange(263), level=0.95).interval
    assert found is not None
    assert (found.low, found.high) == pytest.approx((0.2553, 0.3662), abs=5e-4)


def test_the_variance_of_sixteen_votes_by_hand() -> None:
    case = published("tiny_votes_hand_computable")
    votes = case["input"]["votes"]
    values = np.array([{"win": 1.0, "tie": 0.5, "loss": 0.0}[vote["outcome"]] for vote in votes])
    pairs = np.array([int(vote["pair"][1:]) - 1 for vote in votes])
    workers = np.array(["abcde".index(vote["worker"]) for vote in votes])
    found = two_way_interval(values, pairs, pairs, workers, level=0.95)
    parts = case["expected"]["var_components_two_way"]
    assert found.mean == pytest.approx(case["expected"]["score_ties_half_pair_mean"])
    # Two ways come to less than one way alone here: the guard takes the larger.
    assert parts["V_two_way"] < parts["V_pair"]
    assert found.variance == pytest.approx(parts["V_pair"], rel=1e-12)
