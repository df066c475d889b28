"""Signed, expiring values in place of cookies: browsers drop cookies in another site's frame."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from functools import lru_cache

from itsdangerous import BadSignature, SignatureExpired, URLSafeTimedSerializer
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from hit_server.records import Secret
from hit_server.settings import Settings

A_DAY_S = 86_400


class BadToken(ValueError):
    """A token is forged, stale or of something else; the message is shown to the visitor."""


def secret_of(session: Session, settings: Settings) -> str:
    """The key that signs: as set, or drawn once and kept with the records."""
    if given := settings.secret_key.get_secret_value():
        return given
    found = session.scalar(select(Secret.value).order_by(Secret.id).limit(1))
    if found is None:
        session.add(Secret(id=1, value=secrets.token_urlsafe(32)))
        try:
            session.commit()
        except IntegrityError:
            session.rollback()  # another process was quicker
        found = session.scalars(select(Secret.value).order_by(Secret.id)).first() or ""
    return found


def sign(secret: str, assignment_id: str, worker_id: str) -> str:
    """A token by which a page writes about one worker's assignment."""
    return _serializer(secret).dumps([assignment_id, worker_id])


def read_token(secret: str, token: str, *, max_age_s: int = A_DAY_S) -> tuple[str, str]:
    """Assignment and worker of a token.

    Raises:
        BadToken: it is forged or stale.
    """
    try:
        assignment_id, worker_id = _serializer(secret).loads(token, max_age=max_age_s)
    except SignatureExpired:
        raise BadToken("This page is too old. Open the task again.") from None
    except (BadSignature, ValueError, TypeError):
        raise BadToken("This page was not made by this server. Open the task again.") from None
    return assignment_id, worker_id


def worker_hash(secret: str, worker_id: str) -> str:
    """The keyed hash by which a worker is known outside the database."""
    return hmac.new(secret.encode(), f"worker|{worker_id}".encode(), hashlib.sha256).hexdigest()[
        :12
    ]


@lru_cache(maxsize=4)
def _serializer(secret: str) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(secret, salt="assignment")
