"""A study on a marketplace, with the steps as a researcher takes them."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from generation.manifest import read_manifest
from generation.study import StudyFile
from hit_server.database import open_database, session_factory
from hit_server.records import Hit, StudyRecord, now
from hit_server.registering import register_study
from hit_server.reserving import reserve
from hit_server.store import study_named
from mturk.client import Endpoint
from mturk.collect import collect
from mturk.crowd import Crowd
from mturk.launch import Launched, Publisher, launch
from mturk.review import approve
from tests.mturk.conftest import Market

ROOT = Path(__file__).parents[2]


class Steps:
    """A registered study on a marketplace, with the steps as a researcher takes them."""

    def __init__(self, file: StudyFile, market: Market) -> None:
        self.file, self.market = file, market
        self.client = market.client()
        self.endpoint = Endpoint("marketplace", market.url)
        self.crowd = file.table("crowd", Crowd)
        self.database = f"sqlite:///{file.study.place}/study.sqlite3"
        self.engine = open_database(self.database)
        self.session: Session = session_factory(self.engine)()
        folder = file.study.place
        register_study(self.session, file, read_manifest(folder), folder)

    @property
    def study(self) -> StudyRecord:
        return study_named(self.session, "scratch")

    @property
    def publisher(self) -> Publisher:
        return Publisher(self.client, self.endpoint, self.crowd, "http://localhost:1")

    def launch(self) -> Launched:
        return launch(self.session, self.study, self.publisher)

    def answer(self, name: str, hit: Hit, **changes: str) -> str:
        """A qualified worker opens the page and submits; the assignment's id."""
        person = self.market.worker(name)
        frame = person.frame(hit.hit_id or "")
        shown = reserve(self.session, hit, frame["assignmentId"], frame["workerId"], at=now())
        fields = {"assignmentId": frame["assignmentId"]}
        for each in shown:
            fields |= {
                f"{each.number}.comparison": each.comparison.public_id,
                f"{each.number}.correctness": "1",
                f"{each.number}.appeal": "none",
                f"{each.number}.correctness.milliseconds": "1234",
                f"{each.number}.appeal.milliseconds": "",
            }
        self.session.commit()
        sent = person.http.post("/mturk/externalSubmit", data=fields | changes)
        assert sent.status_code == 200
        return frame["assignmentId"]

    def hits(self) -> list[Hit]:
        return list(self.session.scalars(select(Hit).order_by(Hit.id)))

    def collect(self) -> Any:
        return collect(self.session, self.study, self.client, self.endpoint)

    def approve(self) -> Any:
        return approve(self.session, self.study, self.client, self.endpoint)

    def command(self, step: str, *, die: str = "") -> subprocess.CompletedProcess[str]:
        """Run a step as a process of its own; `die` names the request at which it is killed."""
        keys = self.market.marketplace.credentials
        environment = os.environ | {
            "AWS_ACCESS_KEY_ID": keys.access_key,
            "AWS_SECRET_ACCESS_KEY": keys.secret_key,
            "DIE": die,
            # One at a time: the request at which it dies is always the same.
            "CLEARWINNER_IN_FLIGHT": "1",
        }
        self.session.rollback()
        command = [sys.executable, "-c", KILLED, step, str(self.file.path)]
        return subprocess.run(
            [*command, "--endpoint", self.market.url, *(["--yes"] if step != "collect" else [])],
            env=environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


# The command line itself, with a hook that kills the process before a request is sent or
# after its answer came back, at the n-th request of an operation.
KILLED = """
import os, signal, botocore.client
when, _, rest = os.environ["DIE"].partition(" ")
operation, _, number = rest.partition(" ")
real, seen = botocore.client.BaseClient._make_api_call, [0]
def call(self, name, values):
    count = name == operation and (seen.__setitem__(0, seen[0] + 1) or seen[0])
    if count == int(number or 0) and when == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    answer = real(self, name, values)
    if count == int(number or 0) and when == "after":
        os.kill(os.getpid(), signal.SIGKILL)
    return answer
if when:
    botocore.client.BaseClient._make_api_call = call
from clearwinner.cli import main
main()
"""
