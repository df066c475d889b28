"""`clearwinner export`: a study's votes as a data set that others can read."""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
import tempfile
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from analysis.planted import read_truth
from analysis.votes import JOIN, VOTE_COLUMNS, VotesError, pseudonym, read_votes
from generation.manifest import ManifestRow, read_manifest
from generation.study import StudyFile
from hit_server.records import Comparison, Placement, StudyRecord

SUMS = "SHA256SUMS"
PLACEMENTS = {
    "comparison": "public id of the comparison",
    "worker": "hash of the worker's id, as in votes.parquet",
    "assignment": "hash of the assignment's id, as in votes.parquet",
    "number": "turn on the worker's page, from 1",
    "kind": "vote; or a check: same, distractor, repeat",
    "places": "what was shown, from the first place to the last, joined by |",
    "questions": "keys of the questions in the order asked, joined by |",
    "released": "whether the place was given back without an answer",
}


@dataclass(frozen=True)
class Export:
    """A data set that was written."""

    folder: Path
    votes: int
    placements: int
    images: int
    files: tuple[str, ...]


def export(study_file: StudyFile, folder: Path, engine: Engine, *, images: bool = False) -> Export:
    """Write votes, placements, manifest, a data card and checksums into a new folder.

    Workers stand as hashes whose key is drawn for this export and kept nowhere, so that two
    exports cannot be joined and nobody can go back to an id. Free text of workers is left out.

    Args:
        study_file: the study.
        folder: where; it must not be there yet, or be empty.
        engine: the study's database.
        images: copy the images too.

    Raises:
        VotesError: the folder holds something, or there are no votes.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise VotesError(f"{folder} holds something: name a new folder with --folder.")
    study, key = study_file.study, secrets.token_bytes(32)
    votes = read_votes(engine, study.name, key=key, prompt_set=study_file.prompt_set)
    placements = _placements(engine, study.name, key)
    rows = read_manifest(study.place)
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Written beside its place and moved there whole: what is there is always complete.
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as name:
        made = Path(name) / "made"
        made.mkdir()
        votes.to_parquet(made / "votes.parquet", index=False)
        placements.to_parquet(made / "placements.parquet", index=False)
        _write_manifest(made, rows)
        copied = _copy_images(study.place, made, rows) if images else 0
        (made / "study.toml").write_bytes(study_file.path.read_bytes())
        card = _card(study_file, votes, placements, copied, simulated=bool(read_truth(study.place)))
        (made / "README.md").write_text(card, encoding="utf-8")
        files = _checksums(made)
        if folder.exists():
            folder.rmdir()
        made.replace(folder)
    return Export(folder, len(votes), len(placements), copied, files)


def _placements(engine: Engine, study_name: str, key: bytes) -> pd.DataFrame:
    query = (
        select(
            Comparison.public_id,
            Placement.worker_id,
            Placement.assignment_id,
            Placement.number,
            Placement.kind,
            Placement.methods,
            Placement.questions,
            Placement.released_at.is_not(None),
        )
        .join(Comparison, Placement.comparison_id == Comparison.id)
        .join(StudyRecord, Comparison.study_id == StudyRecord.id)
        .where(StudyRecord.name == study_name)
        .order_by(Placement.id)
    )
    with Session(engine) as session:
        rows = session.execute(query).all()
    frame = pd.DataFrame(rows, columns=list(PLACEMENTS))
    for name in ("places", "questions"):
        frame[name] = frame[name].map(JOIN.join)
    for name in ("worker", "assignment"):
        frame[name] = frame[name].map(lambda each: pseudonym(key, each))
    return frame


def _write_manifest(made: Path, rows: list[ManifestRow]) -> None:
    if rows:
        lines = (json.dumps(asdict(row), ensure_ascii=False) for row in rows)
        (made / "manifest.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _copy_images(place: Path, made: Path, rows: list[ManifestRow]) -> int:
    """Copy the manifest's images.

    Raises:
        VotesError: one is missing.
    """
    names = sorted({row.path for row in rows})
    for name in names:
        target = made / name
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copyfile(place / name, target)
        except OSError as error:
            raise VotesError(f"image {place / name} cannot be copied: {error.strerror}.") from None
    return len(names)


def _checksums(made: Path) -> tuple[str, ...]:
    """Write `SHA256SUMS` as `sha256sum -c` reads it; every file's name, sorted."""
    paths = sorted(path for path in made.rglob("*") if path.is_file())
    names = [path.relative_to(made).as_posix() for path in paths]
    sums = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    lines = [f"{digest}  {name}\n" for digest, name in zip(sums, names, strict=True)]
    (made / SUMS).write_text("".join(lines), encoding="utf-8")
    return (*names, SUMS)


def _card(
    study_file: StudyFile,
    votes: pd.DataFrame,
    placements: pd.DataFrame,
    images: int,
    *,
    simulated: bool,
) -> str:
    """The data card, with the front matter that data hubs read."""
    study = study_file.study
    workers, comparisons = votes["worker"].nunique(), votes["comparison"].nunique()
    described = [("votes.parquet", [(each.name, each.description) for each in VOTE_COLUMNS])]
    described.append(("placements.parquet", list(PLACEMENTS.items())))
    tables = [
        f"## {name}\n\n| column | meaning |\n|---|---|\n"
        + "".join(f"| `{column}` | {_cell(meaning)} |\n" for column, meaning in columns)
        for name, columns in described
    ]
    who = "**Simulated votes: programs stood in for workers, and no person voted.**\n\n"
    return (
        f"---\npretty_name: {json.dumps(study.title)}\n"
        "task_categories:\n- text-to-image\nconfigs:\n- config_name: votes\n"
        "  data_files: votes.parquet\n---\n\n"
        f"# {_cell(study.title)}\n\n{who if simulated else ''}"
        f"{len(votes):,} votes and {len(placements):,} placements: {workers:,} workers "
        f"on {comparisons:,} comparisons. Rejected assignments and check "
        "comparisons are included; `status` and `check` tell them apart.\n\n"
        f"Written {datetime.now(UTC):%Y-%m-%d}; study file sha256 `{study_file.digest}`. "
        + (f"{images:,} images lie in `images/`. " if images else "Images are not included; "
           "`manifest.jsonl` has their sha256. ")
        + "`sha256sum -c SHA256SUMS` checks every file.\n\n"
        "Workers and assignments stand as keyed hashes. The key was drawn for this export and not "
        "kept: no id can be found from a hash, and hashes of two exports cannot be joined.\n\n"
        + "\n".join(tables)
        + "\n## Licence\n\nNone is given here: the researcher who publishes this states it.\n"
    )  # fmt: skip


def _cell(text: str) -> str:
    return " ".join(text.replace("|", r"\|").split())
