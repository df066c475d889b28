"""The hit server under a whole crowd, beside a bare Flask app that returns the same bytes.

    PYTHONPATH=. python benchmarks/bench_pages.py [--crowd 100] [--rounds 8]

Gunicorn with two processes serves both in turn, and both have answered some requests before the
clock starts. Each of the crowd's workers opens a page, loads
its two images, saves its answers and opens the next. Afterwards the records are counted: nothing
may be lost or double. Clients and server share the machine, so figures are ratios, not limits.
"""

from __future__ import annotations

import argparse
import http.client
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

from flask import Flask, Response
from rich.console import Console
from rich.table import Table
from sqlalchemy import func, select

from clearwinner.many import THREADS
from generation.manifest import read_manifest
from hit_server.app import create_app
from hit_server.database import open_database, session_factory
from hit_server.records import Hit, Placement, SavedAnswer
from hit_server.registering import register_study
from hit_server.settings import Settings
from hit_server.store import intend_hit, settle_hit
from tests.conftest import running_postgres, scratch_study

PROCESSES = 2
SITE = "http://127.0.0.1:8010"
ROOT = Path(__file__).parents[1]


@dataclass
class Load:
    """What a crowd measured."""

    seconds: float = 0.0
    times: list[float] = field(default_factory=list)
    """Seconds of each request."""
    failed: Counter[int] = field(default_factory=Counter)

    @property
    def rate(self) -> float:
        """Requests a second."""
        return len(self.times) / self.seconds


def hit_app() -> Flask:
    """What gunicorn serves: the hit server."""
    engine = open_database(os.environ["CLEARWINNER_DATABASE_URL"])
    return create_app(Settings(worker_sites=[SITE]), engine)


def bare_app() -> Flask:
    """What gunicorn serves beside: the same bytes, without a thought."""
    app = Flask(__name__)
    page = Path(os.environ["BARE_PAGE"]).read_text(encoding="utf-8")
    image = Path(os.environ["BARE_IMAGE"]).read_bytes()

    @app.get("/hit/<name>")
    def hit(name: str) -> str:
        return page

    @app.get("/image/<name>")
    def picture(name: str) -> Response:
        return Response(image, mimetype="image/png")

    @app.post("/answers")
    def answers() -> Response:
        return Response(status=204)

    return app


