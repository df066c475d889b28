"""The data set that a study becomes."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner
from sqlalchemy import select
from sqlalchemy.orm import Session

from analysis.export import PLACEMENTS, export
from analysis.votes import VOTE_COLUMNS, VotesError, checked
from clearwinner.cli import main
from hit_server.records import Assignment, Placement, now

Make = Callable[..., Any]


def place_all(study: Any) -> None:
    with Session(study.engine) as session:
        for given in session.scalars(select(Assignment)):
            session.add(
                Placement(
                    comparison=given.hit.comparisons[0], hit=given.hit, number=1,
                    assignment_id=given.assignment_id, worker_id=given.worker_id,
                    methods=["dnp", "cfg"], questions=["appeal", "correctness"],
                    reserved_until=now(),
                )
            )  # fmt: skip
        session.commit()


def test_votes_and_placements_join_and_check_out(make_study: Make, tmp_path: Path) -> None:
    study = make_study()
    place_all(study)
    done = export(study.file, tmp_path / "set", study.engine, images=True)
    votes = pd.read_parquet(tmp_path / "set" / "votes.parquet")
    placements = pd.read_parquet(tmp_path / "set" / "placements.parquet")
    assert list(votes) == [column.name for column in VOTE_COLUMNS]
    assert list(placements) == list(PLACEMENTS)
    assert len(votes) == done.votes == 2 * 18 * 10
    joined = votes.merge(placements, on=["comparison", "worker", "assignment"])
    assert len(joined) == len(votes)
    pd.testing.assert_frame_equal(checked(votes), votes)
    assert len(list((tmp_path / "set" / "images").iterdir())) == done.images == 27
    subprocess.run(
        ["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=tmp_path / "set", check=True
    )
    lines = (tmp_path / "set" / "manifest.jsonl").read_text().splitlines()
    assert len([json.loads(line) for line in lines]) == 27


def test_no_worker_can_be_found_and_no_two_exports_joined(make_study: Make, tmp_path: Path) -> None:
    study = make_study()
    place_all(study)
    for name in ("one", "two"):
        export(study.file, tmp_path / name, study.engine)
    for path in (tmp_path / "one").iterdir():
        assert b"WORKER" not in path.read_bytes(), path
    workers = [
        set(pd.read_parquet(tmp_path / n / "votes.parquet")["worker"]) for n in ("one", "two")
    ]
    assert len(workers[0]) == 10
    assert not workers[0] & workers[1]


def test_simulated_votes_say_so_and_none_are_written_over(make_study: Make, tmp_path: Path) -> None:
    study = make_study(truth=True)
    export(study.file, tmp_path / "set", study.engine)
    card = (tmp_path / "set" / "README.md").read_text()
    assert "no person voted" in card
    assert "| `choice` |" in card
    before = card
    with pytest.raises(VotesError, match="holds something"):
        export(study.file, tmp_path / "set", study.engine)
    assert (tmp_path / "set" / "README.md").read_text() == before


def test_a_missing_image_leaves_nothing_behind(make_study: Make, tmp_path: Path) -> None:
    study = make_study()
    next((study.place / "images").iterdir()).unlink()
    with pytest.raises(VotesError, match="cannot be copied"):
        export(study.file, tmp_path / "out" / "set", study.engine, images=True)
    assert list((tmp_path / "out").iterdir()) == []


def test_the_command_says_what_is_missing(make_study: Make, tmp_path: Path) -> None:
    study = make_study()
    refused = CliRunner().invoke(
        main, ["export", str(study.file.path), "--folder", str(tmp_path / "set")],
        env={"CLEARWINNER_DATABASE_URL": ""},
    )  # fmt: skip
    assert refused.exit_code == 2
    assert "no database" in refused.output
    study.settle()
    done = CliRunner().invoke(
        main, ["export", str(study.file.path), "--folder", str(tmp_path / "set")],
        env={"CLEARWINNER_DATABASE_URL": ""},
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "360 votes" in done.output
