"""A whole study as a process of its own: from the study file to the report, and again."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import select

from hit_server.database import open_engine, session_factory
from hit_server.records import Assignment, Hit, Vote

REHEARSAL = Path(__file__).parents[2] / "studies" / "rehearsal.toml"


def study(folder: Path) -> Path:
    text = REHEARSAL.read_text(encoding="utf-8")
    for old, new in (
        ("seed = 20261123", f'seed = 20261123\nfolder = "{folder}/run"'),
        ("steps = 41", "steps = 3"),
        ("count = 24", "count = 3"),
        ("assignments = 10", "assignments = 4"),
    ):
        assert old in text
        text = text.replace(old, new, 1)
    path = folder / "study.toml"
    path.write_text(text, encoding="utf-8")
    return path


def start(path: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "clearwinner.cli", "rehearse", str(path), "--workers", "6"]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"COLUMNS": "120"},
    )


def wait_for_submissions(folder: Path, process: "subprocess.Popen[str]") -> None:
    """Wait until some, not all, simulated answers are in the marketplace."""
    market = folder / "run" / "marketplace" / "marketplace.sqlite3"
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline and process.poll() is None:
        if market.exists():
            with open_engine(f"sqlite:///{market}").connect() as connection:
                tables = connection.exec_driver_sql("SELECT name FROM sqlite_master").scalars()
                if (
                    "market_assignments" in set(tables)
                    and connection.exec_driver_sql(
                        "SELECT count(*) FROM market_assignments WHERE status = 'Submitted'"
                    ).scalar()
                ):
                    return
        time.sleep(0.05)
    pytest.fail("no simulated answer was seen before the rehearsal ended")


@pytest.mark.slow
def test_a_killed_rehearsal_goes_on_and_a_finished_one_has_nothing_to_do(tmp_path: Path) -> None:
    path = study(tmp_path)
    first = start(path)
    wait_for_submissions(tmp_path, first)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    second = start(path)
    output, _ = second.communicate(timeout=240)
    assert second.returncode == 0, output
    assert "SIMULATED" in output
    run = tmp_path / "run"
    with session_factory(open_engine(f"sqlite:///{run}/study.sqlite3"))() as session:
        assert len(session.scalars(select(Hit)).all()) == 6
        assignments = session.scalars(select(Assignment)).all()
        assert len(assignments) == 6 * 4
        assert {assignment.status for assignment in assignments} == {"Approved"}
        assert len(session.scalars(select(Vote)).all()) == 6 * 4 * 2
    truth = json.loads((run / "truth.json").read_text(encoding="utf-8"))
    assert truth["simulated"] is True
    assert len(truth["truth"]) == 4
    page = (run / "report" / "index.html").read_text(encoding="utf-8")
    assert "simulated" in page.lower()
    third = start(path)
    output, _ = third.communicate(timeout=120)
    assert third.returncode == 0, output
    assert "nothing is left to ask" in output
