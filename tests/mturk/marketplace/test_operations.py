"""All 39 operations through unmodified boto3, and the rules of those that move money."""

from __future__ import annotations

import threading
from decimal import Decimal
from typing import Any

import httpx
import pytest
from alembic import command
from botocore.exceptions import ClientError

from hit_server.database import alembic_config
from mturk.marketplace.operations import OPERATIONS
from mturk.marketplace.validation import service_model
from mturk.qualifications import ADULT, APPROVED_HITS, LOCALE, MASTERS_SANDBOX
from tests.mturk.conftest import Market, NewHit, hit_values
from tests.mturk.marketplace.forms import ANSWER_KEY, QUESTION_FORM
from tests.mturk.marketplace.malformed import storm


def refused(call: Any, **values: Any) -> str:
    """The TurkErrorCode of a refusal, or the error's type where it has none."""
    with pytest.raises(ClientError) as caught:
        call(**values)
    found = caught.value.response
    return str(found.get("TurkErrorCode") or found["Error"]["Code"]).removeprefix(
        "AWS.MechanicalTurk."
    )


def test_every_operation_of_the_service_model_is_offered() -> None:
    assert set(OPERATIONS) == set(service_model().operation_names)
    assert len(OPERATIONS) == 39


def test_a_requesters_whole_life_calls_every_operation(any_market: Market) -> None:  # noqa: PLR0915
    market, client = any_market, any_market.client()
    called: set[str] = set()
    client.meta.events.register("before-call", lambda model, **_: called.add(model.name))
    kind = client.create_qualification_type(
        Name="Colours", Description="Sees colours", QualificationTypeStatus="Active",
        RetryDelayInSeconds=60, Keywords="eyes",
    )["QualificationType"]["QualificationTypeId"]  # fmt: skip
    wanted = [{"QualificationTypeId": kind, "Comparator": "EqualTo", "IntegerValues": [3]}]
    shared = {name: hit_values()[name] for name in TYPE_VALUES}
    type_id = client.create_hit_type(**shared, QualificationRequirements=wanted)["HITTypeId"]
    plain = client.create_hit_type(**shared)["HITTypeId"]
    client.update_notification_settings(
        HITTypeId=type_id,
        Active=False,
        Notification={
            "Destination": "arn:aws:sns:us-east-1:1:topic",
            "Transport": "SNS",
            "Version": "2006-05-05",
            "EventTypes": ["HITCreated"],
        },
    )
    client.send_test_event_notification(
        Notification={
            "Destination": "https://sqs.us-east-1.amazonaws.com/1/queue",
            "Transport": "SQS",
            "Version": "2006-05-05",
            "EventTypes": ["Ping"],
        },
        TestEventType="Ping",
    )
    question = hit_values()["Question"]
    hit_id = client.create_hit_with_hit_type(
        HITTypeId=type_id, MaxAssignments=2, LifetimeInSeconds=3600, Question=question
    )["HIT"]["HITId"]
    other = client.create_hit(**hit_values(MaxAssignments=1))["HIT"]["HITId"]
    client.update_hit_type_of_hit(HITId=other, HITTypeId=plain)
    found = client.list_hits_for_qualification_type(QualificationTypeId=kind)["HITs"]
    assert [hit["HITId"] for hit in found] == [hit_id]

    ada, ben = market.worker("Ada"), market.worker("Ben")
    assert ada.accept(hit_id).status_code == 409
    assert ada.http.post(f"/worker/qualifications/{kind}/request").status_code == 302
    asked = client.list_qualification_requests(QualificationTypeId=kind)
    assert asked["NumResults"] == 1
    request_id = asked["QualificationRequests"][0]["QualificationRequestId"]
    ada_id = asked["QualificationRequests"][0]["WorkerId"]
    client.accept_qualification_request(QualificationRequestId=request_id, IntegerValue=3)
    again = refused(client.accept_qualification_request, QualificationRequestId=request_id)
    assert again == "InvalidQualificationRequestState"
    ben.http.post(f"/worker/qualifications/{kind}/request")
    (asked_by_ben,) = client.list_qualification_requests()["QualificationRequests"]
    client.reject_qualification_request(
        QualificationRequestId=asked_by_ben["QualificationRequestId"], Reason="not now"
    )
    ben_id = asked_by_ben["WorkerId"]
    client.associate_qualification_with_worker(
        QualificationTypeId=kind, WorkerId=ben_id, IntegerValue=3, SendNotification=False
    )
    score = client.get_qualification_score(QualificationTypeId=kind, WorkerId=ada_id)
    assert score["Qualification"]["IntegerValue"] == 3
    first, second = ada.submit(hit_id), ben.submit(hit_id)
    client.disassociate_qualification_from_worker(
        QualificationTypeId=kind, WorkerId=ben_id, Reason="over"
    )
    workers = client.list_workers_with_qualification_type(QualificationTypeId=kind)
    assert [each["WorkerId"] for each in workers["Qualifications"]] == [ada_id]
    client.update_qualification_type(QualificationTypeId=kind, Description="Sees all colours")
    shown = client.get_qualification_type(QualificationTypeId=kind)["QualificationType"]
    assert shown["Description"] == "Sees all colours"
    assert client.list_qualification_types(Query="colours", MustBeRequestable=True)["NumResults"]

    assert client.list_reviewable_hits(HITTypeId=type_id)["HITs"][0]["HITId"] == hit_id
    client.update_hit_review_status(HITId=hit_id)
    assert client.get_hit(HITId=hit_id)["HIT"]["HITStatus"] == "Reviewing"
    client.approve_assignment(AssignmentId=first)
    client.reject_assignment(AssignmentId=second, RequesterFeedback="empty")
    assert client.get_assignment(AssignmentId=first)["HIT"]["HITId"] == hit_id
    assert client.list_assignments_for_hit(HITId=hit_id)["NumResults"] == 2
    assert refused(client.get_file_upload_url, AssignmentId=first, QuestionIdentifier="q")
    client.send_bonus(WorkerId=ada_id, BonusAmount="0.5", AssignmentId=first, Reason="fine")
    paid = client.list_bonus_payments(HITId=hit_id)["BonusPayments"]
    assert [(each["WorkerId"], each["BonusAmount"]) for each in paid] == [(ada_id, "0.50")]
    failures = client.notify_workers(
        Subject="Thanks", MessageText="See you", WorkerIds=[ada_id, "A0NOBODY"]
    )["NotifyWorkersFailureStatuses"]
    assert [each["WorkerId"] for each in failures] == ["A0NOBODY"]
    assert "See you" in ada.http.get("/worker/messages").text
    client.create_worker_block(WorkerId=ben_id, Reason="a test")
    assert client.list_worker_blocks()["WorkerBlocks"] == [{"WorkerId": ben_id, "Reason": "a test"}]
    assert ben.accept(other).status_code == 409
    client.delete_worker_block(WorkerId=ben_id, Reason="over")
    assert client.list_review_policy_results_for_hit(HITId=hit_id)["HITId"] == hit_id
    client.create_additional_assignments_for_hit(HITId=other, NumberOfAdditionalAssignments=2)
    assert client.get_hit(HITId=other)["HIT"]["MaxAssignments"] == 3
    client.update_expiration_for_hit(HITId=other, ExpireAt=0)
    client.delete_hit(HITId=other)
    client.delete_hit(HITId=hit_id)
    client.delete_qualification_type(QualificationTypeId=kind)
    assert refused(client.get_qualification_type, QualificationTypeId=kind) == (
        "QualificationTypeDoesNotExist"
    )
    assert client.list_hits()["HITs"] == []
    # One approved assignment and one bonus are all that was spent.
    spent = Decimal("10000") - Decimal(client.get_account_balance()["AvailableBalance"])
    assert spent == Decimal("0.12") + Decimal("0.60")
    assert called == set(OPERATIONS)


