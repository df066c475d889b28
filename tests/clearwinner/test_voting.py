"""The simulated voters follow the model that their planted truth is worked out from."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clearwinner.rehearsal.voting import TIE, SimulatedWorker, hire, planted_shares

PLAIN = SimulatedWorker("w", "careful", sharpness=4.0, bias=0.0)
impressions = st.lists(st.floats(0, 1), min_size=2, max_size=3)


@given(impressions)
def test_shares_sum_to_one_and_follow_the_order_given(values: list[float]) -> None:
    crowd = hire(10, seed=3)
    shares = planted_shares(crowd, values)
    assert shares.sum() == pytest.approx(1)
    reversed_shares = planted_shares(crowd, values[::-1])
    assert shares[:-1][::-1] == pytest.approx(reversed_shares[:-1])


def test_two_equal_images_tie_as_often_as_the_model_says() -> None:
    shares = planted_shares([PLAIN], [0.3, 0.3])
    assert shares == pytest.approx([1 / (2 + TIE), 1 / (2 + TIE), TIE / (2 + TIE)])


def test_davidson_odds_by_hand() -> None:
    shares = planted_shares([PLAIN], [1.0, 0.5])
    assert shares[0] / shares[1] == pytest.approx(np.exp(4.0 * 0.5))


def test_a_bias_for_the_first_place_cancels_over_both_orders() -> None:
    left = SimulatedWorker("w", "careless", sharpness=0.0, bias=1.0)
    assert left.probabilities([0.2, 0.9])[0] > left.probabilities([0.2, 0.9])[1]
    shares = planted_shares([left], [0.2, 0.9])
    assert shares[0] == pytest.approx(shares[1])


def test_votes_are_drawn_with_the_models_chances() -> None:
    values = [0.9, 0.4]
    votes = [PLAIN.vote(values, seed=1, about=str(i)) for i in range(4000)]
    expected = PLAIN.probabilities(values)
    for place, chance in zip(("1", "2", "none"), expected, strict=True):
        assert votes.count(place) / 4000 == pytest.approx(chance, abs=0.03)


def test_the_same_worker_votes_alike_on_the_same_thing_and_seeds_differ() -> None:
    def once(seed: int) -> list[str]:
        return [PLAIN.vote([0.5, 0.5], seed=seed, about=str(i)) for i in range(40)]

    assert once(1) == once(1)
    assert once(1) != once(2)


def test_a_crowd_is_drawn_from_its_seed_with_the_careless_ones_named() -> None:
    crowd = hire(20, seed=5)
    assert crowd == hire(20, seed=5)
    assert crowd != hire(20, seed=6)
    assert [worker.kind for worker in crowd].count("careless") == 2
    assert len({worker.name for worker in crowd}) == 20
