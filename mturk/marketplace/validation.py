"""Requests against botocore's own service model: types, required members, patterns, bounds."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import botocore.session
from botocore.model import OperationModel, ServiceModel, Shape
from botocore.validate import ParamValidator
from lxml import etree

from mturk.marketplace.errors import InvalidParameters
from mturk.marketplace.forms import parse_xml, read_form

LENGTHS = {
    "Title": (1, 128),
    "Description": (1, 2000),
    "Keywords": (0, 1000),
    "RequesterAnnotation": (0, 255),
    "RequesterFeedback": (0, 1024),
    "Name": (1, 200),
    "Query": (0, 1000),
    "Reason": (0, 4096),
    "Subject": (1, 200),
    "MessageText": (1, 4096),
    "QualificationRequestId": (1, 64),
    "Destination": (1, 1000),
}
"""Characters, where the service model names no bounds."""
BYTES = {"Question": 65_535, "Test": 65_535, "AnswerKey": 65_535}
NUMBERS = {
    "MaxAssignments": (1, 10**9),
    "NumberOfAdditionalAssignments": (1, 10**9),
    "LifetimeInSeconds": (30, 31_536_000),
    "AssignmentDurationInSeconds": (30, 31_536_000),
    "AutoApprovalDelayInSeconds": (0, 2_592_000),
    "TestDurationInSeconds": (1, 31_536_000),
    "RetryDelayInSeconds": (0, 31_536_000),
    "IntegerValue": (-(2**31), 2**31 - 1),
    "AutoGrantedValue": (-(2**31), 2**31 - 1),
}
DOLLARS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,2})?\.?")
MOST_WORKERS = 100
MOST_ITEMS = 10_000
PATTERN = "Member must satisfy regular expression pattern"
ID = re.compile(r"[A-Z0-9]{1,64}")
QUESTION_ROOTS = ("ExternalQuestion", "HTMLQuestion", "QuestionForm")
LOOPBACK = re.compile(r"http://(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?(/|$)")


@cache
def service_model() -> ServiceModel:
    """Botocore's model of the API."""
    return botocore.session.get_session().get_service_model("mturk")


def check_request(operation: OperationModel, values: Any) -> dict[str, Any]:
    """Check a request's body and fill nothing in.

    Raises:
        InvalidParameters: naming the member and what it must be.
    """
    if not isinstance(values, dict):
        raise InvalidParameters("The body must be a JSON object.")
    shape = operation.input_shape
    if shape is None:
        return {}
    try:
        report = ParamValidator().validate(values, shape)
    except (ValueError, OverflowError, OSError, TypeError, RuntimeError) as error:
        raise InvalidParameters(f"A value cannot be read: {error}") from None
    if report.has_errors():
        raise InvalidParameters(report.generate_report())
    if unknown := set(values) - set(shape.members):
        raise InvalidParameters(f"Unknown members: {', '.join(sorted(unknown))}")
    for name, value in values.items():
        _check_member(name, value, shape.members[name])
    return values


def _check_member(name: str, value: Any, shape: Shape) -> None:
    """Check a value and all that is in it, by the service model and by the rules above."""
    if isinstance(value, list):
        _check_list(name, value, shape)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key in shape.members:  # type: ignore[attr-defined]
                _check_member(key, item, shape.members[key])  # type: ignore[attr-defined]
    elif isinstance(value, str):
        _check_text(name, value, shape)
    elif isinstance(value, int) and not isinstance(value, bool):
        low, high = _bounds(name, shape, NUMBERS, (-(2**31), 2**31 - 1))
        if shape.type_name in ("integer", "long") and not low <= value <= high:
            _refuse(name, value, f"Member must have value between {low} and {high}")


def _check_list(name: str, value: list[Any], shape: Shape) -> None:
    low, high = (1, MOST_WORKERS) if name == "WorkerIds" else (0, MOST_ITEMS)
    if not low <= len(value) <= high:
        _refuse(name, len(value), f"Member must have length between {low} and {high}")
    for item in value:
        _check_member(name, item, shape.member)  # type: ignore[attr-defined]


def _check_text(name: str, value: str, shape: Shape) -> None:
    allowed = getattr(shape, "enum", [])
    if allowed and value not in allowed:
        _refuse(name, value, f"Member must satisfy enum value set: [{', '.join(allowed)}]")
    low, high = _bounds(name, shape, LENGTHS, (0, 65_535))
    if name in BYTES and not 1 <= len(value.encode()) <= BYTES[name]:
        _refuse(name, value, f"Member must have length between 1 and {BYTES[name]} bytes")
    elif name not in BYTES and not low <= len(value) <= high:
        _refuse(name, value, f"Member must have length between {low} and {high}")
    pattern = shape.metadata.get("pattern")
    if name in ("Reward", "BonusAmount"):
        if not DOLLARS.fullmatch(value):
            _refuse(name, value, f"{PATTERN} {pattern}")
    elif pattern and not re.fullmatch(pattern, value, re.ASCII):
        _refuse(name, value, f"{PATTERN} {pattern}")
    elif name.endswith("Id") and shape.name == "EntityId" and not ID.fullmatch(value):
        _refuse(name, value, f"{PATTERN} ^[A-Z0-9]+$")
    if name == "Question":
        check_question(value)


def _bounds(
    name: str, shape: Shape, known: dict[str, tuple[int, int]], default: tuple[int, int]
) -> tuple[int, int]:
    low, high = known.get(name, default)
    return shape.metadata.get("min", low), shape.metadata.get("max", high)


def check_question(xml: str) -> None:
    """Refuse a question that no worker could be shown.

    Raises:
        InvalidParameters: it is not XML, of an unknown kind, or names an unsafe address.
    """
    root = parse_xml(xml, "the Question")
    kind = etree.QName(root).localname
    if kind not in QUESTION_ROOTS:
        raise InvalidParameters(
            f"A question of kind {kind} is not offered here; use {' or '.join(QUESTION_ROOTS)}."
        )
    if kind == "QuestionForm":
        read_form(xml)
        return
    height = (root.findtext("{*}FrameHeight") or "0").strip() or "0"
    if not height.isascii() or not height.isdecimal() or len(height) > 5:
        raise InvalidParameters(f"FrameHeight {height[:40]!r} must be a number of pixels.")
    if kind == "ExternalQuestion":
        url = (root.findtext("{*}ExternalURL") or "").strip()
        if not url.startswith("https://") and not LOOPBACK.match(url):
            raise InvalidParameters(
                f"ExternalURL {url!r} must begin with https:// (http is for this machine alone)."
            )
    elif root.find("{*}HTMLContent") is None:
        raise InvalidParameters("An HTMLQuestion needs an HTMLContent.")


def _refuse(name: str, value: Any, rule: str) -> None:
    member = name[0].lower() + name[1:]
    shown = str(value) if len(str(value)) <= 60 else f"{str(value)[:57]}..."
    raise InvalidParameters(
        f"1 validation error detected: Value '{shown}' at '{member}' failed to satisfy "
        f"constraint: {rule}"
    )
