"""Operations on qualification types, on who has them and on who asks for them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import or_, select, update

from mturk.marketplace import rules
from mturk.marketplace.answer_keys import check_test
from mturk.marketplace.errors import ApiError, InvalidParameters, missing
from mturk.marketplace.ids import new_id
from mturk.marketplace.operations.call import Call, Values, of_this_requester
from mturk.marketplace.qualifying import BUILT_IN, grant
from mturk.marketplace.records import (
    MarketHit,
    Qualification,
    QualificationRequest,
    QualificationType,
    Worker,
)


def create_qualification_type(call: Call) -> Values:
    """A type of one's own; its name is unique among the requester's."""
    values = call.values
    _check_type(values)
    same = call.session.scalar(
        select(QualificationType).where(
            QualificationType.requester_id == call.requester.id,
            QualificationType.name == values["Name"],
        )
    )
    if same is not None:
        raise ApiError(
            "You have already created a QualificationType with this name. A QualificationType's "
            "name must be unique among all of the QualificationTypes created by the same user: "
            f"{same.type_id}",
            "QualificationTypeAlreadyExists",
        )
    kind = QualificationType(
        type_id=new_id("3"),
        requester_id=call.requester.id,
        name=values["Name"],
        description=values["Description"],
        keywords=values.get("Keywords", ""),
        active=values["QualificationTypeStatus"] == "Active",
        test=values.get("Test"),
        answer_key=values.get("AnswerKey"),
        test_duration_s=values.get("TestDurationInSeconds"),
        retry_delay_s=values.get("RetryDelayInSeconds"),
        auto_granted=values.get("AutoGranted", False),
        auto_granted_value=values.get("AutoGrantedValue", 1),
        created_at=call.now,
    )
    call.session.add(kind)
    call.session.flush()
    return {"QualificationType": type_shape(kind)}


def update_qualification_type(call: Call) -> Values:
    """Change a type; a test is replaced as a whole and cannot be taken away."""
    kind, values = call.own_qualification_type(), call.values
    if kind.test and values.get("AutoGranted"):
        raise InvalidParameters("AutoGranted cannot be true for a type that has a Test.")
    _check_type(values)
    if "Test" in values:
        kind.test, kind.answer_key = values["Test"], values.get("AnswerKey")
        kind.test_duration_s = values["TestDurationInSeconds"]
    members = {
        "Description": "description",
        "RetryDelayInSeconds": "retry_delay_s",
        "AutoGranted": "auto_granted",
        "AutoGrantedValue": "auto_granted_value",
    }
    for member, column in members.items():
        if member in values:
            setattr(kind, column, values[member])
    if "QualificationTypeStatus" in values:
        kind.active = values["QualificationTypeStatus"] == "Active"
    if kind.test:
        kind.auto_granted = False
    return {"QualificationType": type_shape(kind)}


def get_qualification_type(call: Call) -> Values:
    """A type by its id: anybody's, and the built-in ones."""
    type_id = call.values["QualificationTypeId"]
    if type_id in BUILT_IN:
        return {"QualificationType": _built_in_shape(type_id)}
    kind = call.session.scalar(
        select(QualificationType).where(
            QualificationType.type_id == type_id, QualificationType.deleted.is_(False)
        )
    )
    if kind is None:
        raise missing("QualificationType", type_id)
    return {"QualificationType": type_shape(kind, own=kind.requester_id == call.requester.id)}


def list_qualification_types(call: Call) -> Values:
    """Types that a search finds; the built-in ones are nobody's and cannot be requested."""
    values = call.values
    statement = select(QualificationType).where(QualificationType.deleted.is_(False))
    if values.get("MustBeOwnedByCaller"):
        statement = statement.where(QualificationType.requester_id == call.requester.id)
    if values["MustBeRequestable"]:
        statement = statement.where(QualificationType.active)
    for word in values.get("Query", "").split():
        columns = (
            QualificationType.name,
            QualificationType.description,
            QualificationType.keywords,
        )
        statement = statement.where(or_(*(column.icontains(word) for column in columns)))
    found = call.session.scalars(statement.order_by(QualificationType.id))
    shapes = [type_shape(kind, own=kind.requester_id == call.requester.id) for kind in found]
    if not values["MustBeRequestable"] and not values.get("MustBeOwnedByCaller"):
        query = values.get("Query", "").lower().split()
        shapes += [
            _built_in_shape(type_id)
            for type_id, name in BUILT_IN.items()
            if all(word in name.lower() for word in query)
        ]
    some, more = call.page_of(shapes)
    return {"QualificationTypes": some, **more}


