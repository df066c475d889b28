"""The API's door: POST / with the operation's name in a header."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

from flask import Blueprint, Response, current_app, request
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import Session, sessionmaker

from mturk.marketplace.errors import ApiError, InvalidParameters, UnknownOperation
from mturk.marketplace.operations import OPERATIONS, Call
from mturk.marketplace.settling import settle
from mturk.marketplace.signatures import signed_by
from mturk.marketplace.throttling import Throttle
from mturk.marketplace.validation import check_request, service_model

TRIES = 3
PREFIX = "MTurkRequesterServiceV20170117."
api = Blueprint("api", __name__)


@api.post("/")
def call() -> Response:
    """Check who asks and for what, do it in one transaction, answer in JSON 1.1."""
    try:
        for _ in range(TRIES - 1):
            try:
                return _json(_answer(), 200)
            except (IntegrityError, OperationalError):
                # Another request was quicker: seen from after it, this one may be refused.
                continue
        return _json(_answer(), 200)
    except ApiError as error:
        return _json(error.body(), error.status)


def _answer() -> dict[str, Any]:
    sessions: sessionmaker[Session] = current_app.config["SESSIONS"]
    clock: Callable[[], datetime] = current_app.config["CLOCK"]
    with sessions() as session:
        requester = signed_by(session, request)
        name = _operation(request.headers.get("X-Amz-Target", ""))
        throttle: Throttle = current_app.config["THROTTLE"]
        throttle.take(requester.access_key)
        values = check_request(service_model().operation_model(name), _body())
        now = clock()
        settle(session, now)
        # Time has passed for good, even if what is asked for is refused.
        session.commit()
        answer = OPERATIONS[name](Call(session, requester, values, now))
        session.commit()
    return answer


def _operation(target: str) -> str:
    """The operation that a header names.

    Raises:
        UnknownOperation: it is not one of the API's.
    """
    name = target.removeprefix(PREFIX)
    if not target.startswith(PREFIX) or name not in service_model().operation_names:
        raise UnknownOperation(f"{target[:100]!r} is not an operation of this API.")
    return name


def _body() -> Any:
    try:
        # NaN and Infinity are no JSON; Python's reader takes them unless it is told.
        values = json.loads(request.get_data() or b"{}", parse_constant=_no_number)
        # A lone surrogate is JSON, but no text that could be stored.
        json.dumps(values, ensure_ascii=False).encode()
        return values
    except (ValueError, RecursionError):
        raise InvalidParameters("The body is not JSON.") from None


def _no_number(text: str) -> None:
    raise ValueError(text)


def _json(values: dict[str, Any], status: int) -> Response:
    return Response(json.dumps(values), status, mimetype="application/x-amz-json-1.1")
