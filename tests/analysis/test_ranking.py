"""Strengths: against published fits, statsmodels, and where there are none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from analysis.ranking import Cell, NotRanked, fit, rank
from tests.analysis.conftest import published, vote_frame


def pudding(name: str) -> tuple[list[Cell], dict[str, Any]]:
    case = published(name)
    cells = [
        Cell((i - 1, j - 1), np.array([won, lost, tied], dtype=float))
        for i, j, won, lost, tied in case["input"]["rows"]
    ]
    return cells, case["expected"]


def worths(values: np.ndarray, methods: int) -> np.ndarray:
    worth = np.exp(np.concatenate([[0.0], values[: methods - 1]]))
    return worth / worth.sum()


def test_davidson_is_the_published_one() -> None:
    cells, expected = pudding("davidson_1970_pudding")
    found = fit(cells, 6)
    assert worths(found.values, 6) == pytest.approx(expected["worth_sum1"], abs=2e-4)
    assert np.exp(found.values[found.names.index("tie:2")]) == pytest.approx(0.7468, abs=2e-4)
    errors = np.sqrt(np.diag(np.linalg.inv(found.information)))[:5]
    assert errors == pytest.approx(expected["se_log_worth"][1:], abs=5e-4)
    assert found.log_likelihood == pytest.approx(-809.7095100902874, abs=1e-6)


def test_rao_and_kupper_is_the_reference() -> None:
    cells, expected = pudding("rao_kupper_pudding")
    found = fit(cells, 6, model="rao-kupper")
    assert worths(found.values, 6) == pytest.approx(expected["rao_kupper_worth_sum1"], abs=1e-4)
    assert np.exp(found.values[-1]) == pytest.approx(expected["theta"], abs=1e-4)
    assert found.log_likelihood == pytest.approx(expected["loglik"], abs=1e-6)


def test_the_place_is_agrestis_home_advantage() -> None:
    case = published("bt_agresti_baseball_1987")
    names = sorted({row[0] for row in case["input"]["rows"]})
    cells = [
        Cell((names.index(home), names.index(away)), np.array([won, lost, 0.0]))
        for home, away, won, lost in case["input"]["rows"]
    ]
    found = fit(cells, len(names))
    expected = case["expected"]
    assert found.values[found.names.index("place:2:0")] == pytest.approx(
        expected["model2_home_advantage"], abs=6e-4
    )
    assert sorted(worths(found.values, len(names))) == pytest.approx(
        expected["model2_abilities_sum1_sorted_3dp"], abs=6e-4
    )


def drawn_frame(rng: np.random.Generator, logs: dict[str, float]) -> pd.DataFrame:
    frames = []
    for first, second in (("a", "b"), ("a", "c"), ("b", "c")):
        votes = []
        for number in range(80):
            for worker in rng.choice(30, 8, replace=False):
                worth = np.exp([logs[first], logs[second], (logs[first] + logs[second]) / 2 - 0.5])
                choice = rng.choice([first, second, "none"], p=worth / worth.sum())
                votes.append((f"{first}{second}{number}", f"w{worker}", str(choice)))
        frame = vote_frame(votes, methods=f"{first}|{second}")
        swapped = rng.random(len(frame)) < 0.5
        frame.loc[swapped, "places"] = f"{second}|{first}"
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)


def test_it_finds_planted_strengths_and_no_effect_of_the_place() -> None:
    logs = {"a": 0.6, "b": 0.0, "c": -0.6}
    found = rank(drawn_frame(np.random.default_rng(1), logs), "correctness", level=0.95)
    assert [each.method for each in found.strengths] == ["a", "b", "c"]
    for each in found.strengths:
        assert each.interval is not None
        assert each.interval.low < logs[each.method] < each.interval.high
    assert found.place_interval is not None
    assert found.place_interval.low < 0 < found.place_interval.high
    assert found.tie == pytest.approx(np.exp(-0.5), rel=0.15)
    other = rank(drawn_frame(np.random.default_rng(1), logs), "correctness", level=0.95,
                 model="rao-kupper")  # fmt: skip
    assert [each.method for each in other.strengths] == ["a", "b", "c"]


def test_two_methods_without_ties_are_a_logistic_regression() -> None:
    rng = np.random.default_rng(3)
    left = rng.random(400) < 0.5
    won = rng.random(400) < np.where(left, 0.7, 0.5)
    frame = vote_frame(
        [(f"c{n % 40}", f"w{n // 40}", "cfg" if won[n] else "dnp") for n in range(400)]
    )
    frame.loc[~left, "places"] = "dnp|cfg"
    found = rank(frame, "correctness", level=0.95)
    sign = np.where(left, 1.0, -1.0)
    peer = sm.GLM(won.astype(float), np.column_stack([np.ones(400), sign]),
                  family=sm.families.Binomial()).fit()  # fmt: skip
    by_name = {each.method: each.log_worth for each in found.strengths}
    assert by_name["cfg"] - by_name["dnp"] == pytest.approx(peer.params[0], abs=1e-6)
    assert found.place == pytest.approx(peer.params[1], abs=1e-6)


def test_three_images_are_ranked_by_their_shares() -> None:
    votes = [
        (f"c{n}", f"w{n % 7}", ["a", "a", "a", "b", "b", "c", "none"][n % 7]) for n in range(70)
    ]
    frame = vote_frame(votes, methods="a|b|c")
    found = rank(frame, "correctness", level=0.95)
    assert [each.worth for each in found.strengths] == pytest.approx([1 / 2, 1 / 3, 1 / 6])


@pytest.mark.parametrize(
    ("votes", "message"),
    [
        ([("p", "a", "cfg"), ("q", "b", "cfg")], "do not connect"),
        ([("p", "a", "none"), ("q", "b", "none")], "every vote saw no clear winner"),
    ],
)
def test_where_there_are_no_strengths_it_says_why(votes: list, message: str) -> None:
    with pytest.raises(NotRanked, match=message):
        rank(vote_frame(votes), "correctness", level=0.95)


def test_methods_that_never_met_are_named() -> None:
    first = vote_frame([("p", "a", "cfg"), ("q", "b", "dnp")])
    second = vote_frame([("r", "a", "x"), ("s", "b", "y")], methods="x|y")
    with pytest.raises(NotRanked, match="cfg, dnp / x, y"):
        rank(pd.concat([first, second], ignore_index=True), "correctness", level=0.95)
