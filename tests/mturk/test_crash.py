"""Launch, approve and bonus, killed at two hundred points and restarted until they are done."""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from hit_server.database import open_database, session_factory
from hit_server.records import Assignment, Hit, now
from hit_server.reserving import reserve
from hit_server.serve import Server
from mturk.marketplace.app import create_app, open_marketplace
from mturk.marketplace.records import Bonus, MarketAssignment, MarketHit, Requester
from tests.conftest import scratch_study
from tests.mturk.conftest import Clock, Market

SCENES, WORKERS = 50, 2
KILLS = ("before", "during", "after")
TROUBLES = ("", "lose", "throttle")
POINTS = {"launch": 60, "approve": 50, "bonus": 50}
"""Runs that are killed; two in three meet another trouble before."""
THROTTLED = json.dumps({"__type": "ThrottlingException", "message": "Rate exceeded"}).encode()


@dataclass
class Chaos:
    """Stands before the marketplace and strikes at two requests of a run.

    before: the client is killed, the request not carried out. during: killed, but carried out.
    after: carried out, answered, and killed then. lose: carried out, and the answer is a broken
    one. throttle: refused, as a busy service does.
    """

    app: Callable[..., Iterable[bytes]]
    actions: dict[int, str] = field(default_factory=dict)
    """By the number of the request in its run."""
    kill: Callable[[], None] = lambda: None
    seen: int = 0
    struck: Counter[str] = field(default_factory=Counter)

    def __call__(self, environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        target = environ.get("HTTP_X_AMZ_TARGET", "")
        if not target or target.endswith("GetAccountBalance"):
            return self.app(environ, start)
        self.seen += 1
        action = self.actions.get(self.seen, "")
        if action:
            self.struck[action] += 1
        if action in ("before", "during"):
            self.kill()
        if action == "before":
            start("500 Killed", [])
            return [b""]
        if action == "throttle":
            start("400 Busy", [("Content-Type", "application/x-amz-json-1.1")])
            return [THROTTLED]
        answer = self.app(environ, start)
        if action == "lose":
            return [b"{"]
        return self._then_kill(answer) if action == "after" else answer

    def _then_kill(self, answer: Iterable[bytes]) -> Iterator[bytes]:
        yield from answer
        self.kill()


# A process that has everything loaded and forks one that runs the command line for each line.
ZYGOTE = """
import functools, json, os, sys
import botocore.loaders
botocore.loaders.JSONFileLoader.load_file = functools.lru_cache(None)(
    botocore.loaders.JSONFileLoader.load_file)
import clearwinner.crowd, clearwinner.output
from clearwinner.cli import main
from mturk.bonuses import read_bonuses
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        sys.stdin = open(os.devnull)
        os.dup2(os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
        os.dup2(2, 1)
        code = 1
        try:
            main(json.loads(line), standalone_mode=True)
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        finally:
            os._exit(code or 0)
    print(child, flush=True)
    _, status = os.waitpid(child, 0)
    print(status, flush=True)
"""


@dataclass
class Runner:
    """Runs the command line as processes that the chaos can kill."""

    chaos: Chaos
    options: list[str]
    process: subprocess.Popen[str]
    log: Path

    def run(self, *command: str) -> int:
        """The wait status of a run: 0 when it succeeded."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.chaos.seen = 0
        self.process.stdin.write(json.dumps([*command, *self.options]) + "\n")
        self.process.stdin.flush()
        child = int(self.process.stdout.readline())
        self.chaos.kill = lambda: os.kill(child, signal.SIGKILL)
        return int(self.process.stdout.readline())

    def storm(self, points: int, rng: random.Random, *command: str) -> None:
        """Run a step again and again, killed once each time; then until it is done."""
        for point in range(points):
            number = rng.choice([2, 2, 3])
            self.chaos.actions = {
                number - 1: TROUBLES[point % len(TROUBLES)],
                number: KILLS[point // len(TROUBLES) % len(KILLS)],
            }
            self.run(*command)
        self.chaos.actions = {}
        assert self.run(*command) == 0, self.log.read_text()[-3000:]


@pytest.mark.slow
def test_two_hundred_kills_publish_and_pay_everything_once(tmp_path: Path) -> None:
    file = scratch_study(tmp_path, scenes=SCENES, assignments=WORKERS)
    marketplace, clock = open_marketplace(tmp_path / "market"), Clock()
    app = create_app(marketplace, clock=clock)
    chaos = Chaos(app.wsgi_app)
    app.wsgi_app = chaos  # type: ignore[method-assign]
    keys = marketplace.credentials
    environment = os.environ | {
        "AWS_ACCESS_KEY_ID": keys.access_key,
        "AWS_SECRET_ACCESS_KEY": keys.secret_key,
        # So that what is to do lasts for all the kills.
        "CLEARWINNER_IN_FLIGHT": "2",
    }
    log = tmp_path / "log"
    with Server(app) as server:
        command = [sys.executable, "-c", ZYGOTE, str(log)]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        with subprocess.Popen(
            command, env=environment, cwd=Path(__file__).parents[2], **pipes
        ) as p:
            options = ["--endpoint", server.url, "--yes"]
            runner = Runner(chaos, options, p, log)
            rng, study = random.Random(3), str(file.path)
            runner.storm(POINTS["launch"], rng, "launch", study)
            work(file.study.place, Market(marketplace, server.url, clock))
            runner.options = options[:2]
            assert runner.run("collect", study) == 0, log.read_text()[-3000:]
            runner.options = options
            runner.storm(POINTS["approve"], rng, "approve", study)
            rows = bonus_file(file.study.place, tmp_path / "bonuses.csv")
            bonus = ("bonus", study, str(tmp_path / "bonuses.csv"))
            runner.storm(POINTS["bonus"], rng, *bonus)
            assert p.stdin is not None
            p.stdin.close()
    assert chaos.struck.total() >= 200, chaos.struck
    assert all(chaos.struck[action] >= 30 for action in (*KILLS, *TROUBLES[1:])), chaos.struck
    assert "Traceback" not in log.read_text()
    with marketplace.sessions() as session:
        hits = session.scalars(select(MarketHit)).all()
        assert len(hits) == len({hit.annotation for hit in hits}) == SCENES
        done = session.scalars(select(MarketAssignment.status)).all()
        assert Counter(done) == {"Approved": SCENES * WORKERS}
        paid = Counter(
            (each.assignment.assignment_id, str(each.amount))
            for each in session.scalars(select(Bonus))
        )
        assert paid == Counter(rows)
        # Twenty per cent, rounded up to a cent: one cent of five, two of six to nine.
        bonuses = sum(Decimal(a) + Decimal("0.01" if a == "0.05" else "0.02") for _, a in rows)
        cost = SCENES * WORKERS * Decimal("0.13") + bonuses
        assert session.scalars(select(Requester.balance)).one() == Decimal("10000") - cost
    marketplace.engine.dispose()


def work(folder: Path, market: Market) -> None:
    """Two workers do every HIT."""
    engine = open_database(f"sqlite:///{folder}/study.sqlite3")
    with session_factory(engine)() as session:
        for hit in session.scalars(select(Hit)).all():
            for name in ("Ada", "Ben"):
                person = market.worker(name)
                frame = person.frame(hit.hit_id or "")
                reserve(session, hit, frame["assignmentId"], frame["workerId"], at=now())
                session.commit()
                fields = {
                    "assignmentId": frame["assignmentId"],
                    "1.comparison": hit.comparisons[0].public_id,
                    "1.correctness": "1",
                    "1.appeal": "none",
                }
                assert person.http.post("/mturk/externalSubmit", data=fields).status_code == 200
    engine.dispose()


def bonus_file(folder: Path, path: Path) -> list[tuple[str, str]]:
    """A bonus of five to nine cents for each assignment."""
    engine = open_database(f"sqlite:///{folder}/study.sqlite3")
    with session_factory(engine)() as session:
        assignments = session.scalars(select(Assignment.assignment_id)).all()
    engine.dispose()
    rows = [(name, f"0.0{5 + number % 5}") for number, name in enumerate(assignments)]
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["assignment_id", "amount_usd", "reason"])
        writer.writerows([name, amount, "a careful answer"] for name, amount in rows)
    return rows
