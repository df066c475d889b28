"""Odd requests to the hit server, by the thousand: no 5xx, and nothing recorded.

python -m tests.hit_server.malformed --requests 20000
"""

import argparse
import random
import tempfile
from collections import Counter
from pathlib import Path

from flask import Flask
from rich.console import Console
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from hit_server.app import create_app
from hit_server.database import open_database, session_factory
from hit_server.records import Placement, Record, SavedAnswer, Vote
from hit_server.settings import Settings
from tests.conftest import scratch_study
from tests.hit_server.conftest import published, registered

SITE = "http://127.0.0.1:8010"
ODD = [
    "", "0", "-1", "1", "none", "None", "null", "9" * 30, "A" * 3000, "é🙂", "\x00", "%00", "../..",
    "<script>", "' OR 1=1 --", "1e9", "NaN", "inf", "\u202e", "[]", "{}", "a=b&c=d", "\r\nX: y",
    "3HIT", "3ABC", "A1", SITE, "ASSIGNMENT_ID_NOT_AVAILABLE",
]  # fmt: skip
NAMES = ["assignmentId", "workerId", "hitId", "turkSubmitTo", "token", "page", "shares", "x"]
FIELDS = ["1.correctness", "1.appeal", "1.correctness.milliseconds", "2.x", "viewport", "note"]
FIELDS += ["pixel_ratio", "1.zooms", "1.comparison", "password", "", "1."]
HEADERS = ["Origin", "Referer", "Sec-Fetch-Site", "Range", "Content-Type", "If-None-Match"]
HEADERS += ["Cookie", "Content-Length", "X-Forwarded-For"]


def odd_requests(app: Flask, parts: list[str], number: int, seed: int) -> Counter[int]:
    """Send requests made of odd parts; how many got which status."""
    rng, web, seen = random.Random(seed), app.test_client(), Counter[int]()
    roots = ["hit", "hit", "answers", "left", "image", "example/1/0", "console", "console/studies"]
    for _ in range(number):
        path = "/" + "/".join(rng.choice([*parts, *ODD]) for _ in range(rng.randint(0, 5)))
        path = "/" + path.lstrip("/")  # two slashes would be a host to the test client
        if rng.random() < 0.7:
            root = rng.choice(roots)
            end = parts[-1] if root == "hit" else rng.choice(["", *parts, *ODD])
            path = f"/{root}/{end}".rstrip("/")
        query = {rng.choice(NAMES): rng.choice(ODD) for _ in range(rng.randint(0, 5))}
        fields = {rng.choice(FIELDS): rng.choice(ODD) for _ in range(rng.randint(0, 5))}
        headers = {
            rng.choice(HEADERS): rng.choice(ODD).replace("\r\n", " ").replace("\x00", "0")
            for _ in range(rng.randint(0, 2))
        }
        headers = {
            name: text.encode("latin-1", "replace").decode("latin-1")
            for name, text in headers.items()
        }
        body = rng.choice([fields, b"\xff\xfe\x00", b"x" * 70_000, "{"])
        method = rng.choice(["GET", "GET", "POST", "POST", "PUT", "DELETE", "HEAD", "OPTIONS"])
        answer = web.open(path, method=method, query_string=query, data=body, headers=headers)
        seen[answer.status_code] += 1
    return seen


def run(folder: Path, number: int, seed: int = 1) -> Counter[int]:
    """Odd requests against a study that is at work; raises when a 5xx or a record comes of it."""
    engine = open_database(f"sqlite:///{folder}/records.sqlite3")
    with session_factory(engine)() as session:
        study = registered(session, scratch_study(folder))
        hit = published(session, study, study.comparisons[:1])
        parts = [
            "hit",
            "image",
            "answers",
            "left",
            "console",
            "studies",
            "scratch",
            "static",
            "hit",
        ]
        parts += ["comparisons", "assignments", "workers", "approve", "flag", "example", "healthz"]
        parts += ["sign-in", hit.public_id]
    app = create_app(Settings(worker_sites=[SITE], console_password="x" * 20), engine)
    seen = odd_requests(app, parts, number, seed)
    failed = {status: count for status, count in seen.items() if status >= 500}
    with Session(engine) as session:
        records: list[type[Record]] = [Placement, SavedAnswer, Vote]
        kept = [session.scalar(select(func.count()).select_from(each)) for each in records]
    engine.dispose()
    if failed or any(kept):
        raise AssertionError(f"statuses {failed}, records {kept}")
    return seen


def main() -> None:
    """Send them and print what came back."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        seen = run(Path(name), options.requests, options.seed)
    Console().print(", ".join(f"{count} × {status}" for status, count in sorted(seen.items())))


if __name__ == "__main__":
    main()
