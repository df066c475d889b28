"""Programs that others published, unmodified, with nothing but the endpoint changed."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from hit_server.serve import Server
from mturk.marketplace.app import create_app
from mturk.marketplace.throttling import Throttle
from tests.mturk.conftest import Market, hit_values

PEERS = Path(sys.prefix) / "peers"
"""Where `make test` installs programs whose own requirements this environment need not have."""


@pytest.mark.slow
def test_the_aws_command_line(market: Market, tmp_path: Path) -> None:
    keys = market.marketplace.credentials
    environment = os.environ | {
        "AWS_ACCESS_KEY_ID": keys.access_key,
        "AWS_SECRET_ACCESS_KEY": keys.secret_key,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL_MTURK": market.url,
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
    }

    def aws(*arguments: str) -> Any:
        command = [str(Path(sys.executable).with_name("aws")), "mturk", *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout.strip() else {}

    assert aws("get-account-balance") == {"AvailableBalance": "10000.00"}
    values = hit_values(UniqueRequestToken="from the command line")
    hit = aws("create-hit", "--cli-input-json", json.dumps(values))["HIT"]
    assignment = market.worker().submit(hit["HITId"], answer="yes")
    listed = aws("list-assignments-for-hit", "--hit-id", hit["HITId"])
    assert [each["AssignmentId"] for each in listed["Assignments"]] == [assignment]
    aws("approve-assignment", "--assignment-id", assignment)
    # The command line follows the pages by itself.
    for _ in range(3):
        aws("create-hit", "--cli-input-json", json.dumps(hit_values()))
    found = aws("list-hits", "--page-size", "2")["HITs"]
    assert len(found) == 4
    aws("update-expiration-for-hit", "--hit-id", hit["HITId"], "--expire-at", "0")
    aws("delete-hit", "--hit-id", hit["HITId"])
    command = [str(Path(sys.executable).with_name("aws")), "mturk", "get-hit", "--hit-id", "3NONE"]
    refused = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert refused.returncode != 0
    assert "HIT 3NONE does not exist" in refused.stderr


@pytest.fixture(scope="module")
def dallinger() -> Iterator[ModuleType]:
    """Dallinger's module for Mechanical Turk: the file of its wheel, nothing changed.

    The rest of the package wants a database and a queue; of it, the module uses one function,
    which reports an error and raises it.
    """
    path = PEERS / "dallinger" / "mturk.py"
    if not path.exists():
        if os.environ.get("CI"):
            pytest.fail("Dallinger is not installed, and CI must test with it: make test")
        pytest.skip("Dallinger is not installed (make test installs it)")
    spec = importlib.util.spec_from_file_location("dallinger_mturk", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    rest = ModuleType("dallinger.recruiters")
    rest.handle_and_raise_recruitment_error = _raise  # type: ignore[attr-defined]
    sys.modules |= {"dallinger": ModuleType("dallinger"), "dallinger.recruiters": rest}
    yield module
    del sys.modules["dallinger"], sys.modules["dallinger.recruiters"]


def _raise(error: Exception) -> None:
    raise error


def test_dallinger_runs_an_experiments_recruitment(market: Market, dallinger: Any) -> None:
    keys = market.marketplace.credentials

    class Service(dallinger.MTurkService):  # type: ignore[misc, name-defined]
        host = market.url

    service = Service(keys.access_key, keys.secret_key, "us-east-1", max_wait_secs=5)
    assert service.account_balance() == 10_000
    kind = service.create_qualification_type("Did it before", "took part in an experiment")
    with pytest.raises(dallinger.DuplicateQualificationNameError):
        service.create_qualification_type("Did it before", "again")
    assert service.get_qualification_type_by_name("did it before")["id"] == kind["id"]
    questions, needs = dallinger.MTurkQuestions, dallinger.MTurkQualificationRequirements
    hit = service.create_hit(
        experiment_id="e1",
        title="An experiment",
        description="Look and say",
        keywords=["look", "say"],
        reward=0.05,
        duration_hours=0.25,
        lifetime_days=1,
        question=questions.external("https://example.org/ad?x=1"),
        max_assignments=2,
        annotation="e1",
        qualifications=[needs.must_not_have(kind["id"]), needs.min_approval(95)],
        do_subscribe=False,
    )
    assert (hit["status"], hit["annotation"], hit["max_assignments"]) == ("Assignable", "e1", 2)
    ada, ben = market.worker("Ada"), market.worker("Ben")
    worker = ada.worker_id(hit["id"])
    assignment = ada.submit(hit["id"])
    assert service.get_assignment(assignment)["worker_id"] == worker
    service.assign_qualification(kind["id"], worker, 1)
    assert service.current_qualification_score(kind["id"], worker) == 1
    service.increment_named_qualification_score("Did it before", worker)
    assert list(service.get_workers_with_qualification(kind["id"])) == [{"id": worker, "score": 2}]
    # It asks for an auto-approval delay of zero seconds.
    assert service.get_assignment(assignment)["status"] == "Approved"
    assert service.grant_bonus(assignment, 0.5, "well done")
    assert service.extend_hit(hit["id"], 1, 1)["max_assignments"] == 3
    assert [each["id"] for each in service.get_hits()] == [hit["id"]]
    # Who did it before cannot even preview another HIT of the kind.
    second = service.create_hit(
        "e2", "Another", "Look", ["look"], 0.05, 1, 1, questions.external("https://example.org/ad"),
        1, qualifications=[needs.must_not_have(kind["id"])], do_subscribe=False,
    )  # fmt: skip
    assert ada.http.get(f"/worker/hits/{second['id']}").status_code == 403
    assert ben.http.get(f"/worker/hits/{second['id']}").status_code == 200
    service.revoke_qualification(kind["id"], worker, "over")
    assert ada.http.get(f"/worker/hits/{second['id']}").status_code == 200
    # Its page for compensation names Amazon's address to submit to.
    paid = service.create_hit(
        "e3", "Compensation", "For you", [], 0.05, 1, 1, questions.compensation(), 1,
        do_subscribe=False,
    )  # fmt: skip
    page = ada.http.get(f"/task/{paid['id']}").text
    assert f'action="{market.url}/mturk/externalSubmit"' in page
    service.expire_hit(hit["id"])
    assert service.mturk.delete_hit(HITId=hit["id"])
    assert service.dispose_qualification_type(kind["id"])


def test_boto3s_own_retries_keep_a_throttled_rate(market: Market) -> None:
    """The standard retry mode of an unmodified client gets through a throttled service."""
    import boto3
    from botocore.config import Config

    app = create_app(market.marketplace, throttle=Throttle(rate=10, burst=2))
    with Server(app) as server:
        keys = market.marketplace.credentials
        client: Any = boto3.client(
            "mturk",
            endpoint_url=server.url,
            region_name="us-east-1",
            aws_access_key_id=keys.access_key,
            aws_secret_access_key=keys.secret_key,
            config=Config(retries={"mode": "adaptive", "max_attempts": 10}),
        )
        retried: list[int] = []
        client.meta.events.register(
            "needs-retry.mturk",
            lambda attempts, **_: retried.append(attempts) if attempts > 1 else None,
        )
        began = time.monotonic()
        for _ in range(20):
            client.get_account_balance()
        assert time.monotonic() - began > 1.5
        assert retried
