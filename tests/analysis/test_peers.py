"""Estimators against independent libraries on random votes."""

from __future__ import annotations

import evalica
import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from analysis.agreement import krippendorff_alpha
from analysis.intervals import Clusters, two_way_interval, wilson
from analysis.ranking import Cell, fit

COUNTS = arrays.arrays(
    np.int64, st.tuples(st.integers(2, 12), st.integers(2, 4)), elements=st.integers(0, 4)
)


@settings(max_examples=60, deadline=None)
@given(counts=COUNTS, distance=st.sampled_from(["nominal", "ordinal"]))
def test_alpha_is_evalicas(counts: np.ndarray, distance: str) -> None:
    value, _ = krippendorff_alpha(counts, ordered=distance == "ordinal")
    assume(value is not None)
    units = [np.repeat(np.arange(len(row)), row).astype(float) for row in counts]
    ratings = pd.DataFrame({number: pd.Series(unit) for number, unit in enumerate(units)})
    assert value == pytest.approx(evalica.alpha(ratings, distance=distance).alpha, abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), methods=st.integers(3, 6))
def test_davidsons_strengths_are_evalicas(seed: int, methods: int) -> None:
    rng = np.random.default_rng(seed)
    pairs = [(i, j) for i in range(methods) for j in range(i + 1, methods)]
    cells = [Cell(pair, rng.integers(1, 30, 3).astype(float)) for pair in pairs]
    logs = np.r_[0.0, fit(cells, methods).values[: methods - 1]]
    ours = np.exp(logs) / np.exp(logs).sum()

    kinds = [evalica.Winner.X, evalica.Winner.Y, evalica.Winner.Draw]
    counts = np.concatenate([cell.counts for cell in cells])
    found = evalica.newman(
        [pair[0] for pair in pairs for _ in kinds],
        [pair[1] for pair in pairs for _ in kinds],
        kinds * len(pairs),
        weights=list(counts),
        tolerance=1e-12,
        limit=100_000,
    )
    # It stops when its parameter of ties stands still, which it may do before the strengths.
    assume(found.iterations > 5)
    scores = found.scores.reindex(range(methods)).to_numpy()
    assert ours == pytest.approx(scores / scores.sum(), abs=1e-7)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), comparisons=st.integers(3, 30), workers=st.integers(3, 15))
def test_the_variance_is_statsmodels(seed: int, comparisons: int, workers: int) -> None:
    """Unequal votes on comparisons, several comparisons a prompt, the guard included."""
    rng = np.random.default_rng(seed)
    voted = rng.random((comparisons, workers)) < 0.6
    voted[:, 0] = True
    voted[0] = True
    of, by = np.nonzero(voted)
    prompts = rng.permutation(comparisons) // 2
    prompts = np.unique(prompts, return_inverse=True)[1]
    clusters = prompts[of]
    values = rng.choice([0.0, 0.5, 1.0], len(of))
    result = two_way_interval(values, of, clusters, by, level=0.95)

    weights = Clusters(of, clusters, by).weights()
    model = sm.WLS(values, np.ones(len(of)), weights=weights)
    both, one, other = (
        float(model.fit(cov_type="cluster", cov_kwds={"groups": groups}).cov_params()[0, 0])
        for groups in (np.column_stack([clusters, by]), clusters, by)
    )
    assert result.mean == pytest.approx(model.fit().params[0])
    # Where a worker judged two comparisons of a prompt, statsmodels takes their intersection for
    # the smallest cluster; ours takes the vote, as the protocol's estimator does.
    if len(np.unique(clusters * workers + by)) == len(of):
        assert result.variance == pytest.approx(max(both, one, other), rel=1e-8)
    else:
        assert result.variance >= max(one, other) * (1 - 1e-8)


@given(won=st.integers(0, 200), more=st.integers(0, 200), level=st.sampled_from([0.8, 0.95, 0.99]))
def test_wilson_is_statsmodels(won: int, more: int, level: float) -> None:
    assume(won + more > 0)
    votes = won + more
    found = wilson(won / votes, votes, float(stats.norm.ppf(0.5 + level / 2)), "Wilson")
    low, high = proportion_confint(won, votes, alpha=1 - level, method="wilson")
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-12)