def delete_qualification_type(call: Call) -> Values:
    """End a type: pending requests are rejected, its name is free once no HIT asks for it."""
    kind = call.own_qualification_type()
    call.session.execute(
        update(QualificationRequest)
        .where(
            QualificationRequest.type_record_id == kind.id,
            QualificationRequest.status.in_(("Pending", "Taking")),
        )
        .values(status="Rejected")
    )
    kind.deleted, kind.active = True, False
    # Nothing waits for it here, so the name is free at once.
    kind.name = f"{kind.name[:160]} (deleted {kind.type_id})"
    return {}


def list_hits_for_qualification_type(call: Call) -> Values:
    """This requester's HITs that ask for a type."""
    type_id = call.values["QualificationTypeId"]
    if type_id not in BUILT_IN:
        call.own_qualification_type()
    hits = call.session.scalars(of_this_requester(call, select(MarketHit)))
    asking = [
        hit.id
        for hit in hits
        if any(each["QualificationTypeId"] == type_id for each in hit.hit_type.requirements)
    ]
    statement = select(MarketHit).where(MarketHit.id.in_(asking))
    return call.page(statement, MarketHit, "HITs", call.shape)


def associate_qualification(call: Call) -> Values:
    """Give a worker a qualification, asked for or not; a pending request stays as it is."""
    kind, worker = call.own_qualification_type(), call.worker()
    grant(call.session, kind, worker, call.values.get("IntegerValue", 1), call.now)
    if call.values.get("SendNotification", True):
        message = (f"You have the qualification {kind.name}", kind.description)
        rules.tell_worker(call.session, worker, call.requester.name, message, call.now)
    return {}


def disassociate_qualification(call: Call) -> Values:
    """Revoke a worker's qualification."""
    kind, worker = call.own_qualification_type(), call.worker()
    held = _granted(call, kind, worker)
    held.granted = False
    if reason := call.values.get("Reason"):
        message = (f"Your qualification {kind.name} was revoked", reason)
        rules.tell_worker(call.session, worker, call.requester.name, message, call.now)
    return {}


def get_qualification_score(call: Call) -> Values:
    """A worker's value of one of this requester's types."""
    return {"Qualification": _shape(_granted(call, call.own_qualification_type(), call.worker()))}


def list_workers(call: Call) -> Values:
    """Who has a type; who had it with Status Revoked."""
    kind = call.own_qualification_type()
    granted = call.values.get("Status", "Granted") == "Granted"
    statement = select(Qualification).where(
        Qualification.type_record_id == kind.id, Qualification.granted.is_(granted)
    )
    return call.page(statement, Qualification, "Qualifications", _shape)


def list_requests(call: Call) -> Values:
    """Requests for this requester's types that wait for an answer."""
    statement = (
        select(QualificationRequest)
        .join(QualificationType)
        .where(
            QualificationType.requester_id == call.requester.id,
            QualificationRequest.status == "Pending",
        )
    )
    if "QualificationTypeId" in call.values:
        kind = call.own_qualification_type()
        statement = statement.where(QualificationRequest.type_record_id == kind.id)
    return call.page(statement, QualificationRequest, "QualificationRequests", _request_shape)


def accept_request(call: Call) -> Values:
    """Grant what a worker asked for."""
    asked = _pending(call)
    grant(call.session, asked.kind, asked.worker, call.values.get("IntegerValue", 1), call.now)
    asked.status = "Granted"
    message = (f"You have the qualification {asked.kind.name}", asked.kind.description)
    rules.tell_worker(call.session, asked.worker, call.requester.name, message, call.now)
    return {}


def reject_request(call: Call) -> Values:
    """Refuse what a worker asked for; the worker sees the reason."""
    asked = _pending(call)
    asked.status = "Rejected"
    reason = call.values.get("Reason", "No reason was given.")
    message = (f"Your request for {asked.kind.name} was rejected", reason)
    rules.tell_worker(call.session, asked.worker, call.requester.name, message, call.now)
    return {}