TYPE_VALUES = (
    "Title",
    "Description",
    "Keywords",
    "Reward",
    "AssignmentDurationInSeconds",
    "AutoApprovalDelayInSeconds",
)


def test_bonuses_are_paid_once_for_a_token_and_only_for_done_work(
    market: Market, client: Any, new_hit: NewHit
) -> None:
    hit_id = new_hit()
    ada, ben = market.worker("Ada"), market.worker("Ben")
    assignment, stranger = ada.submit(hit_id), ben.worker_id(hit_id)
    worker = client.get_assignment(AssignmentId=assignment)["Assignment"]["WorkerId"]
    bonus = {
        "WorkerId": worker,
        "AssignmentId": assignment,
        "BonusAmount": "0.01",
        "Reason": "one cent, and a cent of fee",
        "UniqueRequestToken": "bonus-1",
    }
    before = Decimal(client.get_account_balance()["AvailableBalance"])
    client.send_bonus(**bonus)
    assert before - Decimal(client.get_account_balance()["AvailableBalance"]) == Decimal("0.02")
    assert refused(client.send_bonus, **bonus) == "BonusAlreadyPaid"
    assert client.list_bonus_payments(AssignmentId=assignment)["NumResults"] == 1
    market.clock.advance(hours=25)
    client.send_bonus(**bonus)
    wrong = {**bonus, "WorkerId": stranger, "UniqueRequestToken": "bonus-2"}
    assert refused(client.send_bonus, **wrong) == "InvalidParameterValue"
    for amount in ("0", "10000.01", "1.234", "-1", "one"):
        assert refused(client.send_bonus, **{**bonus, "BonusAmount": amount})
    rich = {**bonus, "BonusAmount": "9999", "UniqueRequestToken": "bonus-3"}
    assert refused(client.send_bonus, **rich) == "InsufficientFunds"
    assert client.list_bonus_payments(AssignmentId=assignment)["NumResults"] == 2


