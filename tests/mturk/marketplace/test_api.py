"""Unmodified boto3 against the marketplace over HTTP."""

import threading
from decimal import Decimal
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from botocore.exceptions import ClientError

from hit_server.serve import Server
from mturk.answers import decode_answers
from mturk.marketplace.accounts import add_requester
from mturk.marketplace.app import create_app, open_marketplace
from mturk.qualifications import APPROVED_PERCENT, MASTERS_PRODUCTION
from tests.mturk.conftest import Market, NewHit, hit_values

MASTERS = [{"QualificationTypeId": MASTERS_PRODUCTION, "Comparator": "Exists"}]


def refusal(call: Any, **values: Any) -> dict[str, Any]:
    with pytest.raises(ClientError) as caught:
        call(**values)
    return caught.value.response


def test_a_hit_goes_from_made_to_paid_to_disposed(
    market: Market, client: Any, new_hit: NewHit
) -> None:
    hit_id = new_hit(MaxAssignments=1)
    assert client.get_hit(HITId=hit_id)["HIT"]["HITStatus"] == "Assignable"
    ada = market.worker()
    frame = ada.frame(hit_id)
    assert frame["turkSubmitTo"] == market.url
    assert frame["workerId"].startswith("A")
    hit = client.get_hit(HITId=hit_id)["HIT"]
    assert (hit["HITStatus"], hit["NumberOfAssignmentsPending"]) == ("Unassignable", 1)
    # An accepted assignment is invisible to the API.
    assert client.list_assignments_for_hit(HITId=hit_id)["Assignments"] == []
    assert "AssignmentDoesNotExist" in str(
        refusal(client.get_assignment, AssignmentId=frame["assignmentId"])
    )
    assignment_id = ada.submit(hit_id, choice='<a> & "b"', note="ünïcode 🙂")
    hit = client.get_hit(HITId=hit_id)["HIT"]
    assert hit["HITStatus"] == "Reviewable"
    assert hit["NumberOfAssignmentsCompleted"] == 0
    found = client.get_assignment(AssignmentId=assignment_id)["Assignment"]
    assert found["AssignmentStatus"] == "Submitted"
    assert decode_answers(found["Answer"]) == {"choice": '<a> & "b"', "note": "ünïcode 🙂"}
    state = refusal(client.delete_hit, HITId=hit_id)
    assert state["TurkErrorCode"] == "AWS.MechanicalTurk.InvalidHITState"
    client.approve_assignment(AssignmentId=assignment_id)
    again = refusal(client.approve_assignment, AssignmentId=assignment_id)
    assert again["TurkErrorCode"] == "AWS.MechanicalTurk.InvalidAssignmentState"
    assert again["Error"]["Message"].endswith(" s)")
    client.delete_hit(HITId=hit_id)
    assert client.list_hits()["HITs"] == []
    assert client.get_hit(HITId=hit_id)["HIT"]["HITStatus"] == "Disposed"


def test_money_is_set_aside_spent_and_given_back(
    market: Market, client: Any, new_hit: NewHit
) -> None:
    def balance() -> Decimal:
        return Decimal(client.get_account_balance()["AvailableBalance"])

    before = balance()
    hit_id = new_hit(MaxAssignments=10, Reward="1.00", QualificationRequirements=MASTERS)
    assert before - balance() == Decimal("14.50")
    first, second = (market.worker(name).submit(hit_id) for name in ("Ada", "Ben"))
    client.approve_assignment(AssignmentId=first)
    client.reject_assignment(AssignmentId=second, RequesterFeedback="empty")
    assert before - balance() == Decimal("14.50") - Decimal("1.45")
    client.approve_assignment(AssignmentId=second, OverrideRejection=True)
    client.update_expiration_for_hit(HITId=hit_id, ExpireAt=0)
    client.delete_hit(HITId=hit_id)
    assert before - balance() == Decimal("2.90")
    funds = refusal(client.create_hit, **hit_values(Reward="5000", MaxAssignments=9))
    assert funds["TurkErrorCode"] == "AWS.MechanicalTurk.InsufficientFunds"
    assert client.list_hits()["HITs"] == []


