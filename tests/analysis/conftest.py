"""A small study with votes, made of records; no generation, no server."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sqlalchemy import Engine, create_engine
from sqlalchemy.orm import Session

from analysis.votes import checked
from generation.manifest import ManifestRow
from generation.study import StudyFile, read_study_file
from hit_server.database import open_database
from hit_server.records import Assignment, Comparison, Hit, Record, StudyRecord, Vote, now

SHARED = Path(__file__).parents[3] / "shared" / "data" / "statistics"


def published(name: str) -> dict[str, Any]:
    path = SHARED / f"{name}.json"
    if not path.is_file():
        pytest.skip(f"the published examples are not on this machine: {path}")
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


QUESTIONS = ("correctness", "appeal")
Votes = list[tuple[str, str, str]]
"""(comparison, worker, choice)"""


def vote_frame(
    votes: Votes, methods: str = "cfg|dnp", question: str = "correctness", prompts: str = ""
) -> pd.DataFrame:
    """A checked frame of votes on one question and set of methods."""
    rows = [
        {
            "study": "tiny",
            "comparison": comparison,
            "prompt_id": prompts or comparison,
            "prompt": f"prompt of {comparison}",
            "category": "",
            "seed": 0,
            "question": question,
            "methods": methods,
            "places": methods,
            "choice": choice,
            "worker": worker,
            "assignment": f"{comparison}-{worker}",
            "milliseconds": None,
            "status": "Approved",
            "submitted_at": None,
        }
        for comparison, worker, choice in votes
    ]
    return checked(pd.DataFrame(rows))


@dataclass(frozen=True)
class SmallStudy:
    file: StudyFile
    place: Path
    engine: Engine

    def settle(self) -> None:
        """Put the votes into the database where the study's commands look for them."""
        own = open_database(f"sqlite:///{self.place / 'study.sqlite3'}")
        with self.engine.connect() as reader, own.begin() as writer:
            for table in Record.metadata.sorted_tables:
                rows = [dict(row._mapping) for row in reader.execute(table.select())]
                if rows:
                    writer.execute(table.insert(), rows)


def _image(folder: Path, seed: int) -> tuple[str, str]:
    pixels = np.random.default_rng(seed).integers(0, 255, (8, 8, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).resize((64, 64)).save(buffer, format="PNG")
    digest = hashlib.sha256(buffer.getvalue()).hexdigest()
    path = folder / "images" / f"{digest}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(buffer.getvalue())
    return digest, f"images/{digest}.png"


def _manifest(place: Path, prompts: list[str], methods: list[str]) -> None:
    lines = []
    for number, prompt in enumerate(prompts):
        for place_of, method in enumerate(methods):
            digest, path = _image(place, 10 * number + place_of)
            row = ManifestRow(
                study="small", prompt_id=f"p{number}", prompt=prompt, category="", seed=0,
                method=method, options={"kind": method, "scale": 2.5}, negative_prompt=None,
                model="shapes", revision="r1", scheduler="ddim", steps=41, dtype="float32",
                device="cpu", width=64, height=64, sha256=digest, path=path,
                created_at="2026-11-23T12:00:00+00:00", evaluations=82, seconds=0.5,
                versions={"torch": "2.8"}, git_commit="abc",
            )  # fmt: skip
            lines.append(json.dumps(asdict(row)))
    (place / "manifest.jsonl").write_text("\n".join(lines) + "\n")


def _fill(session: Session, prompts: list[str], groups: list[list[str]], workers: int) -> None:
    rng = np.random.default_rng(5)
    study = StudyRecord(name="small", title="Small", seed=3, hits={}, digest="0" * 64)
    session.add(study)
    for group in groups:
        for number, prompt in enumerate(prompts):
            key = f"{number}-{'-'.join(group)}"[:64]
            comparison = Comparison(
                public_id=f"c{hashlib.sha256(key.encode()).hexdigest()[:12]}", study=study,
                key=key, prompt_id=f"p{number}", prompt=prompt, seed=0, methods=group,
            )  # fmt: skip
            hit = Hit(
                study=study, public_id=comparison.public_id, comparisons=[comparison],
                assignments=10, duration_s=600, endpoint="test", token=key, hit_id=key,
            )  # fmt: skip
            session.add(hit)
            tilt = rng.uniform(-0.2, 0.35)
            for worker in range(workers):
                given = Assignment(
                    hit=hit, assignment_id=f"A{key}{worker}", worker_id=f"WORKER{worker}",
                    status="Rejected" if worker == workers - 1 and number == 0 else "Approved",
                    submitted_at=now(), answer="<xml/>",
                )  # fmt: skip
                chances = np.array([0.35 + tilt, *[0.35 - tilt] * (len(group) - 1), 0.3])
                for question in QUESTIONS:
                    choice = rng.choice([*group, "none"], p=chances / chances.sum())
                    given.votes.append(
                        Vote(comparison=comparison, question=question, choice=str(choice),
                             places=list(rng.permutation(group)), milliseconds=900)
                    )  # fmt: skip
                session.add(given)
    session.commit()


@pytest.fixture
def make_study(tmp_path: Path) -> Callable[..., SmallStudy]:
    """Builds a study with images, manifest and votes in a temporary folder."""

    def build(
        *,
        groups: list[list[str]] | None = None,
        prompts: int = 9,
        workers: int = 10,
        truth: bool = False,
        prompt: str = "a red circle above a blue square",
    ) -> SmallStudy:
        groups = groups or [["cfg", "dnp"], ["cfg", "answer"]]
        place = tmp_path / "small"
        place.mkdir()
        path = tmp_path / "small.toml"
        path.write_text(
            f'[study]\nname = "small"\ntitle = "A <small> study"\nfolder = "{place}"\n'
            "[report]\nexamples = 2\nresamples = 200\n"
        )
        texts = [f"{prompt} {number}" for number in range(prompts)]
        _manifest(place, texts, list(dict.fromkeys(name for group in groups for name in group)))
        engine = create_engine(f"sqlite:///{tmp_path / 'votes.sqlite3'}")
        Record.metadata.create_all(engine)
        with Session(engine) as session:
            _fill(session, texts, groups, workers)
        if truth:
            (place / "truth.json").write_text(json.dumps(_truth(groups)))
        return SmallStudy(read_study_file(path), place, engine)

    return build


def _truth(groups: list[list[str]]) -> dict[str, object]:
    entries = [
        {"question": question, "methods": group, "win": 0.41, "tie": 0.22, "loss": 0.37}
        for question in QUESTIONS
        for group in groups
    ]
    workers = [{"name": "w1", "kind": "careful"}, {"name": "w2", "kind": "careless"}]
    return {"simulated": True, "seed": 1, "note": "Made up.", "workers": workers, "truth": entries}


@pytest.fixture
def frame_of() -> Callable[..., pd.DataFrame]:
    """`vote_frame` as a fixture: tests cannot import this file."""
    return vote_frame