def test_more_assignments_never_cross_ten(client: Any, new_hit: NewHit) -> None:
    few, many = new_hit(MaxAssignments=9), new_hit(MaxAssignments=10)
    more = client.create_additional_assignments_for_hit
    code = refused(more, HITId=few, NumberOfAdditionalAssignments=1)
    assert code == "InvalidMaximumAssignmentsIncrease"
    more(HITId=many, NumberOfAdditionalAssignments=5, UniqueRequestToken="more")
    again = {"HITId": many, "NumberOfAdditionalAssignments": 5, "UniqueRequestToken": "more"}
    assert refused(more, **again)
    assert client.get_hit(HITId=many)["HIT"]["MaxAssignments"] == 15


def test_a_hit_changes_its_type_at_its_price_while_nobody_works(
    market: Market, client: Any, new_hit: NewHit
) -> None:
    def balance() -> Decimal:
        return Decimal(client.get_account_balance()["AvailableBalance"])

    before, hit_id = balance(), new_hit(MaxAssignments=2, Reward="0.10")
    dear = client.create_hit_type(
        **{name: hit_values()[name] for name in TYPE_VALUES} | {"Reward": "1.00"}
    )["HITTypeId"]
    client.update_hit_type_of_hit(HITId=hit_id, HITTypeId=dear)
    assert before - balance() == Decimal("2.40")
    assert client.get_hit(HITId=hit_id)["HIT"]["Reward"] == "1.00"
    market.worker().accept(hit_id)
    assert refused(client.update_hit_type_of_hit, HITId=hit_id, HITTypeId=dear) == "InvalidHITState"


def test_said_and_unsaid_defaults_are_the_same_type(client: Any) -> None:
    values = {name: hit_values()[name] for name in TYPE_VALUES}
    del values["AutoApprovalDelayInSeconds"], values["Keywords"]
    said = {
        "AutoApprovalDelayInSeconds": 2_592_000,
        "Keywords": "",
        "QualificationRequirements": [],
    }
    unsaid = client.create_hit_type(**values)["HITTypeId"]
    assert client.create_hit_type(**values, **said)["HITTypeId"] == unsaid


def test_layouts_are_honestly_not_here(client: Any) -> None:
    values = hit_values(HITLayoutId="3ABC")
    del values["Question"]
    assert refused(client.create_hit, **values) == "HITLayoutDoesNotExist"
    del values["HITLayoutId"]
    assert refused(client.create_hit, **values) == "ValidationException"


def test_time_alone_disposes_of_a_hit_after_120_days(
    market: Market, client: Any, new_hit: NewHit
) -> None:
    hit_id = new_hit()
    market.worker().submit(hit_id)
    market.clock.advance(days=119)
    found = client.get_hit(HITId=hit_id)["HIT"]
    assert (found["HITStatus"], found["NumberOfAssignmentsCompleted"]) == ("Reviewable", 1)
    market.clock.advance(days=2)
    assert client.get_hit(HITId=hit_id)["HIT"]["HITStatus"] == "Disposed"
    spent = Decimal("10000") - Decimal(client.get_account_balance()["AvailableBalance"])
    assert spent == Decimal("0.12")


