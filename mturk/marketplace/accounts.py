"""Accounts: requesters with keys, workers with sign-in links."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import select
from sqlalchemy.orm import Session

from mturk.marketplace.ids import new_id
from mturk.marketplace.records import Requester, Worker

OPENING_BALANCE = Decimal("10000.00")


@dataclass(frozen=True)
class Credentials:
    """What a requester's client signs with."""

    access_key: str
    secret_key: str


def first_requester(session: Session) -> Credentials:
    """The keys of the marketplace's first requester, who is made when there is none."""
    requester = session.scalar(select(Requester).order_by(Requester.id))
    if requester is None:
        return add_requester(session, "requester")
    return Credentials(requester.access_key, requester.secret)


def requester_named(session: Session, name: str) -> Credentials:
    """The keys of a requester's account, which is opened when there is none of the name."""
    requester = session.scalar(select(Requester).where(Requester.name == name))
    if requester is None:
        return add_requester(session, name)
    return Credentials(requester.access_key, requester.secret)


def add_requester(
    session: Session, name: str, *, balance: Decimal = OPENING_BALANCE
) -> Credentials:
    """Open a requester's account with an amount of dollars, which the lab pays outside."""
    keys = Credentials(new_id("AKIA", 20), secrets.token_urlsafe(30))
    session.add(
        Requester(name=name, access_key=keys.access_key, secret=keys.secret_key, balance=balance)
    )
    session.commit()
    return keys


def invite_worker(session: Session, name: str, *, masters: bool = True, country: str = "") -> str:
    """Open a worker's account; returns the secret of its sign-in link, kept only as a hash.

    A worker of the same name gets a new link, and the old one ends.
    """
    token = secrets.token_urlsafe(24)
    worker = session.scalar(select(Worker).where(Worker.name == name))
    if worker is None:
        worker = Worker(worker_id=new_id("A", 14), name=name)
        session.add(worker)
    worker.masters, worker.country = masters, country
    worker.token_hash = hash_token(token)
    session.commit()
    return token


def hash_token(token: str) -> str:
    """What is kept of a link's secret: it is long and random, so a plain hash suffices."""
    return hashlib.sha256(token.encode()).hexdigest()


def worker_with(session: Session, token: str) -> Worker | None:
    """The worker whose link holds this secret."""
    return session.scalar(select(Worker).where(Worker.token_hash == hash_token(token)))
