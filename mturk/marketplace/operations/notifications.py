"""Operations on notifications."""

from __future__ import annotations

from sqlalchemy import select

from mturk.marketplace import events
from mturk.marketplace.errors import ApiError, InvalidParameters
from mturk.marketplace.operations.call import Call, Values
from mturk.marketplace.records import NotificationSetting

VERSIONS = ("2006-05-05", "2014-08-15")


def update_notification_settings(call: Call) -> Values:
    """Say where the events of a HIT type's HITs go, or switch that on and off."""
    kind, values = call.hit_type(), call.values
    if "Notification" not in values and "Active" not in values:
        raise InvalidParameters("Notification or Active must be given.")
    setting = call.session.scalar(
        select(NotificationSetting).where(NotificationSetting.type_record_id == kind.id)
    )
    given = values.get("Notification")
    if given is not None:
        _check(given)
        if "Ping" in given["EventTypes"]:
            raise InvalidParameters("The event Ping is for SendTestEventNotification only.")
        if setting is None:
            setting = NotificationSetting(type_record_id=kind.id, active=True)
            call.session.add(setting)
        setting.transport, setting.destination = given["Transport"], given["Destination"]
        setting.events = given["EventTypes"]
    if setting is None:
        raise InvalidParameters("This HIT type has no Notification yet: give one.")
    setting.active = values.get("Active", setting.active)
    return {}


def send_test_event(call: Call) -> Values:
    """Send what an event would look like."""
    given = call.values["Notification"]
    _check(given)
    events.send_test(call.session, call.requester, given, call.values["TestEventType"], call.now)
    return {}


def _check(given: Values) -> None:
    if given["Transport"] == "Email":
        raise ApiError(
            "This marketplace sends no e-mail. Use SQS or SNS.", "AWS.ServiceUnavailable"
        )
    if given["Version"] not in VERSIONS:
        raise InvalidParameters(f"Version {given['Version'][:20]!r} must be {VERSIONS[0]}.")
    if not given["EventTypes"]:
        raise InvalidParameters("EventTypes must name at least one event.")
    wanted = "https://" if given["Transport"] == "SQS" else "arn:"
    destination = given["Destination"]
    local = given["Transport"] == "SQS" and destination.startswith("http://")
    if not destination.startswith(wanted) and not local:
        raise InvalidParameters(
            f"Destination {destination[:80]!r} must be "
            + ("a queue's URL." if given["Transport"] == "SQS" else "a topic's ARN.")
        )
