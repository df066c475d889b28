"""Agreement and adjusted p values: published examples, independent packages, edges."""

from collections.abc import Callable
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from statsmodels.stats import inter_rater

from analysis.agreement import agreements, fleiss_kappa, krippendorff_alpha
from analysis.claims import score_p_value
from analysis.rates import PreferenceRate, preference_rates
from tests.analysis.conftest import published


def counts_of(raters: list[list[int | None]]) -> np.ndarray:
    """Votes by unit and label."""
    labels = sorted({label for row in raters for label in row if label is not None})
    return np.array(
        [
            [sum(row[unit] == label for row in raters) for label in labels]
            for unit in range(len(raters[0]))
        ]
    )


@pytest.mark.parametrize(
    "name", ["krippendorff_2011_4raters_12units", "krippendorff_wikipedia_3raters_15units"]
)
def test_alpha_is_the_published_one(name: str) -> None:
    example = published(name)
    value, reason = krippendorff_alpha(counts_of(example["input"]["raters_by_units"]))
    assert value == pytest.approx(
        example["expected"]["nominal"], abs=example["tolerance"]["default"]
    )
    assert reason == ""


def test_ordinal_alpha_is_the_published_one() -> None:
    example = published("krippendorff_2011_4raters_12units")
    counts = counts_of(example["input"]["raters_by_units"])
    value, _ = krippendorff_alpha(counts, ordered=True)
    assert value == pytest.approx(
        example["expected"]["ordinal"], abs=example["tolerance"]["default"]
    )
    assert krippendorff_alpha(counts[:, ::-1], ordered=True)[0] == pytest.approx(value)


def test_ordinal_alpha_takes_no_clear_winner_for_the_middle(
    frame_of: Callable[..., pd.DataFrame],
) -> None:
    near = [(f"c{n}", w, "cfg" if w == "a" else "none") for n in range(6) for w in "ab"]
    near += [(f"d{n}", w, "dnp") for n in range(6) for w in "ab"]
    far = [(c, w, "dnp" if v == "none" and c[0] == "c" else v) for c, w, v in near]
    # Votes that differ by one step disagree less than votes for opposite methods.
    (one,) = agreements(frame_of(near), resamples=200, level=0.95, seed=0)
    (two,) = agreements(frame_of(far), resamples=200, level=0.95, seed=0)
    assert one.ordinal is not None and one.alpha is not None and two.ordinal is not None
    assert one.ordinal.value > one.alpha.value
    assert one.ordinal.value > two.ordinal.value
    assert one.ordinal.interval is not None
    assert one.ordinal.interval.low < one.ordinal.value < one.ordinal.interval.high


def test_alpha_at_its_edges() -> None:
    example = published("alpha_degenerate_inputs")
    for name, wanted in example["expected"].items():
        raters = example["input"][name]["raters_by_units"]
        value, reason = krippendorff_alpha(counts_of(raters))
        if wanted is None:
            assert value is None
            assert reason in ("every vote is alike", "no comparison has two votes")
        else:
            assert value == pytest.approx(wanted, abs=1e-9)


def test_kappa_is_the_published_one() -> None:
    example = published("fleiss_kappa_wikipedia_10x14")
    counts = np.array(example["input"]["counts_subject_by_category"])
    assert fleiss_kappa(counts) == pytest.approx(example["expected"]["kappa"], abs=6e-4)


@given(
    arrays.arrays(
        np.int64, st.tuples(st.integers(2, 8), st.integers(2, 4)), elements=st.integers(0, 5)
    )
)
def test_alpha_is_what_counting_pairs_of_votes_gives(counts: np.ndarray) -> None:
    """The definition, by going through all pairs."""
    units = [[label for label, number in enumerate(row) for _ in range(number)] for row in counts]
    units = [unit for unit in units if len(unit) >= 2]
    value, _ = krippendorff_alpha(counts)
    votes = [label for unit in units for label in unit]
    pairs = list(combinations(votes, 2))
    expected = sum(a != b for a, b in pairs) / len(pairs) if pairs else 0.0
    if expected == 0.0:
        assert value is None
        return
    observed = sum(
        2 * sum(a != b for a, b in combinations(unit, 2)) / (len(unit) - 1) for unit in units
    ) / len(votes)
    assert value == pytest.approx(1 - observed / expected, abs=1e-9)


@given(st.integers(2, 9), st.integers(2, 10), st.integers(0, 2**32 - 1))
def test_kappa_is_statsmodels(raters: int, units: int, seed: int) -> None:
    counts = np.random.default_rng(seed).multinomial(raters, [0.5, 0.3, 0.2], size=units)
    value = fleiss_kappa(counts)
    if value is not None:
        assert value == pytest.approx(inter_rater.fleiss_kappa(counts), abs=1e-9)


def test_p_values_follow_the_interval(frame_of: Callable[..., pd.DataFrame]) -> None:
    """Where the 95 % interval excludes one half, p is below 0.05; adjusting only raises it."""
    assert score_p_value(0.6, 0.05**2, 20) == pytest.approx(0.0593, abs=1e-4)
    assert score_p_value(0.6, 0.0, 20) is None
    rng = np.random.default_rng(3)
    frame = pd.concat(
        [
            frame_of(
                [
                    (f"c{c}", f"w{w}", str(rng.choice(["cfg", "dnp", "none"], p=[0.5, 0.3, 0.2])))
                    for c in range(40)
                    for w in range(10)
                ],
                question=question,
            )
            for question in ("correctness", "appeal")
        ]
    )
    rates = preference_rates(frame, resamples=200, level=0.95, seed=1)
    for rate in rates:
        assert isinstance(rate, PreferenceRate)
        assert rate.score.interval is not None and rate.tests.t is not None
        outside = not rate.score.interval.low <= 0.5 <= rate.score.interval.high
        assert (rate.tests.t < 0.05) == outside
        assert rate.tests.holm is not None and rate.tests.holm >= rate.tests.t


def test_each_question_has_its_agreement_with_an_interval(
    frame_of: Callable[..., pd.DataFrame],
) -> None:
    """Full agreement on the one question, none beyond chance on the other."""
    rng = np.random.default_rng(5)
    alike, chance = [], []
    for c in range(30):
        truth = str(rng.choice(["cfg", "dnp", "none"]))
        for w in range(8):
            alike.append((f"c{c}", f"w{w}", truth))
            chance.append((f"c{c}", f"w{w}", str(rng.choice(["cfg", "dnp", "none"]))))
    frame = pd.concat([frame_of(alike), frame_of(chance, question="appeal")])
    same, chance_only = agreements(frame, resamples=500, level=0.95, seed=1)
    assert same.alpha is not None and same.alpha.value == 1.0
    assert same.raw is not None and same.raw.value == 1.0
    assert chance_only.alpha is not None and chance_only.alpha.interval is not None
    assert chance_only.alpha.interval.low < 0 < chance_only.alpha.interval.high
    assert chance_only.kappa.value == pytest.approx(chance_only.alpha.value, abs=0.01)
    assert chance_only.raw is not None and chance_only.raw.value == pytest.approx(1 / 3, abs=0.05)


def test_without_two_votes_there_is_a_reason(frame_of: Callable[..., pd.DataFrame]) -> None:
    votes = [(f"c{c}", f"w{c}", "cfg") for c in range(3)]
    (found,) = agreements(frame_of(votes), resamples=100, level=0.95, seed=1)
    assert (found.alpha, found.kappa, found.raw) == (None, None, None)
    assert found.reason == "no comparison has two votes"
