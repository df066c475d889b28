"""Simulated votes have the truth that they say, and the intervals hold it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from analysis.intervals import naive_interval, two_way_interval
from analysis.power import PowerError, power
from analysis.rates import WORTH
from analysis.simulate import Crowd, lead_for, simulate, threshold, true_score
from clearwinner.cli import main

CROWD = Crowd(comparisons=4000, lead=0.4, left=0.3, careless=0.1)


def test_many_votes_come_to_the_expected_score_and_ties() -> None:
    rng = np.random.default_rng(0)
    drawn = [simulate(replace(CROWD, workers=400), rng) for _ in range(5)]
    choices = np.concatenate([each.choices for each in drawn])
    assert WORTH[choices].mean() == pytest.approx(true_score(CROWD), abs=0.01)
    assert (choices == 2).mean() == pytest.approx(CROWD.ties, abs=0.01)
    left = np.concatenate([each.first_left for each in drawn])
    by_side = WORTH[choices][left].mean() - WORTH[choices][~left].mean()
    assert by_side > 0.05, "the left place is favoured"


def test_each_worker_votes_once_on_a_comparison_and_sides_balance() -> None:
    drawn = simulate(replace(CROWD, comparisons=50), np.random.default_rng(1))
    pairs = set(zip(drawn.of.comparisons, drawn.of.workers, strict=True))
    assert len(pairs) == 500
    assert (drawn.first_left.reshape(50, 10).sum(axis=1) == 5).all()


@pytest.mark.parametrize("score", [0.3, 0.5, 0.55, 0.8])
def test_the_lead_for_a_score_gives_it(score: float) -> None:
    crowd = replace(CROWD, lead=lead_for(CROWD, score))
    assert true_score(crowd) == pytest.approx(score, abs=1e-6)


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(ValueError, match=r"ties = 1\.0"):
        Crowd(comparisons=5, ties=1.0)
    with pytest.raises(ValueError, match="need as many workers, not 3"):
        Crowd(comparisons=5, workers=3)
    with pytest.raises(ValueError, match="cannot be reached with 50% careless"):
        lead_for(Crowd(comparisons=5, careless=0.5), 0.9)


@pytest.mark.slow
def test_the_headline_interval_holds_the_truth_and_the_naive_one_does_not() -> None:
    crowd = Crowd(comparisons=100, lead=0.3)
    h, truth, held, naive = threshold(crowd), true_score(crowd), 0, 0
    for number in range(500):
        votes = simulate(crowd, np.random.default_rng([3, number]), h=h)
        of, values = votes.of, WORTH[votes.choices]
        found = two_way_interval(values, of.comparisons, of.clusters, of.workers, level=0.95)
        assert found.interval is not None
        held += found.interval.low <= truth <= found.interval.high
        plain = naive_interval(values, level=0.95)
        assert plain is not None
        naive += plain.low <= truth <= plain.high
    assert 0.93 <= held / 500 <= 0.97
    assert naive / 500 < 0.85


def test_power_rises_with_comparisons_and_with_the_difference() -> None:
    crowd = {"workers": 40, "ties": 0.24}
    small = power(crowd, score=0.6, votes=[10], sizes=[10, 100], studies=60)
    assert small.powers[0].found.value < 0.6 < 0.9 < small.powers[1].found.value
    assert small.powers[0].half_width > 2 * small.powers[1].half_width
    assert small.needed[10] is not None and 10 < small.needed[10] <= 100
    none = power(crowd, score=0.501, votes=[10], sizes=[50], studies=200)
    assert none.powers[0].found.value < 0.08
    assert none.needed[10] is None
    with pytest.raises(PowerError, match=r"score = 0\.4"):
        power(crowd, score=0.4)


def test_the_command_prints_a_table_and_a_plot(tmp_path: Path) -> None:
    plot = tmp_path / "power.svg"
    options = ["power", "--comparisons", "20,60", "--votes", "5", "--studies", "30"]
    found = CliRunner().invoke(main, [*options, "--plot", str(plot)])
    assert found.exit_code == 0, found.output
    assert "5 votes a comparison:" in found.output
    assert plot.stat().st_size > 1000
    for wrong in (["--votes", "x"], ["--workers", "3"], ["--alpha", "2"], ["--plot", "a.b"]):
        refused = CliRunner().invoke(main, [*options, *wrong])
        assert refused.exit_code == 2, wrong
        assert "error:" in refused.output
