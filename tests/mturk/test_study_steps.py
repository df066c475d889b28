"""Launch, collect and approve against the marketplace, with crashes in between."""

import signal
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import select

from generation.study import UserError
from hit_server.records import Assignment, Vote
from mturk.client import Endpoint
from mturk.launch import Launched
from mturk.status import status
from tests.conftest import scratch_study
from tests.mturk.conftest import Market
from tests.mturk.steps import Steps


def test_a_study_is_published_collected_and_paid_once(steps: Steps) -> None:
    assert steps.launch() == Launched(3, 0)
    assert steps.launch() == Launched(0, 0)
    listed = steps.client.list_hits(MaxResults=100)["HITs"]
    assert len(listed) == 3
    assert {hit["MaxAssignments"] for hit in listed} == {4}
    hit = steps.hits()[0]
    for name in ("Ada", "Ben"):
        steps.answer(name, hit)
    assert (steps.collect().new, steps.collect().new) == (2, 0)
    votes = steps.session.scalars(select(Vote)).all()
    assert len(votes) == 4
    for vote in votes:
        # Place 1 means whoever stood there for this worker.
        assert vote.choice == (vote.places[0] if vote.question == "correctness" else "none")
    assert {vote.milliseconds for vote in votes} == {1234, None}
    assert Counter(vote.places[0] for vote in votes) == {"alpha": 2, "beta": 2}
    assert steps.approve().approved == 2
    assert (steps.approve().approved, steps.approve().already) == (0, 2)
    now = status(steps.session, steps.study, steps.crowd, steps.client, steps.endpoint)
    assert (now.collected, now.approved, now.votes, now.crowd_available) == (2, 2, 4, 10)
    assert now.spent_usd == 2 * Decimal("0.13")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"1.correctness": "3"}, "correctness = '3'"),
        ({"1.appeal": "tie"}, "appeal = 'tie'"),
        ({"1.comparison": "another"}, "another"),
    ],
)
def test_an_unreadable_answer_is_kept_and_never_a_tie(
    steps: Steps, changes: dict[str, str], says: str
) -> None:
    steps.launch()
    steps.answer("Ada", steps.hits()[0], **changes)
    collected = steps.collect()
    assert collected.new == 1
    assert says in collected.problems[0]
    assert steps.session.scalars(select(Vote)).all() == []
    raw = steps.session.scalars(select(Assignment.answer)).one()
    assert "QuestionFormAnswers" in raw
    approved = steps.approve()
    assert (approved.approved, approved.unread) == (0, 1)


def test_nothing_is_published_over_budget_or_balance(tmp_path: Path, market: Market) -> None:
    poor = Steps(scratch_study(tmp_path, budget="1.00"), market)
    with pytest.raises(UserError, match=r"crowd\.budget_usd = 1\.00"):
        poor.launch()
    with market.marketplace.sessions() as session:
        from mturk.marketplace.records import Requester

        session.scalars(select(Requester)).one().balance = Decimal("0.50")
        session.commit()
    poor.crowd = poor.crowd.model_copy(update={"budget_usd": None})
    with pytest.raises(UserError, match=r"account holds \$0\.50"):
        poor.launch()
    assert market.client().list_hits()["HITs"] == []
    poor.session.close()
    poor.engine.dispose()


def test_a_marketplace_that_is_not_there_is_named(steps: Steps) -> None:
    steps.endpoint = Endpoint("marketplace", "http://127.0.0.1:9")
    import boto3

    steps.client = boto3.client(
        "mturk",
        endpoint_url="http://127.0.0.1:9",
        region_name="us-east-1",
        aws_access_key_id="a",
        aws_secret_access_key="b",
    )
    with pytest.raises(UserError, match="clearwinner marketplace"):
        steps.launch()


def dies(step: str, points: list[str]) -> Callable[[Steps], None]:
    def run(steps: Steps) -> None:
        for point in points:
            killed = steps.command(step, die=point)
            assert killed.returncode == -signal.SIGKILL, killed.stderr
        done = steps.command(step)
        assert done.returncode == 0, done.stderr

    return run


@pytest.mark.slow
def test_launch_killed_before_and_after_requests_makes_each_hit_once(steps: Steps) -> None:
    # Requests are in flight side by side: one run may have asked for all three HITs.
    points = ["before CreateHITType 1", "before CreateHITWithHITType 1"]
    points += ["after CreateHITWithHITType 1"]
    dies("launch", points)(steps)
    listed = steps.client.list_hits(MaxResults=100)["HITs"]
    assert len(listed) == 3
    assert len({hit["RequesterAnnotation"] for hit in listed}) == 3
    steps.session.expire_all()
    assert {hit.hit_id for hit in steps.hits()} == {hit["HITId"] for hit in listed}


@pytest.mark.slow
def test_a_lost_answer_is_found_by_annotation_when_tokens_are_forgotten(steps: Steps) -> None:
    killed = steps.command("launch", die="after CreateHITWithHITType 1")
    assert killed.returncode == -signal.SIGKILL
    steps.market.clock.advance(hours=30)
    launched = steps.launch()
    assert launched.found >= 1
    assert launched.published + launched.found == 3
    assert len(steps.client.list_hits(MaxResults=100)["HITs"]) == 3


@pytest.mark.slow
def test_collect_and_approve_killed_count_and_pay_once(steps: Steps) -> None:
    steps.launch()
    for hit in steps.hits():
        for name in ("Ada", "Ben"):
            steps.answer(name, hit)
    dies("collect", ["after ListAssignmentsForHIT 2", "before ListAssignmentsForHIT 3"])(steps)
    steps.session.expire_all()
    assert len(steps.session.scalars(select(Assignment)).all()) == 6
    assert len(steps.session.scalars(select(Vote)).all()) == 12
    dies("approve", ["after ApproveAssignment 1", "before ApproveAssignment 2"])(steps)
    steps.session.expire_all()
    statuses = steps.session.scalars(select(Assignment.status)).all()
    assert statuses == ["Approved"] * 6
