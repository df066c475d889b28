"""HITs under ten assignments: as many different workers for every comparison, at a lower fee."""

from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import select

from generation.study import StudyFile, read_study_file
from hit_server.records import Assignment, Comparison, Hit, Vote
from hit_server.reserving import NothingLeft
from mturk.batches import hit_sizes, pool_sizes
from mturk.costs import cost_of
from mturk.crowd import Crowd
from mturk.launch import plan_launch
from mturk.marketplace.records import MarketHit, Requester
from mturk.status import status
from mturk.topup import extend, lacking
from tests.conftest import scratch_study
from tests.mturk.conftest import Market
from tests.mturk.steps import Steps

NAMES = [f"Worker {number}" for number in range(12)]


def pooled_study(folder: Path, *, scenes: int = 3) -> StudyFile:
    file = scratch_study(folder, scenes=scenes)
    text = file.path.read_text().replace("assignments = 4", 'assignments = "save_fees"')
    file.path.write_text(text)
    return read_study_file(file.path)


@pytest.fixture
def steps(tmp_path: Path, market: Market) -> Steps:
    return Steps(pooled_study(tmp_path), market)


def test_sizes_and_fees() -> None:
    crowd = Crowd.model_validate({"assignments": "save_fees", "reward_usd": "0.10"})
    assert (crowd.assignments, crowd.save_fees, crowd.pooled) == (10, True, True)
    assert hit_sizes(3, 1, crowd) == [9, 9, 9, 3]
    assert hit_sizes(3, 1, crowd, there=30) == []
    assert hit_sizes(100, 5, crowd) == pool_sizes(200) == [9] * 22 + [2]
    plain = Crowd(reward_usd=Decimal("0.10"))
    assert hit_sizes(3, 1, plain) == [10, 10, 10]
    assert hit_sizes(7, 3, plain) == [10, 10, 10]
    few = Crowd(assignments=5, save_fees=True)
    assert not few.pooled
    # 100 comparisons, ten Masters each: 45 % against 25 % of a dollar each.
    many, saved = ([*hit_sizes(100, 1, each)] for each in (plain, crowd))
    assert sum(many) == sum(saved) == 1000
    assert cost_of(many, Decimal("1.00"), masters=True).fees == Decimal("450.00")
    assert cost_of(saved, Decimal("1.00"), masters=True).fees == Decimal("250.00")


def test_ten_different_workers_judge_every_comparison(steps: Steps) -> None:
    launched = steps.launch()
    assert launched.published == 4
    assert steps.launch().published == 0
    with steps.market.marketplace.sessions() as session:
        sizes = [hit.max_assignments for hit in session.scalars(select(MarketHit))]
        assert sorted(sizes) == [3, 9, 9, 9]
        # Ten cents and three cents of fee each, not five.
        spent = Decimal("10000") - session.scalars(select(Requester.balance)).one()
        assert spent == 30 * Decimal("0.13")
    places = {hit.id: size for hit, size in zip(steps.hits(), [9, 9, 9, 3], strict=True)}
    for number, name in enumerate(NAMES):
        for hit in steps.hits():
            if places[hit.id] and (number + hit.id) % 4 != 0:
                places[hit.id] -= _answers_or_returns(steps, name, hit)
    for name in NAMES:
        for hit in steps.hits():
            if places[hit.id] and not _did(steps, name, hit):
                steps.answer(name, hit)
                places[hit.id] -= 1
    assert steps.collect().problems == ()
    assert sum(places.values()) == 0
    votes = steps.session.scalars(select(Vote).where(Vote.question == "appeal")).all()
    for comparison in steps.study.comparisons:
        own = [vote for vote in votes if vote.comparison_id == comparison.id]
        assert len({vote.assignment.worker_id for vote in own}) == len(own) == 10
        assert set(Counter(tuple(vote.places) for vote in own).values()) == {5}
    found = status(steps.session, steps.study, steps.crowd, steps.client, steps.endpoint)
    assert found.votes_given == ((10, 3),)
    assert found.complete_comparisons == 3
    steps.session.close()
    steps.engine.dispose()


def _answers_or_returns(steps: Steps, name: str, hit: Hit) -> bool:
    """A worker who has judged everything is told, and returns the HIT."""
    try:
        steps.answer(name, hit)
    except NothingLeft:
        steps.session.rollback()
        person = steps.market.worker(name)
        own = person.frame(hit.hit_id or "")["assignmentId"]
        assert person.http.post(f"/worker/assignments/{own}/return").status_code == 302
        return False
    return True


def _did(steps: Steps, name: str, hit: Hit) -> bool:
    return steps.market.worker(name).accept(hit.hit_id or "").status_code == 409


def test_lost_votes_of_a_pool_are_asked_for_again(tmp_path: Path, market: Market) -> None:
    steps = Steps(pooled_study(tmp_path, scenes=1), market)
    steps.launch()
    nine, one = steps.hits()
    for number in range(9):
        steps.answer(NAMES[number], nine, **({"1.appeal": "7"} if number < 2 else {}))
    steps.answer(NAMES[9], one)
    assert len(steps.collect().problems) == 2
    steps.session.expire_all()
    assert steps.session.scalars(select(Comparison.reserved)).one() == 8
    crowd = (steps.crowd, steps.client, steps.endpoint)
    assert lacking(steps.session, steps.study, *crowd).assignments == 2
    assert extend(steps.session, steps.study, steps.publisher).assignments == 2
    assert lacking(steps.session, steps.study, *crowd).assignments == 0
    assert extend(steps.session, steps.study, steps.publisher).hits == 0
    (*_, more) = steps.hits()
    for name in NAMES[10:]:
        steps.answer(name, more)
    assert steps.collect().problems == ()
    votes = steps.session.scalars(select(Vote).where(Vote.question == "appeal")).all()
    assert len({vote.assignment.worker_id for vote in votes}) == 10
    assert set(Counter(tuple(vote.places) for vote in votes).values()) == {5}
    assert len(steps.session.scalars(select(Assignment)).all()) == 12
    steps.session.close()
    steps.engine.dispose()


@pytest.mark.parametrize("die", ["before CreateHITWithHITType 2", "after CreateHITWithHITType 3"])
def test_a_killed_launch_of_a_pool_goes_on(steps: Steps, market: Market, die: str) -> None:
    assert steps.command("launch", die=die).returncode == -9
    assert steps.command("launch").returncode == 0
    with market.marketplace.sessions() as session:
        sizes = [hit.max_assignments for hit in session.scalars(select(MarketHit))]
    assert sorted(sizes) == [3, 9, 9, 9]
    steps.session.rollback()
    assert plan_launch(steps.session, steps.study, steps.crowd).to_publish == 0
    steps.session.close()
    steps.engine.dispose()