@pytest.mark.parametrize(
    "requirement",
    [
        {"QualificationTypeId": "3NOSUCHTYPE", "Comparator": "Exists"},
        {"QualificationTypeId": LOCALE, "Comparator": "Exists", "IntegerValues": [1]},
        {"QualificationTypeId": LOCALE, "Comparator": "LessThan",
         "LocaleValues": [{"Country": "US"}]},
        {"QualificationTypeId": LOCALE, "Comparator": "In", "LocaleValues": [{"Country": "usa"}]},
        {"QualificationTypeId": LOCALE, "Comparator": "EqualTo",
         "LocaleValues": [{"Country": "US"}, {"Country": "DE"}]},
        {"QualificationTypeId": APPROVED_HITS, "Comparator": "GreaterThan"},
        {"QualificationTypeId": APPROVED_HITS, "Comparator": "EqualTo", "IntegerValues": [1, 2]},
        {"QualificationTypeId": APPROVED_HITS, "Comparator": "In", "IntegerValues": [*range(16)]},
    ],
)  # fmt: skip
def test_requirements_that_nobody_could_meet_are_refused(
    client: Any, requirement: dict[str, Any]
) -> None:
    assert refused(client.create_hit, **hit_values(QualificationRequirements=[requirement]))
    many = [{"QualificationTypeId": MASTERS_SANDBOX, "Comparator": "Exists"}] * 11
    assert refused(client.create_hit, **hit_values(QualificationRequirements=many))
    assert client.list_hits()["HITs"] == []


def test_guards_hide_preview_or_the_hit_itself(
    market: Market, client: Any, new_hit: NewHit
) -> None:
    def guarded(actions: str, title: str) -> str:
        adult = {"QualificationTypeId": ADULT, "Comparator": "Exists", "ActionsGuarded": actions}
        return new_hit(QualificationRequirements=[adult], Title=title)

    open_to_see = guarded("Accept", "first")
    no_preview = guarded("PreviewAndAccept", "second")
    hidden = guarded("DiscoverPreviewAndAccept", "third")
    ada = market.worker()
    page = ada.http.get("/worker/").text
    assert "first" in page
    assert "second" in page
    assert "third" not in page
    codes = [
        ada.http.get(f"/worker/hits/{hit}").status_code for hit in (open_to_see, no_preview, hidden)
    ]
    assert codes == [200, 403, 403]
    assert {ada.accept(hit).status_code for hit in (open_to_see, no_preview, hidden)} == {409}


def test_a_test_with_an_answer_key_is_scored_at_once(market: Market, client: Any) -> None:
    kind = client.create_qualification_type(
        Name="Shapes", Description="Knows shapes", QualificationTypeStatus="Active",
        Test=QUESTION_FORM, AnswerKey=ANSWER_KEY, TestDurationInSeconds=600,
    )["QualificationType"]["QualificationTypeId"]  # fmt: skip
    ada, ben, cem = (market.worker(name) for name in ("Ada", "Ben", "Cem"))
    began = ada.http.post(f"/worker/qualifications/{kind}/request")
    test = began.headers["Location"]
    page = ada.http.get(test).text
    assert "How many corners" in page
    unfinished = ada.http.post(test, data={"corners": "four"})
    assert unfinished.status_code == 422
    assert 'value="four"' in unfinished.text
    assert ada.http.post(test, data={"corners": "four", "word": "star"}).status_code == 302
    assert ada.http.post(test, data={"corners": "four", "word": "star"}).status_code == 404
    (held,) = client.list_workers_with_qualification_type(QualificationTypeId=kind)[
        "Qualifications"
    ]
    assert held["IntegerValue"] == 100
    assert "Shapes: 100" in ada.http.get("/worker/qualifications").text
    # Without a retry delay a worker may ask once only; without an answer nothing is granted.
    assert ada.http.post(f"/worker/qualifications/{kind}/request").status_code == 409
    test = ben.http.post(f"/worker/qualifications/{kind}/request").headers["Location"]
    market.clock.advance(seconds=601)
    assert ben.http.post(test, data={"corners": "four", "word": "x"}).status_code == 404
    test = cem.http.post(f"/worker/qualifications/{kind}/request").headers["Location"]
    cem.http.post(test, data={"corners": "three", "word": "x"})
    scores = client.list_workers_with_qualification_type(QualificationTypeId=kind)
    assert sorted(each["IntegerValue"] for each in scores["Qualifications"]) == [0, 100]
    # The key is its owner's alone.
    assert (
        "AnswerKey" in client.get_qualification_type(QualificationTypeId=kind)["QualificationType"]
    )


