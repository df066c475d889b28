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

LENGTHS = {
    "Title": (1, 128),
    "Description": (1, 2000),
    "Keywords": (0, 1000),
    "RequesterAnnotation": (0, 255),
    "Question": (1, 65_535),
    "UniqueRequestToken": (1, 64),
    "RequesterFeedback": (0, 1024),
}
NUMBERS = {
    "MaxAssignments": (1, 10**9),
    "LifetimeInSeconds": (30, 31_536_000),
    "AssignmentDurationInSeconds": (30, 31_536_000),
    "AutoApprovalDelayInSeconds": (0, 2_592_000),
    "MaxResults": (1, 100),
}
REWARD = re.compile(r"[0-9]{1,9}(\.[0-9]{1,2})?\.?")
PATTERN = "Member must satisfy regular expression pattern"
ID = re.compile(r"[A-Z0-9]{1,64}")
QUESTION_ROOTS = ("ExternalQuestion", "HTMLQuestion")
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
    except (ValueError, OverflowError, OSError, TypeError) as error:
        raise InvalidParameters(f"A value cannot be read: {error}") from None
    if report.has_errors():
        raise InvalidParameters(report.generate_report())
    if unknown := set(values) - set(shape.members):
        raise InvalidParameters(f"Unknown members: {', '.join(sorted(unknown))}")
    for name, value in values.items():
        _check_member(name, value, shape.members[name])
    return values


def _check_member(name: str, value: Any, shape: Shape) -> None:
    if name in LENGTHS and isinstance(value, str):
        low, high = LENGTHS[name]
        if not low <= len(value.encode() if name == "Question" else value) <= high:
            _refuse(name, value, f"Member must have length between {low} and {high}")
    if name in NUMBERS and isinstance(value, int):
        low, high = NUMBERS[name]
        if not low <= value <= high:
            _refuse(name, value, f"Member must have value between {low} and {high}")
    if name == "Reward" and not REWARD.fullmatch(str(value)):
        _refuse(
            name, value, "Member must satisfy regular expression pattern ^[0-9]+(\\.)?[0-9]{0,2}$"
        )
    if name.endswith("Id") and isinstance(value, str) and not ID.fullmatch(value):
        _refuse(name, value, f"{PATTERN} ^[A-Z0-9]+$")
    _check_enumerations(name, value, shape)
    if name == "Question":
        check_question(value)


def _check_enumerations(name: str, value: Any, shape: Shape) -> None:
    """Botocore does not hold strings against a shape's values; the service did."""
    if shape.type_name == "list" and isinstance(value, list):
        for item in value:
            _check_enumerations(name, item, shape.member)  # type: ignore[attr-defined]
    elif shape.type_name == "structure" and isinstance(value, dict):
        for key, item in value.items():
            if key in shape.members:  # type: ignore[attr-defined]
                _check_enumerations(key, item, shape.members[key])  # type: ignore[attr-defined]
    elif isinstance(value, str):
        allowed = getattr(shape, "enum", [])
        if allowed and value not in allowed:
            _refuse(name, value, f"Member must satisfy enum value set: [{', '.join(allowed)}]")


def check_question(xml: str) -> None:
    """Refuse a question that no worker could be shown.

    Raises:
        InvalidParameters: it is not XML, of an unknown kind, or names an unsafe address.
    """
    try:
        parser = etree.XMLParser(resolve_entities=False, no_network=True)
        root = etree.fromstring(xml.encode(), parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise InvalidParameters(f"There was an error parsing the XML question: {error}") from None
    kind = etree.QName(root).localname
    if kind not in QUESTION_ROOTS:
        raise InvalidParameters(
            f"A question of kind {kind} is not offered here; use {' or '.join(QUESTION_ROOTS)}."
        )
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