def test_equal_hit_types_share_an_id_and_reward_forms_are_equal(client: Any) -> None:
    values = hit_values()
    for name in ("MaxAssignments", "LifetimeInSeconds", "Question"):
        del values[name]
    first = client.create_hit_type(**values)["HITTypeId"]
    assert client.create_hit_type(**{**values, "Reward": "0.1"})["HITTypeId"] == first
    assert client.create_hit_type(**{**values, "Reward": "0.11"})["HITTypeId"] != first
    hit = client.create_hit_with_hit_type(
        HITTypeId=first, LifetimeInSeconds=60, Question=hit_values()["Question"]
    )["HIT"]
    assert (hit["HITTypeId"], hit["MaxAssignments"]) == (first, 1)


def test_a_repeated_token_names_the_hit_for_a_day(
    market: Market, client: Any, new_hit: NewHit
) -> None:
    hit_id = new_hit(UniqueRequestToken="once")
    again = refusal(client.create_hit, **hit_values(UniqueRequestToken="once"))
    assert again["TurkErrorCode"] == "AWS.MechanicalTurk.HITAlreadyExists"
    assert hit_id in again["Error"]["Message"]
    market.clock.advance(hours=25)
    assert new_hit(UniqueRequestToken="once") != hit_id


def test_pages_carry_a_token_until_the_empty_one(client: Any, new_hit: NewHit) -> None:
    made = [new_hit() for _ in range(7)]
    first = client.list_hits(MaxResults=7)
    assert first["NumResults"] == 7
    last = client.list_hits(MaxResults=7, NextToken=first["NextToken"])
    assert (last["NumResults"], "NextToken" in last) == (0, False)
    pages = client.get_paginator("list_hits").paginate(PaginationConfig={"PageSize": 3})
    assert [hit["HITId"] for page in pages for hit in page["HITs"]] == made
    assert "NextToken" in str(refusal(client.list_hits, NextToken="garbage"))


def test_approving_between_two_pages_hides_nothing(
    market: Market, client: Any, new_hit: NewHit
) -> None:
    hit_id = new_hit(MaxAssignments=4)
    done = [market.worker(name).submit(hit_id) for name in ("Ada", "Ben", "Cem", "Dea")]
    seen: list[str] = []
    paginator = client.get_paginator("list_assignments_for_hit")
    for page in paginator.paginate(
        HITId=hit_id, AssignmentStatuses=["Submitted"], PaginationConfig={"PageSize": 1}
    ):
        for assignment in page["Assignments"]:
            client.approve_assignment(AssignmentId=assignment["AssignmentId"])
            seen.append(assignment["AssignmentId"])
    assert seen == done
    assert client.list_reviewable_hits()["HITs"][0]["HITId"] == hit_id


def test_time_expires_hits_abandons_work_and_approves(
    market: Market, client: Any, new_hit: NewHit
) -> None:
    hit_id = new_hit()
    done = market.worker("Ada").submit(hit_id)
    market.worker("Ben").accept(hit_id)
    market.clock.advance(seconds=601)
    assert client.get_hit(HITId=hit_id)["HIT"]["NumberOfAssignmentsAvailable"] == 2
    market.clock.advance(hours=1)
    assert client.get_hit(HITId=hit_id)["HIT"]["HITStatus"] == "Reviewable"
    assert market.worker("Cem").accept(hit_id).status_code == 409
    market.clock.advance(days=1)
    assert client.get_assignment(AssignmentId=done)["Assignment"]["AssignmentStatus"] == "Approved"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"Reward": "ten cents"}, "reward"),
        ({"Reward": "0.123"}, "reward"),
        ({"MaxAssignments": 0}, "maxAssignments"),
        ({"LifetimeInSeconds": 29}, "lifetimeInSeconds"),
        ({"AssignmentDurationInSeconds": 40_000_000}, "assignmentDurationInSeconds"),
        ({"Title": "x" * 129}, "title"),
        ({"RequesterAnnotation": "x" * 256}, "requesterAnnotation"),
        ({"UniqueRequestToken": "x" * 65}, "uniqueRequestToken"),
        ({"Question": "<not xml"}, "parsing the XML"),
        ({"Question": "<Other/>"}, "Other"),
        (
            {
                "Question": "<ExternalQuestion><ExternalURL>https://a.org</ExternalURL>"
                "<FrameHeight>tall</FrameHeight></ExternalQuestion>"
            },
            "FrameHeight",
        ),
        (
            {
                "Question": "<ExternalQuestion><ExternalURL>http://a.org</ExternalURL></ExternalQuestion>"
            },
            "https://",
        ),
        (
            {"QualificationRequirements": [{"QualificationTypeId": "A", "Comparator": "Like"}]},
            "comparator",
        ),
    ],
)
def test_values_beyond_botocores_checks_are_refused(
    client: Any, changes: dict[str, Any], says: str
) -> None:
    response = refusal(client.create_hit, **hit_values(**changes))
    assert response["Error"]["Code"] == "ValidationException"
    assert says in response["Error"]["Message"]
    assert client.list_hits()["HITs"] == []