def test_qualification_types_keep_their_rules(market: Market, client: Any) -> None:
    def make(**changes: Any) -> Any:
        values = {"Name": "N", "Description": "D", "QualificationTypeStatus": "Active"}
        return client.create_qualification_type(**values | changes)["QualificationType"]

    kind = make(AutoGranted=True, AutoGrantedValue=7)
    again = {"Name": "N", "Description": "D", "QualificationTypeStatus": "Active"}
    code = refused(client.create_qualification_type, **again)
    assert code == "QualificationTypeAlreadyExists"
    for wrong in (
        {"Test": QUESTION_FORM},
        {"AnswerKey": ANSWER_KEY},
        {"Test": "<x/>", "TestDurationInSeconds": 60},
        {"Test": QUESTION_FORM, "TestDurationInSeconds": 60, "AutoGranted": True},
        {"AutoGrantedValue": 3},
    ):
        with pytest.raises(ClientError, match="ValidationException"):
            make(Name="M", **wrong)
    ada = market.worker()
    type_id = kind["QualificationTypeId"]
    assert ada.http.post(f"/worker/qualifications/{type_id}/request").status_code == 302
    assert "N: 7" in ada.http.get("/worker/qualifications").text
    client.update_qualification_type(
        QualificationTypeId=type_id, QualificationTypeStatus="Inactive"
    )
    ben = market.worker("Ben")
    assert ben.http.post(f"/worker/qualifications/{type_id}/request").status_code == 409
    client.delete_qualification_type(QualificationTypeId=type_id)
    assert make()["QualificationTypeId"] != type_id


def test_a_token_that_races_with_itself_makes_one_hit(any_market: Market) -> None:
    values = hit_values(UniqueRequestToken="raced")
    gate, results = threading.Barrier(8), []

    def rush() -> None:
        client = any_market.client()
        gate.wait()
        try:
            client.create_hit(**values)
            results.append("made")
        except ClientError as error:
            results.append(error.response["TurkErrorCode"].rpartition(".")[2])

    threads = [threading.Thread(target=rush) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == ["HITAlreadyExists"] * 7 + ["made"]
    assert any_market.client().list_hits()["NumResults"] == 1


def test_rushing_workers_and_requesters_lose_no_cent(any_market: Market) -> None:
    """Accepts, rejections and new HITs at once: none too many, and the books agree."""
    client = any_market.client()
    hit_id = client.create_hit(**hit_values(MaxAssignments=5))["HIT"]["HITId"]
    people = [any_market.worker(f"Worker {number}") for number in range(12)]
    gate = threading.Barrier(16)
    codes: list[int] = []

    def work(number: int) -> None:
        gate.wait()
        codes.append(people[number].accept(hit_id).status_code)
        if codes and people[number].http.get("/worker/").status_code == 200:
            page = people[number].http.get("/worker/").text
            if "Continue" in page:
                people[number].submit(hit_id)

    def publish() -> None:
        own = any_market.client()
        gate.wait()
        for _ in range(5):
            own.create_hit(**hit_values(MaxAssignments=1))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(12)]
    threads += [threading.Thread(target=publish) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (codes.count(302), codes.count(409)) == (5, 7)
    done = client.list_assignments_for_hit(HITId=hit_id)["Assignments"]
    assert len(done) == 5
    for assignment in done:
        client.reject_assignment(AssignmentId=assignment["AssignmentId"], RequesterFeedback="no")
    balance = Decimal(client.get_account_balance()["AvailableBalance"])
    # 20 HITs of one assignment at 0.12; the first HIT's five were all given back.
    assert balance == Decimal("10000") - 20 * Decimal("0.12")


def test_signatures_of_any_region_are_checked(market: Market) -> None:
    sandbox = market.client(region="sandbox")
    assert sandbox.get_account_balance()["AvailableBalance"] == "10000.00"
    forged = market.client(region="sandbox", secret_key="wrong")
    assert refused(forged.get_account_balance) == "InvalidSignatureException"
    assert httpx.post(market.url + "/", content="{}").status_code == 403


def test_migrations_make_exactly_the_records(any_market: Market) -> None:
    command.check(alembic_config(any_market.marketplace.engine, "marketplace"))


@pytest.mark.slow
def test_malformed_requests_get_known_answers_and_lose_nothing(any_market: Market) -> None:
    answers = storm(any_market, 1500)
    assert set(answers) == {200, 400}
    assert answers[200] > 100