def type_shape(kind: QualificationType, *, own: bool = True) -> Values:
    """The members of a type; the answer key is its owner's only."""
    shape: Values = {
        "QualificationTypeId": kind.type_id,
        "CreationTime": kind.created_at.timestamp(),
        "Name": kind.name,
        "Description": kind.description,
        "Keywords": kind.keywords,
        "QualificationTypeStatus": "Active" if kind.active else "Inactive",
        "IsRequestable": kind.active,
        "AutoGranted": kind.auto_granted,
    }
    given: dict[str, Any] = {
        "Test": kind.test,
        "TestDurationInSeconds": kind.test_duration_s,
        "AnswerKey": kind.answer_key if own else None,
        "RetryDelayInSeconds": kind.retry_delay_s,
        "AutoGrantedValue": kind.auto_granted_value if kind.auto_granted else None,
    }
    return shape | {name: value for name, value in given.items() if value is not None}


def _built_in_shape(type_id: str) -> Values:
    return {
        "QualificationTypeId": type_id,
        "CreationTime": 0,
        "Name": BUILT_IN[type_id],
        "Description": "Kept by the marketplace itself.",
        "QualificationTypeStatus": "Active",
        "IsRequestable": False,
        "AutoGranted": False,
    }


def _shape(held: Qualification) -> Values:
    return {
        "QualificationTypeId": held.kind.type_id,
        "WorkerId": held.worker.worker_id,
        "GrantTime": held.granted_at.timestamp(),
        "IntegerValue": held.value,
        "Status": "Granted" if held.granted else "Revoked",
    }


def _request_shape(asked: QualificationRequest) -> Values:
    shape: Values = {
        "QualificationRequestId": asked.request_id,
        "QualificationTypeId": asked.kind.type_id,
        "WorkerId": asked.worker.worker_id,
        "SubmitTime": (asked.submitted_at or asked.begun_at).timestamp(),
    }
    given = {"Test": asked.test, "Answer": asked.answer}
    return shape | {name: value for name, value in given.items() if value is not None}


def _granted(call: Call, kind: QualificationType, worker: Worker) -> Qualification:
    """What a worker has now; the words are those that published clients look for."""
    held = _held(call, kind, worker)
    if not held.granted:
        raise ApiError(
            "This Qualification is currently in the state 'Revoked'. This operation can be called "
            "with a status of: Granted",
            "InvalidQualificationState",
        )
    return held


def _held(call: Call, kind: QualificationType, worker: Worker) -> Qualification:
    held = call.session.scalar(
        select(Qualification).where(
            Qualification.type_record_id == kind.id, Qualification.worker_record_id == worker.id
        )
    )
    if held is None:
        raise ApiError(
            f"You requested a Qualification that does not exist: worker {worker.worker_id} was "
            f"never given {kind.type_id}.",
            "QualificationDoesNotExist",
        )
    return held


def _pending(call: Call) -> QualificationRequest:
    request_id = call.values["QualificationRequestId"]
    asked = call.session.scalar(
        select(QualificationRequest)
        .join(QualificationType)
        .where(
            QualificationRequest.request_id == request_id,
            QualificationType.requester_id == call.requester.id,
            QualificationRequest.status != "Taking",
        )
    )
    if asked is None:
        raise missing("QualificationRequest", request_id[:64])
    if asked.status != "Pending":
        raise ApiError(
            f"This QualificationRequest is currently in the state '{asked.status}'.",
            "InvalidQualificationRequestState",
        )
    return asked


def _check_type(values: Values) -> None:
    """The rules that hold between the members of a type."""
    if "Test" in values:
        if values.get("AutoGranted"):
            raise InvalidParameters("AutoGranted cannot be true for a type that has a Test.")
        if "TestDurationInSeconds" not in values:
            raise InvalidParameters("A Test needs TestDurationInSeconds.")
    elif "AnswerKey" in values or "TestDurationInSeconds" in values:
        raise InvalidParameters(
            "AnswerKey and TestDurationInSeconds need the Test that they are of."
        )
    if "AutoGrantedValue" in values and not values.get("AutoGranted"):
        raise InvalidParameters("AutoGrantedValue is used only where AutoGranted is true.")
    if "Test" in values:
        check_test(values["Test"], values.get("AnswerKey"))