@contextmanager
def gunicorn(app: str, **environment: str) -> Iterator[int]:
    """Gunicorn with an application of this file; its port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    options = [
        "-w",
        str(PROCESSES),
        "-k",
        "gthread",
        "--threads",
        str(THREADS),
        "--keep-alive",
        "30",
    ]
    command = [sys.executable, "-m", "gunicorn", *options, "--log-level", "error"]
    server = subprocess.Popen(
        [*command, "-b", f"127.0.0.1:{port}", f"bench_pages:{app}()"],
        cwd=ROOT / "benchmarks",
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
    )
    try:
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.1)
        yield port
    finally:
        server.terminate()
        server.wait()


def crowd(port: int, hits: Sequence[tuple[str, str]], people: int, rounds: int) -> Load:
    """So many workers at once, each doing so many HITs."""
    load, gate, lock = Load(), threading.Barrier(people + 1), threading.Lock()

    def work(number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        times: list[float] = []
        failed: Counter[int] = Counter()

        def ask(method: str, path: str, body: str | None = None) -> str:
            began = time.perf_counter()
            headers = {"Content-Type": "application/x-www-form-urlencoded"} if body else {}
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            text = answer.read()
            times.append(time.perf_counter() - began)
            if answer.status >= 400:
                failed[answer.status] += 1
            return (
                text.decode("utf-8", "replace")
                if "text" in answer.getheader("Content-Type", "")
                else ""
            )

        gate.wait()
        for turn in range(rounds):
            public_id, hit_id = hits[(number // 10 + turn * 10) % len(hits)]
            query = urlencode(
                {"assignmentId": f"3A{number}X{turn}", "workerId": f"A{number}", "hitId": hit_id,
                 "turkSubmitTo": SITE}
            )  # fmt: skip
            page = ask("GET", f"/hit/{public_id}?{query}")
            for image in re.findall(r'src="(/image/[^"]+)"', page):
                ask("GET", image)
            token = re.search(r'data-save="([^"]+)"', page)
            ask("POST", token[1] if token else "/answers", "1.correctness=1&1.appeal=none")
        connection.close()
        with lock:
            load.times += times
            load.failed += failed

    threads = [threading.Thread(target=work, args=(number,)) for number in range(people)]
    for thread in threads:
        thread.start()
    gate.wait()
    began = time.perf_counter()
    for thread in threads:
        thread.join()
    load.seconds = time.perf_counter() - began
    return load


def warm(port: int, hit: tuple[str, str]) -> None:
    """Have every process start and answer: previews, which record nothing."""

    def ask() -> None:
        for _ in range(20):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            connection.request("GET", f"/hit/{hit[0]}")
            connection.getresponse().read()
            connection.close()
            time.sleep(0.05)

    threads = [threading.Thread(target=ask) for _ in range(PROCESSES * THREADS * 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def prepare(folder: Path, url: str, scenes: int) -> list[tuple[str, str]]:
    """A launched study; the addresses and ids of its HITs."""
    folder.mkdir(parents=True, exist_ok=True)
    file = scratch_study(folder, scenes=scenes)
    engine = open_database(url)
    with session_factory(engine)() as session:
        study = register_study(session, file, read_manifest(file.study.place), file.study.place)
        found = []
        for number, comparison in enumerate(study.comparisons):
            hit = intend_hit(
                session, study, "e", f"t{number}", comparisons=[comparison], assignments=10,
                duration_s=600,
            )  # fmt: skip
            settle_hit(session, hit, f"3HIT{number}", hit.intended_at)
            found.append((hit.public_id, f"3HIT{number}"))
    engine.dispose()
    return found


def check(url: str, wanted: int) -> str:
    """Compare the records with what the crowd did."""
    engine = open_database(url)
    with session_factory(engine)() as session:
        held = select(Placement).where(Placement.released_at.is_(None)).subquery()
        places = session.scalar(select(func.count()).select_from(held)) or 0
        slots = session.scalar(
            select(func.count()).select_from(
                select(held.c.comparison_id, held.c.slot).distinct().subquery()
            )
        )
        saved = session.scalar(select(func.count()).select_from(SavedAnswer)) or 0
        hits = session.scalar(select(func.count()).select_from(Hit)) or 0
    engine.dispose()
    if (places, slots, saved) != (wanted, wanted, 2 * wanted):
        raise AssertionError(f"{places} placements, {slots} places, {saved} answers of {wanted}")
    return f"{places} pages and {saved} answers on {hits} HITs: none lost, none double"


def row(name: str, load: Load, bare: Load | None = None) -> list[str]:
    """A line of the table."""
    times = sorted(load.times)
    return [
        name,
        f"{load.rate:.0f}",
        f"{1000 * statistics.median(times):.0f}",
        f"{1000 * times[int(0.99 * len(times))]:.0f}",
        f"{load.rate / bare.rate:.2f}" if bare else "",
        str(sum(load.failed.values())),
    ]


def main() -> None:
    """Print the table and what the records say."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--crowd", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=8)
    options = parser.parse_args()
    table = Table("server", "requests/s", "median, ms", "p99, ms", "of bare Flask", "failed")
    told = []
    with tempfile.TemporaryDirectory() as name, running_postgres(Path(name) / "server") as postgres:
        folder = Path(name)
        urls = {"SQLite": f"sqlite:///{folder}/pages.sqlite3"}
        if postgres:
            urls["PostgreSQL"] = postgres
        for database, url in urls.items():
            hits = prepare(folder / database, url, options.crowd // 10 * options.rounds)
            with gunicorn("hit_app", CLEARWINNER_DATABASE_URL=url) as port:
                warm(port, hits[0])
                own = crowd(port, hits, options.crowd, options.rounds)
                page, image = _sample(port, hits[0])
            told.append(f"{database}: {check(url, options.crowd * options.rounds)}")
            (folder / "page").write_text(page, encoding="utf-8")
            (folder / "image").write_bytes(image)
            parts = {"BARE_PAGE": str(folder / "page"), "BARE_IMAGE": str(folder / "image")}
            with gunicorn("bare_app", **parts) as port:
                warm(port, hits[0])
                bare = crowd(port, hits, options.crowd, options.rounds)
            table.add_row(*row(f"hit server, {database}", own, bare))
            table.add_row(*row("bare Flask", bare))
    Console().print(table)
    for line in told:
        Console().print(line)


def _sample(port: int, hit: tuple[str, str]) -> tuple[str, bytes]:
    """A page that was opened before and an image, as the bare app shall return them."""
    query = {"assignmentId": "3A0X0", "workerId": "A0", "hitId": hit[1], "turkSubmitTo": SITE}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", f"/hit/{hit[0]}?{urlencode(query)}")
    page = connection.getresponse().read().decode()
    image = re.search(r'src="(/image/[^"]+)"', page)
    if image is None:
        raise AssertionError("the page shows no image")
    connection.request("GET", image[1])
    return page, connection.getresponse().read()


if __name__ == "__main__":
    main()
