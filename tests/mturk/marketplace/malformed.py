"""Malformed requests, generated from the service model and sent to a running marketplace.

    python -m tests.mturk.marketplace.malformed --requests 100000

Every answer must be one that clients know (200, 400, 403), and what was there before must be there
after: HITs, assignments, qualifications and the account's books.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import click
import httpx
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.model import Shape

from mturk.marketplace.validation import service_model
from tests.mturk.conftest import Market, hit_values, running

PREFIX = "MTurkRequesterServiceV20170117."
ODD: list[Any] = [
    None, True, -1, 0, 1, 2**31, 2**63, 10**400, 1.5, -0.0, "", " ", "\x00", "\ud800", "0",
    "A" * 70_000,
    "٣", "𝔘", "<a/>", "<!DOCTYPE x [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><x>&a;</x>", [], {},
    {"a": {"a": {}}}, ["x"] * 300, "0.10", "1e5", "NaN", "3" * 30, "' OR 1=1 --", "%00",
]  # fmt: skip


def value_of(shape: Shape, rng: random.Random, known: list[str], depth: int = 0) -> Any:
    """A value that nearly fits a shape."""
    if rng.random() < 0.12 or depth > 5:
        return rng.choice(ODD)
    kind = shape.type_name
    if kind == "structure":
        members = shape.members  # type: ignore[attr-defined]
        required = getattr(shape, "required_members", [])
        chosen = [
            n for n in members if (n in required and rng.random() < 0.93) or rng.random() < 0.4
        ]
        made = {name: value_of(members[name], rng, known, depth + 1) for name in chosen}
        if rng.random() < 0.05:
            made[rng.choice(["Stray", "", "HITId", "__class__"])] = rng.choice(ODD)
        return made
    if kind == "list":
        member = shape.member  # type: ignore[attr-defined]
        return [
            value_of(member, rng, known, depth + 1) for _ in range(rng.choice([0, 1, 1, 2, 12]))
        ]
    if kind == "boolean":
        return rng.random() < 0.5
    if kind in ("integer", "long", "timestamp", "double", "float"):
        return rng.choice([0, 1, 9, 10, 30, 60, 100, 3600, 10**6, 10**9, -5])
    allowed = getattr(shape, "enum", [])
    if allowed:
        return rng.choice([*allowed, "Else"])
    return rng.choice([*known, "text", "0.05", "2.00", hit_values()["Question"]])


def body_of(name: str, rng: random.Random, known: list[str]) -> bytes:
    """A request's body: JSON mostly, sometimes torn or none."""
    shape = service_model().operation_model(name).input_shape
    value = value_of(shape, rng, known) if shape else rng.choice(ODD)
    text = json.dumps(value).encode()
    dice = rng.random()
    if dice < 0.02:
        return text[: len(text) // 2]
    if dice < 0.03:
        return bytes(rng.randrange(256) for _ in range(30))
    return text.replace(b"1.5", b"Infinity") if dice < 0.04 else text


def signed(market: Market, name: str, content: bytes) -> dict[str, str]:
    """Headers of a request that is signed as a client signs it."""
    keys = market.marketplace.credentials
    headers = {"X-Amz-Target": PREFIX + name, "Content-Type": "application/x-amz-json-1.1"}
    request = AWSRequest("POST", market.url + "/", headers=headers, data=content)
    signer = SigV4Auth(Credentials(keys.access_key, keys.secret_key), "mturk-requester", "x")
    signer.add_auth(request)
    return dict(request.headers)


def send(market: Market, requests: int, seed: int, known: list[str]) -> Counter[int]:
    """Send requests from one connection; how many answers of each status."""
    rng, names = random.Random(seed), list(service_model().operation_names)
    answers: Counter[int] = Counter()
    with httpx.Client(timeout=60) as http:
        for _ in range(requests):
            name = rng.choice(names)
            content = body_of(name, rng, known)
            answer = http.post(
                market.url + "/", content=content, headers=signed(market, name, content)
            )
            if answer.status_code not in (200, 400):
                raise AssertionError(f"{name} {content[:300]!r}: {answer.status_code}")
            json.loads(answer.content)
            answers[answer.status_code] += 1
    return answers


def storm(market: Market, requests: int, threads: int = 2) -> Counter[int]:
    """Send requests in several threads, and check that nothing was lost."""
    client = market.client()
    keeper = client.create_hit(**hit_values(MaxAssignments=3))["HIT"]["HITId"]
    assignment = market.worker("Keeper").submit(keeper, answer="yes")
    found = client.get_assignment(AssignmentId=assignment)["Assignment"]
    # The ids of what must be kept are not among those that requests are made of.
    other = client.create_hit(**hit_values(MaxAssignments=9))["HIT"]
    taken = market.worker("Other").submit(other["HITId"], answer="yes")
    worker = client.get_assignment(AssignmentId=taken)["Assignment"]["WorkerId"]
    known = [other["HITId"], other["HITTypeId"], taken, worker, "A0NOBODY"]
    share = requests // threads
    with ThreadPoolExecutor(threads) as pool:
        parts = [pool.submit(send, market, share, seed, known) for seed in range(threads)]
        answers = sum((part.result() for part in parts), Counter())
    assert client.get_assignment(AssignmentId=assignment)["Assignment"] == found
    check_books(market)
    return answers


def check_books(market: Market) -> None:
    """The balance is what HITs, approvals and bonuses left of the deposit."""
    from sqlalchemy import select

    from mturk.marketplace.records import Bonus, MarketHit, Requester

    with market.marketplace.sessions() as session:
        spent = sum((b.amount + b.fee for b in session.scalars(select(Bonus))), Decimal(0))
        for hit in session.scalars(select(MarketHit)):
            states = Counter(work.status for work in hit.assignments)
            number = (
                states["Approved"] if hit.disposed else hit.max_assignments - states["Rejected"]
            )
            spent += number * hit.unit_cost
        requester = session.scalars(select(Requester).order_by(Requester.id)).first()
        assert requester is not None
        assert requester.balance + spent == Decimal("10000.00")
        assert requester.balance >= 0


def main() -> None:
    """Send many, and say what came back."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=100_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as market:
        answers = storm(market, options.requests)
        click.echo(f"{sum(answers.values())} requests: {dict(answers)}; nothing was lost.")


if __name__ == "__main__":
    main()