def test_signatures_are_checked_in_whatever_region(market: Market) -> None:
    assert market.client(region="sandbox").get_account_balance()
    wrong = refusal(market.client(secret_key="wrong").get_account_balance)
    assert wrong["Error"]["Code"] == "InvalidSignatureException"
    unknown = refusal(market.client(access_key="AKIDUNKNOWN").get_account_balance)
    assert unknown["Error"]["Code"] == "UnrecognizedClientException"
    assert httpx.post(market.url, json={}).status_code == 403


def test_requesters_see_their_own_hits_alone(market: Market, new_hit: NewHit) -> None:
    hit_id = new_hit()
    with market.marketplace.sessions() as session:
        other = add_requester(session, "other")
    stranger = market.client(access_key=other.access_key, secret_key=other.secret_key)
    assert stranger.list_hits()["HITs"] == []
    assert refusal(stranger.get_hit, HITId=hit_id)["TurkErrorCode"].endswith("HITDoesNotExist")


def test_a_restart_keeps_everything(tmp_path: Path) -> None:
    hit_ids = []
    for _ in range(2):
        marketplace = open_marketplace(tmp_path)
        with Server(create_app(marketplace)) as server:
            keys = marketplace.credentials
            client = boto3.client(
                "mturk",
                endpoint_url=server.url,
                region_name="us-east-1",
                aws_access_key_id=keys.access_key,
                aws_secret_access_key=keys.secret_key,
            )
            hit_ids.append(client.create_hit(**hit_values())["HIT"]["HITId"])
            assert [hit["HITId"] for hit in client.list_hits()["HITs"]] == hit_ids
        marketplace.engine.dispose()


def test_twenty_workers_at_once_share_five_assignments(
    market: Market, client: Any, new_hit: NewHit
) -> None:
    hit_id = new_hit(MaxAssignments=5)
    people = [market.worker(f"Worker {number}") for number in range(20)]
    gate = threading.Barrier(20)
    answers: list[int] = []

    def rush(number: int) -> None:
        gate.wait()
        answers.append(people[number].accept(hit_id).status_code)

    threads = [threading.Thread(target=rush, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (answers.count(302), answers.count(409)) == (5, 15)
    assert client.get_hit(HITId=hit_id)["HIT"]["NumberOfAssignmentsAvailable"] == 0


def test_only_those_who_qualify_may_accept(market: Market, new_hit: NewHit) -> None:
    hit_id = new_hit(QualificationRequirements=MASTERS)
    assert market.worker("Plain", masters=False).accept(hit_id).status_code == 409
    assert market.worker("Master").accept(hit_id).status_code == 302
    above = {"QualificationTypeId": APPROVED_PERCENT, "Comparator": "GreaterThan"}
    fine, strict = (
        new_hit(QualificationRequirements=[{**above, "IntegerValues": [value]}])
        for value in (95, 100)
    )
    assert market.worker("Plain").accept(fine).status_code == 302
    assert market.worker("Plain").accept(strict).status_code == 409
