"""Events told to queues and topics, through boto3, to an emulation of SQS and SNS."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer
from sqlalchemy import select

from mturk.marketplace.notifier import Notifier
from mturk.marketplace.records import Outgoing
from tests.mturk.conftest import Market, hit_values


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Any, str, str]]:
    """An SQS client, a queue's URL, and the ARN of a topic that feeds it."""
    server = ThreadedMotoServer(port=0)
    server.start()
    host, port = server.get_host_and_port()
    for service in ("SQS", "SNS"):
        monkeypatch.setenv(f"AWS_ENDPOINT_URL_{service}", f"http://{host}:{port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    session: Any = boto3.session.Session(region_name="us-east-1")
    sqs, sns = session.client("sqs"), session.client("sns")
    url = sqs.create_queue(QueueName="events")["QueueUrl"]
    topic = sns.create_topic(Name="events")["TopicArn"]
    sns.subscribe(
        TopicArn=topic,
        Protocol="sqs",
        Endpoint="arn:aws:sqs:us-east-1:123456789012:events",
        Attributes={"RawMessageDelivery": "true"},
    )
    yield sqs, url, topic
    server.stop()


def received(sqs: Any, url: str) -> list[dict[str, Any]]:
    """The events that lie in a queue."""
    events: list[dict[str, Any]] = []
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        for message in messages:
            events += json.loads(message["Body"])["Events"]
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return events


def specification(transport: str, destination: str, *events: str) -> dict[str, Any]:
    return {
        "Destination": destination,
        "Transport": transport,
        "Version": "2006-05-05",
        "EventTypes": list(events),
    }


EVENTS = (
    "AssignmentAccepted",
    "AssignmentAbandoned",
    "AssignmentReturned",
    "AssignmentSubmitted",
    "AssignmentRejected",
    "AssignmentApproved",
    "HITCreated",
    "HITExpired",
    "HITReviewable",
    "HITExtended",
    "HITDisposed",
)


@pytest.mark.slow
def test_each_event_is_told_once(market: Market, client: Any, queue: tuple[Any, str, str]) -> None:
    sqs, url, _ = queue
    values = hit_values(MaxAssignments=2)
    made = {name: values[name] for name in ("Title", "Description", "Keywords", "Reward")}
    made |= {name: values[name] for name in values if name.endswith("Seconds")}
    del made["LifetimeInSeconds"]
    type_id = client.create_hit_type(**made)["HITTypeId"]
    client.update_notification_settings(
        HITTypeId=type_id, Notification=specification("SQS", url, *EVENTS)
    )
    hit_id = client.create_hit(**values)["HIT"]["HITId"]
    ada, ben, cem = (market.worker(name) for name in ("Ada", "Ben", "Cem"))
    returned = ada.frame(hit_id)["assignmentId"]
    ada.http.post(f"/worker/assignments/{returned}/return")
    cem.accept(hit_id)
    market.clock.advance(seconds=601)
    first, second = ada.submit(hit_id, answer="yes"), ben.submit(hit_id)
    client.approve_assignment(AssignmentId=first)
    client.reject_assignment(AssignmentId=second, RequesterFeedback="no")
    client.create_additional_assignments_for_hit(HITId=hit_id, NumberOfAdditionalAssignments=1)
    client.update_expiration_for_hit(HITId=hit_id, ExpireAt=0)
    client.delete_hit(HITId=hit_id)
    Notifier(market.marketplace.sessions, market.clock).send_due()
    told = received(sqs, url)
    assert [event["EventType"] for event in told] == [
        "HITCreated",
        "AssignmentAccepted",
        "AssignmentReturned",
        "AssignmentAccepted",
        "AssignmentAbandoned",
        "AssignmentAccepted",
        "AssignmentSubmitted",
        "AssignmentAccepted",
        "AssignmentSubmitted",
        "HITReviewable",
        "AssignmentApproved",
        "AssignmentRejected",
        "HITExtended",
        "HITExpired",
        "HITReviewable",
        "HITDisposed",
    ]
    submitted = next(event for event in told if event["EventType"] == "AssignmentSubmitted")
    assert (submitted["HITId"], submitted["AssignmentId"]) == (hit_id, first)
    assert "<FreeText>yes</FreeText>" in submitted["Answer"]
    client.update_notification_settings(HITTypeId=type_id, Active=False)
    client.create_hit(**values)
    assert Notifier(market.marketplace.sessions, market.clock).send_due() == 0


def test_a_topic_gets_a_test_event_by_itself(
    market: Market, client: Any, queue: tuple[Any, str, str]
) -> None:
    sqs, url, topic = queue
    with Notifier(market.marketplace.sessions, market.clock, every=0.05):
        client.send_test_event_notification(
            Notification=specification("SNS", topic, "Ping"), TestEventType="Ping"
        )
        events: list[dict[str, Any]] = []
        for _ in range(100):
            events = events or received(sqs, url)
    assert [event["EventType"] for event in events] == ["Ping"]


def test_what_cannot_be_sent_waits_and_is_tried_again(
    market: Market, client: Any, queue: tuple[Any, str, str]
) -> None:
    sqs, url, _ = queue
    missing = url.replace("events", "nowhere")
    client.send_test_event_notification(
        Notification=specification("SQS", missing, "HITCreated"), TestEventType="HITCreated"
    )
    notifier = Notifier(market.marketplace.sessions, market.clock)
    assert notifier.send_due() == 0
    with market.marketplace.sessions() as session:
        waiting = session.scalars(select(Outgoing)).one()
        assert (waiting.attempts, "NonExistentQueue" in (waiting.error or "")) == (1, True)
    assert notifier.send_due() == 0
    sqs.create_queue(QueueName="nowhere")
    market.clock.advance(seconds=10)
    assert notifier.send_due() == 1
    assert [event["EventType"] for event in received(sqs, missing)] == ["HITCreated"]
