"""A running marketplace and a boto3 client that signs for its first requester."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from botocore.config import Config
from lxml import html
from sqlalchemy import create_engine, make_url, text

from hit_server.serve import Server
from mturk.marketplace.app import Marketplace, create_app, open_marketplace
from mturk.questions import external_question
from tests.conftest import scratch_study


@dataclass
class Clock:
    """A present that tests advance."""

    ahead: timedelta = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def advance(self, **by: float) -> None:
        self.ahead += timedelta(**by)


@dataclass
class Market:
    """A marketplace, its server and its clock."""

    marketplace: Marketplace
    url: str
    clock: Clock
    workers: dict[str, "Person"] = field(default_factory=dict)

    def client(self, *, region: str = "us-east-1", **keys: str) -> Any:
        credentials = self.marketplace.credentials
        return boto3.client(
            "mturk",
            endpoint_url=self.url,
            region_name=region,
            aws_access_key_id=keys.get("access_key", credentials.access_key),
            aws_secret_access_key=keys.get("secret_key", credentials.secret_key),
            config=Config(retries={"max_attempts": 0}),
        )

    def worker(self, name: str = "Ada", *, masters: bool = True) -> "Person":
        if name not in self.workers:
            path = self.marketplace.invite(name, masters=masters)
            person = Person(httpx.Client(base_url=self.url, headers={"Origin": self.url}))
            assert person.http.post(path).status_code == 302
            self.workers[name] = person
        return self.workers[name]


@dataclass
class Person:
    """Somebody on the worker site, through plain HTTP."""

    http: httpx.Client

    def accept(self, hit_id: str) -> httpx.Response:
        return self.http.post(f"/worker/hits/{hit_id}/accept")

    def frame(self, hit_id: str) -> dict[str, str]:
        """Accept a HIT; the parameters that its frame gets."""
        page = self.http.get(self.accept(hit_id).headers["Location"])
        source = html.fromstring(page.text).xpath("string(//iframe/@src)")
        return dict(httpx.URL(str(source)).params)

    def worker_id(self, hit_id: str) -> str:
        return self.frame(hit_id)["workerId"]

    def submit(self, hit_id: str, **fields: str) -> str:
        """Do a HIT; its assignment's id."""
        frame = self.frame(hit_id)
        values = {"assignmentId": frame["assignmentId"], **(fields or {"answer": "yes"})}
        done = self.http.post("/mturk/externalSubmit", data=values)
        assert done.status_code == 200, done.text
        return frame["assignmentId"]


@contextmanager
def running(folder: Path, url: str | None = None) -> Iterator[Market]:
    """A marketplace on a database, served over HTTP."""
    marketplace = open_marketplace(folder, url)
    clock = Clock()
    with Server(create_app(marketplace, clock=clock)) as server:
        yield Market(marketplace, server.url, clock)
    marketplace.engine.dispose()


@pytest.fixture
def market(tmp_path: Path) -> Iterator[Market]:
    with running(tmp_path / "market") as market:
        yield market


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def any_market(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Market]:
    """The same on SQLite and on a PostgreSQL database of its own."""
    url = None
    if request.param == "postgresql":
        server = make_url(request.getfixturevalue("postgres_url"))
        name = f"market_{uuid.uuid4().hex[:12]}"
        admin = create_engine(server, isolation_level="AUTOCOMMIT")
        with admin.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        admin.dispose()
        url = server.set(database=name).render_as_string(hide_password=False)
    with running(tmp_path / "market", url) as market:
        yield market


@pytest.fixture
def client(market: Market) -> Any:
    return market.client()


NewHit = Callable[..., str]


@pytest.fixture
def new_hit(client: Any) -> NewHit:
    def make(**changes: Any) -> str:
        return str(client.create_hit(**hit_values(**changes))["HIT"]["HITId"])

    return make


def hit_values(**changes: Any) -> dict[str, Any]:
    """What CreateHIT needs, with some of it changed."""
    values: dict[str, Any] = {
        "Title": "Compare",
        "Description": "Two images",
        "Keywords": "image",
        "Reward": "0.10",
        "MaxAssignments": 3,
        "LifetimeInSeconds": 3600,
        "AssignmentDurationInSeconds": 600,
        "AutoApprovalDelayInSeconds": 86400,
        "Question": external_question("https://example.org/task?x=1&y=2"),
    }
    return values | changes


@pytest.fixture
def steps(tmp_path: Path, market: Market) -> Iterator[Any]:
    # It needs this module's classes.
    from tests.mturk.steps import Steps

    found = Steps(scratch_study(tmp_path), market)
    yield found
    found.session.close()
    found.engine.dispose()
