"""The API's errors, in the form that clients know."""

from __future__ import annotations

import time
from typing import Any


class ApiError(Exception):
    """A refusal: HTTP status, error type, message and TurkErrorCode."""

    status = 400
    kind = "RequestError"
    code: str | None = None

    def __init__(self, message: str, code: str | None = None) -> None:
        """Take the sentence, and the TurkErrorCode without its common beginning."""
        super().__init__(message)
        self.message = message
        if code is not None:
            self.code = code if code.startswith("AWS.") else f"AWS.MechanicalTurk.{code}"

    def body(self) -> dict[str, Any]:
        """The JSON that is sent; messages with a code end in the epoch milliseconds."""
        if self.code is None:
            return {"__type": self.kind, "message": self.message}
        milliseconds = int(time.time() * 1000)
        text = f"{self.message} ({milliseconds} s)"
        return {"__type": self.kind, "Message": text, "TurkErrorCode": self.code}


class InvalidParameters(ApiError):
    """The request does not fit the service model."""

    kind = "ValidationException"


class UnknownOperation(ApiError):
    """Not an operation of this API, or one that this marketplace does not offer."""

    kind = "UnknownOperationException"


class Throttled(ApiError):
    """Requests come faster than the account may send them."""

    kind = "ThrottlingException"


class NotSigned(ApiError):
    """The request's signature is missing or names nobody."""

    status = 403
    kind = "UnrecognizedClientException"


class WrongSignature(ApiError):
    """The request's signature does not fit its content."""

    status = 403
    kind = "InvalidSignatureException"


def missing(what: str, identifier: str) -> ApiError:
    """Somebody asked for a thing that is not there, or not theirs."""
    return ApiError(f"{what} {identifier} does not exist.", f"{what}DoesNotExist")
