"""Launch, collect and approve against the marketplace, with crashes in between."""

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from generation.manifest import read_manifest
from generation.study import StudyFile, UserError
from hit_server.database import open_database, session_factory
from hit_server.records import Assignment, Hit, StudyRecord, Vote
from hit_server.store import place, register_study, study_named
from mturk.client import Endpoint
from mturk.collect import collect
from mturk.crowd import Crowd
from mturk.launch import Launched, Publisher, launch
from mturk.review import approve
from mturk.status import status
from tests.conftest import scratch_study
from tests.mturk.conftest import Market

ROOT = Path(__file__).parents[2]


class Steps:
    """A registered study on a marketplace, with the steps as a researcher takes them."""

    def __init__(self, file: StudyFile, market: Market) -> None:
        self.file, self.market = file, market
        self.client = market.client()
        self.endpoint = Endpoint("marketplace", market.url)
        self.crowd = file.table("crowd", Crowd)
        self.database = f"sqlite:///{file.study.place}/study.sqlite3"
        self.engine = open_database(self.database)
        self.session: Session = session_factory(self.engine)()
        folder = file.study.place
        register_study(self.session, file, read_manifest(folder), folder)

    @property
    def study(self) -> StudyRecord:
        return study_named(self.session, "scratch")

    def launch(self) -> Launched:
        publisher = Publisher(self.client, self.endpoint, self.crowd, "http://localhost:1")
        return launch(self.session, self.study, publisher)

    def answer(self, name: str, hit: Hit, **changes: str) -> str:
        """A qualified worker opens the page and submits; the assignment's id."""
        person = self.market.worker(name)
        frame = person.frame(hit.hit_id or "")
        place(self.session, hit.comparison, frame["assignmentId"], frame["workerId"])
        fields = {
            "assignmentId": frame["assignmentId"],
            "comparison": hit.comparison.public_id,
            "correctness": "1",
            "appeal": "none",
            "milliseconds.correctness": "1234",
            "milliseconds.appeal": "",
        }
        self.session.commit()
        sent = person.http.post("/mturk/externalSubmit", data=fields | changes)
        assert sent.status_code == 200
        return frame["assignmentId"]

    def hits(self) -> list[Hit]:
        return list(self.session.scalars(select(Hit).order_by(Hit.id)))

    def collect(self) -> Any:
        return collect(self.session, self.study, self.client, self.endpoint)

    def approve(self) -> Any:
        return approve(self.session, self.study, self.client, self.endpoint)

    def command(self, step: str, *, die: str = "") -> subprocess.CompletedProcess[str]:
        """Run a step as a process of its own; `die` names the request at which it is killed."""
        keys = self.market.marketplace.credentials
        environment = os.environ | {
            "AWS_ACCESS_KEY_ID": keys.access_key,
            "AWS_SECRET_ACCESS_KEY": keys.secret_key,
            "DIE": die,
        }
        self.session.rollback()
        command = [sys.executable, "-c", KILLED, step, str(self.file.path)]
        return subprocess.run(
            [*command, "--endpoint", self.market.url, *(["--yes"] if step != "collect" else [])],
            env=environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


# The command line itself, with a hook that kills the process before a request is sent or
# after its answer came back, at the n-th request of an operation.
KILLED = """
import os, signal, botocore.client
when, _, rest = os.environ["DIE"].partition(" ")
operation, _, number = rest.partition(" ")
real, seen = botocore.client.BaseClient._make_api_call, [0]
def call(self, name, values):
    count = name == operation and (seen.__setitem__(0, seen[0] + 1) or seen[0])
    if count == int(number or 0) and when == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    answer = real(self, name, values)
    if count == int(number or 0) and when == "after":
        os.kill(os.getpid(), signal.SIGKILL)
    return answer
if when:
    botocore.client.BaseClient._make_api_call = call
from clearwinner.cli import main
main()
"""


@pytest.fixture
def steps(tmp_path: Path, market: Market) -> Iterator[Steps]:
    found = Steps(scratch_study(tmp_path), market)
    yield found
    found.session.close()
    found.engine.dispose()


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
        ({"correctness": "3"}, "correctness = '3'"),
        ({"appeal": "tie"}, "appeal = 'tie'"),
        ({"comparison": "another"}, "another"),
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
