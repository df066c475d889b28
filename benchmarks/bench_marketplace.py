"""The marketplace and publishing on it: operations a second, a throttled launch, collecting.

    PYTHONPATH=. python benchmarks/bench_marketplace.py [--hits 1000] [--assignments 10000]

Publishing runs against a marketplace that lets so many requests a second pass; beside the time
stands what that rate allows. Operations a second are of boto3 clients in threads over HTTP, on
SQLite and, where Debian's PostgreSQL is installed, on that. Client and server share the machine.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table
from sqlalchemy import create_engine, insert, make_url, select, text

from generation.manifest import read_manifest
from hit_server.database import open_database, session_factory
from hit_server.records import Hit, Placement, now
from hit_server.registering import register_study
from hit_server.serve import Server
from mturk.answers import encode_answers
from mturk.client import Endpoint, connect
from mturk.collect import collect
from mturk.crowd import Crowd
from mturk.launch import Publisher, launch
from mturk.marketplace.app import Marketplace, create_app, open_marketplace
from mturk.marketplace.records import MarketAssignment, MarketHit, Worker
from mturk.marketplace.throttling import Throttle
from tests.conftest import running_postgres, scratch_study
from tests.mturk.conftest import hit_values

RATE = 10.0
THREADS = 4


def client_of(marketplace: Marketplace, url: str) -> Any:
    """A client as `clearwinner` makes it."""
    keys = marketplace.credentials
    endpoint = Endpoint("marketplace", url)
    return connect(endpoint, access_key=keys.access_key, secret_key=keys.secret_key)


@contextmanager
def serving(folder: Path, url: str | None = None, rate: float | None = None) -> Iterator[Any]:
    """A marketplace with its address."""
    marketplace = open_marketplace(folder, url)
    with Server(create_app(marketplace, throttle=Throttle(rate))) as server:
        yield marketplace, server.url
    marketplace.engine.dispose()


def in_threads(work: Callable[[int], None], number: int) -> float:
    """Seconds for a number of calls shared by threads."""
    threads = [
        threading.Thread(target=lambda: [work(n) for n in range(number // THREADS)])
        for _ in range(THREADS)
    ]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - began


def operations(rows: Table, name: str, folder: Path, url: str | None) -> None:
    """CreateHIT, GetHIT and submitted assignments a second."""
    with serving(folder, url) as (marketplace, address):
        client = client_of(marketplace, address)
        hit_id = client.create_hit(**hit_values(MaxAssignments=9))["HIT"]["HITId"]
        for what, call, number in (
            ("CreateHIT", lambda _: client.create_hit(**hit_values(MaxAssignments=1)), 400),
            ("GetHIT", lambda _: client.get_hit(HITId=hit_id), 800),
        ):
            rows.add_row(name, what, f"{number / in_threads(call, number):.0f}")
        worker = httpx.Client(base_url=address, headers={"Origin": address}, timeout=60)
        worker.post(marketplace.invite("Ada"))
        hits = [hit["HITId"] for hit in client.list_hits(MaxResults=100)["HITs"]][:100]
        began = time.perf_counter()
        for each in hits:
            place = worker.post(f"/worker/hits/{each}/accept").headers["Location"]
            fields = {"assignmentId": place.rpartition("/")[2], "answer": "yes"}
            worker.post("/mturk/externalSubmit", data=fields).raise_for_status()
        rows.add_row(name, "accept and submit", f"{len(hits) / (time.perf_counter() - began):.0f}")


def publishing(folder: Path, hits: int) -> None:
    """A launch against a rate, beside what the rate allows."""
    file = scratch_study(folder, scenes=hits, assignments=2, budget="9999.00")
    with serving(folder / "market", rate=RATE) as (marketplace, address):
        engine = open_database(f"sqlite:///{folder}/study.sqlite3")
        with session_factory(engine)() as session:
            study = register_study(session, file, read_manifest(file.study.place), file.study.place)
            crowd = file.table("crowd", Crowd)
            endpoint = Endpoint("marketplace", address)
            client = client_of(marketplace, address)
            publisher = Publisher(client, endpoint, crowd, "http://localhost:1")
            began = time.perf_counter()
            launched = launch(session, study, publisher)
            seconds = time.perf_counter() - began
        engine.dispose()
    # The bucket is full at first: a second of requests.
    allowed = (hits + 2 - RATE) / RATE
    table = Table("HITs", "rate, requests/s", "seconds", "what the rate allows", "ratio")
    table.add_row(
        str(launched.published), f"{RATE:g}", f"{seconds:.1f}", f"{allowed:.1f}",
        f"{seconds / allowed:.2f}",
    )  # fmt: skip
    Console().print(table)


def collecting(folder: Path, assignments: int) -> None:
    """Bringing in assignments that lie on the marketplace."""
    workers = 10
    hits = assignments // workers
    file = scratch_study(folder, scenes=hits, assignments=workers, budget="99999.00")
    with serving(folder / "market") as (marketplace, address):
        engine = open_database(f"sqlite:///{folder}/study.sqlite3")
        with session_factory(engine)() as session:
            study = register_study(session, file, read_manifest(file.study.place), file.study.place)
            endpoint = Endpoint("marketplace", address)
            client = client_of(marketplace, address)
            with marketplace.sessions() as market:
                market.execute(text("UPDATE requesters SET balance = '99999.00'"))
                market.commit()
            crowd = file.table("crowd", Crowd)
            launch(session, study, Publisher(client, endpoint, crowd, "http://localhost:1"))
            _submit_all(session, marketplace, workers)
            began = time.perf_counter()
            collected = collect(session, study, client, endpoint)
            seconds = time.perf_counter() - began
        engine.dispose()
    table = Table("assignments collected", "seconds", "a second")
    table.add_row(str(collected.new), f"{seconds:.1f}", f"{collected.new / seconds:.0f}")
    Console().print(table)


def _submit_all(session: Any, marketplace: Marketplace, workers: int) -> None:
    """Every worker's answer to every HIT, written straight into both databases."""
    own = {hit.hit_id: hit for hit in session.scalars(select(Hit))}
    with marketplace.sessions() as market:
        people = []
        for number in range(workers):
            marketplace.invite(f"Worker {number}")
        people = market.scalars(select(Worker)).all()
        done, placed = [], []
        for hit in market.scalars(select(MarketHit)):
            record = own[hit.hit_id]
            comparison = record.comparisons[0]
            for person in people:
                name = f"3{hit.id:08d}{person.id:04d}"
                fields = {"1.correctness": "1", "1.appeal": "none"}
                done.append(
                    {
                        "assignment_id": name,
                        "hit_record_id": hit.id,
                        "worker_record_id": person.id,
                        "status": "Submitted",
                        "accepted_at": now(),
                        "deadline": now(),
                        "submitted_at": now(),
                        "answer": encode_answers(fields),
                    }
                )
                placed.append(
                    {
                        "comparison_id": comparison.id,
                        "hit_record_id": record.id,
                        "assignment_id": name,
                        "worker_id": person.worker_id,
                        "methods": comparison.methods,
                        "questions": ["correctness", "appeal"],
                        "slot": len(placed) % workers,
                        "reserved_until": now(),
                    }
                )
        market.execute(insert(MarketAssignment), done)
        market.commit()
    session.execute(insert(Placement), placed)
    session.commit()


def main() -> None:
    """Print the three tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hits", type=int, default=1000)
    parser.add_argument("--assignments", type=int, default=10_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in ("sqlite", "postgres", "publish", "collect"):
            (folder / part).mkdir()
        rows = Table("database", f"operation, {THREADS} clients", "a second")
        operations(rows, "SQLite", folder / "sqlite", None)
        with running_postgres(folder / "server") as server:
            if server is not None:
                admin = create_engine(make_url(server), isolation_level="AUTOCOMMIT")
                with admin.connect() as connection:
                    connection.execute(text("CREATE DATABASE bench"))
                admin.dispose()
                url = make_url(server).set(database="bench")
                shown = url.render_as_string(hide_password=False)
                operations(rows, "PostgreSQL", folder / "postgres", shown)
        Console().print(rows)
        publishing(folder / "publish", options.hits)
        collecting(folder / "collect", options.assignments)


if __name__ == "__main__":
    main()
