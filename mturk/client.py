"""The requester API: which endpoint, and what its errors mean to a user."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
)

from generation.study import UserError

if TYPE_CHECKING:
    from mypy_boto3_mturk import MTurkClient

Kind = Literal["marketplace", "sandbox", "production"]
AMAZON = {
    "sandbox": "https://mturk-requester-sandbox.us-east-1.amazonaws.com",
    "production": "https://mturk-requester.us-east-1.amazonaws.com",
}
CLOSED = (
    "Amazon closed Mechanical Turk on 30 September 2026, so its endpoints may be gone for good. "
    "The self-hosted marketplace takes its place: start it with `clearwinner marketplace` and run "
    "this command without --sandbox and --production."
)


class CrowdError(UserError):
    """The crowd's endpoint cannot be reached, or refuses."""


@dataclass(frozen=True)
class Endpoint:
    """Where the API is."""

    kind: Kind
    url: str


def connect(
    endpoint: Endpoint, *, access_key: str | None = None, secret_key: str | None = None
) -> MTurkClient:
    """A client with retries and timeouts; credentials from boto3's own chain when not given.

    Raises:
        CrowdError: there are no credentials.
    """
    config = Config(
        retries={"mode": "adaptive", "max_attempts": 6}, connect_timeout=10, read_timeout=60
    )
    try:
        session = boto3.Session(
            aws_access_key_id=access_key, aws_secret_access_key=secret_key, region_name="us-east-1"
        )
        if session.get_credentials() is None:
            raise NoCredentialsError
        return session.client("mturk", endpoint_url=endpoint.url, config=config)
    except (NoCredentialsError, PartialCredentialsError, ProfileNotFound) as error:
        raise CrowdError(
            f"no credentials for {endpoint.url}: {error} Set AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY (`clearwinner marketplace` prints a pair for itself), or "
            "AWS_PROFILE."
        ) from None


@contextmanager
def explained(endpoint: Endpoint) -> Iterator[None]:
    """Turn botocore's errors into words that a user can act on."""
    try:
        yield
    except ClientError as error:
        detail = error.response["Error"]
        code = error.response.get("TurkErrorCode") or detail.get("Code", "")
        raise CrowdError(
            f"{endpoint.url}: {error.operation_name} was refused ({code}): {detail.get('Message')}"
        ) from error
    except BotoCoreError as error:
        if endpoint.kind == "marketplace":
            remedy = (
                "Start it with `clearwinner marketplace`, or give its address with --endpoint or "
                "CLEARWINNER_ENDPOINT."
            )
        else:
            remedy = CLOSED
        raise CrowdError(f"{endpoint.url} cannot be reached ({error}). {remedy}") from error


def existing_hit(error: ClientError) -> str | None:
    """The HIT that was made with a token before, when that is why a request was refused."""
    code = error.response.get("TurkErrorCode")
    if code != "AWS.MechanicalTurk.HITAlreadyExists":
        return None
    # "… existing HIT: <id> (<milliseconds>)": the id is the last long word of capitals and digits.
    message = error.response["Error"].get("Message", "")
    found = re.findall(r"\b(?=[A-Z0-9]*[A-Z])[A-Z0-9]{20,64}\b", message)
    return found[-1] if found else None
