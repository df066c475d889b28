"""Intervals: against statsmodels, by simulation, and where the votes allow none."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm

from analysis.intervals import two_way_interval
from analysis.resampling import percentile_interval, resampled_shares


def simulated_votes(rng: np.random.Generator, comparisons: int = 60, workers: int = 25):
    """Ten votes on each comparison; comparisons and workers both pull the votes their way."""
    pull, taste = rng.normal(0, 0.8, comparisons), rng.normal(0, 0.5, workers)
    of = np.repeat(np.arange(comparisons), 10)
    by = np.concatenate([rng.choice(workers, 10, replace=False) for _ in range(comparisons)])
    by = np.unique(by, return_inverse=True)[1]
    values = (rng.normal(0, 1, len(of)) + pull[of] + taste[by] > 0).astype(float)
    return values, of, by


def test_variance_equals_statsmodels_two_way_clusters() -> None:
    values, of, by = simulated_votes(np.random.default_rng(1))
    result = two_way_interval(values, of, of, by, level=0.95)
    groups = np.column_stack([of, by])
    fit = sm.OLS(values, np.ones(len(values))).fit(
        cov_type="cluster", cov_kwds={"groups": groups, "use_correction": True}
    )
    # statsmodels multiplies each part by (n-1)/(n-k) too, which is 1 for a mean
    assert result.mean == pytest.approx(fit.params[0])
    assert np.sqrt(result.variance) == pytest.approx(fit.bse[0], rel=1e-9)


@pytest.mark.slow
def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(2)
    held = 0
    for _ in range(400):
        values, of, by = simulated_votes(rng)
        interval = two_way_interval(values, of, of, by, level=0.95).interval
        assert interval is not None
        held += interval.low <= 0.5 <= interval.high
    # nominal .95; three standard errors of 400 trials are .033
    assert 0.91 <= held / 400 <= 0.985


def test_near_the_ends_the_interval_stays_inside() -> None:
    values = np.ones(60)
    values[[3, 17]] = 0.0
    of, by = np.repeat(np.arange(6), 10), np.tile(np.arange(10), 6)
    result = two_way_interval(values, of, of, by, level=0.95)
    assert result.interval is not None
    assert result.interval.method == "two-way clustered t, logit scale"
    assert 0 < result.interval.low < result.mean < result.interval.high < 1


@pytest.mark.parametrize(
    ("values", "of", "by", "reason"),
    [
        ([1.0, 0.0, 0.5], [0, 0, 0], [0, 1, 2], "one comparison"),
        ([1.0, 0.0, 0.5], [0, 1, 2], [0, 0, 0], "one worker"),
        ([0.5, 0.5, 0.5, 0.5], [0, 0, 1, 1], [0, 1, 0, 1], "no spread"),
        ([1.0], [0], [0], "one comparison"),
    ],
)
def test_no_interval_where_votes_allow_none(values, of, by, reason: str) -> None:
    codes = np.array(of)
    result = two_way_interval(np.array(values), codes, codes, np.array(by), level=0.95)
    assert result.interval is None
    assert reason in result.reason
    assert np.isfinite(result.mean)


def test_resamples_sum_to_one_and_repeat_by_seed() -> None:
    sums = np.random.default_rng(0).dirichlet([2, 2, 1], size=30)
    first = resampled_shares(sums, np.ones(30), resamples=700, rng=np.random.default_rng(9))
    again = resampled_shares(sums, np.ones(30), resamples=700, rng=np.random.default_rng(9))
    other = resampled_shares(sums, np.ones(30), resamples=700, rng=np.random.default_rng(8))
    assert np.allclose(first.sum(axis=1), 1)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert first.mean(axis=0) == pytest.approx(sums.mean(axis=0), abs=0.01)


def test_bootstrap_spread_is_that_of_the_mean() -> None:
    sums = np.random.default_rng(0).dirichlet([2, 2, 1], size=50)
    drawn = resampled_shares(sums, np.ones(50), resamples=4000, rng=np.random.default_rng(1))
    assert drawn.std(axis=0) == pytest.approx(sums.std(axis=0) / np.sqrt(50), rel=0.05)


def test_a_quantity_that_is_often_undefined_has_no_interval() -> None:
    drawn = np.linspace(0.2, 0.6, 1000)
    assert percentile_interval(drawn, level=0.95) is not None
    drawn[:100] = np.nan
    assert percentile_interval(drawn, level=0.95) is None
    assert percentile_interval(np.full(100, 0.5), level=0.95) is None
