"""AWS Signature Version 4, checked: who signed a request, and that nothing was changed since."""

from __future__ import annotations

import hmac
import re
from datetime import UTC, datetime, timedelta

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from flask import Request
from sqlalchemy import select
from sqlalchemy.orm import Session

from mturk.marketplace.errors import NotSigned, WrongSignature
from mturk.marketplace.records import Requester

SKEW = timedelta(minutes=15)
_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/,\s]+)/(?P<date>\d{8})/(?P<region>[^/,\s]+)/"
    r"(?P<service>[^/,\s]+)/aws4_request,\s*SignedHeaders=(?P<headers>[^,\s]+),\s*"
    r"Signature=(?P<signature>[0-9a-f]{64})"
)


def signed_by(session: Session, request: Request) -> Requester:
    """The requester who signed; the region is whichever it was signed in.

    Raises:
        NotSigned: there is no signature, or its key is unknown.
        WrongSignature: it does not fit, or is older than 15 minutes.
    """
    match = _AUTHORIZATION.fullmatch(request.headers.get("Authorization", ""))
    if match is None:
        raise NotSigned("The request is not signed with AWS Signature Version 4.")
    requester = session.scalar(select(Requester).where(Requester.access_key == match["key"]))
    if requester is None:
        raise NotSigned("The security token included in the request is invalid.")
    stamp = request.headers.get("X-Amz-Date", "")
    _check_time(stamp)
    names = match["headers"].split(";")
    if "host" not in names or stamp[:8] != match["date"]:
        raise WrongSignature("The credential's scope does not fit the request.")
    expected = _signature(request, requester, names, stamp, match["region"], match["service"])
    if not hmac.compare_digest(expected, match["signature"]):
        raise WrongSignature(
            "The request signature we calculated does not match the signature you provided."
        )
    return requester


def _signature(
    request: Request, requester: Requester, names: list[str], stamp: str, region: str, service: str
) -> str:
    headers = {name: request.headers.get(name, "") for name in names}
    copy = AWSRequest(
        method=request.method, url=request.url, data=request.get_data(), headers=headers
    )
    copy.context["timestamp"] = stamp
    signer = SigV4Auth(Credentials(requester.access_key, requester.secret), service, region)
    canonical = signer.canonical_request(copy)
    signature: str = signer.signature(signer.string_to_sign(copy, canonical), copy)
    return signature


def _check_time(stamp: str) -> None:
    try:
        signed_at = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise NotSigned("The request has no valid X-Amz-Date.") from None
    if abs(datetime.now(UTC) - signed_at) > SKEW:
        raise WrongSignature(f"Signature expired or not yet valid: {stamp}")
