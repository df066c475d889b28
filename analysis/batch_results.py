"""Votes from a batch-results CSV, as Mechanical Turk's requester site exported them.

Such a file has a row for each assignment: columns of the HIT and the assignment, `Input.*` as the
batch was made with, `Answer.*` as workers answered. The study file says what they mean.
"""

from __future__ import annotations

import csv
import hashlib
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.settings import BatchResults
from analysis.vote_file import ROW, FileVotes, RejectedRow, without_second_answers
from analysis.votes import JOIN, NONE, VotesError, checked, pseudonym
from generation.study import nearest

NEEDED = ("HITId", "AssignmentId", "WorkerId", "AssignmentStatus", "SubmitTime")
ZONES = {"UTC": 0, "GMT": 0, "PST": -8, "PDT": -7}
"""Hours; the site wrote Pacific time."""


def read_batch_results(table: BatchResults, study: str, *, base: Path) -> FileVotes:
    """The votes of a batch-results CSV, checked; those of rejected assignments included.

    Rows without an assignment or without an answer, and a worker's later answers on the same
    comparison, are listed with their reason. An answer that has no meaning is an error, never a
    tie.

    Args:
        table: what the columns mean.
        study: name of the study.
        base: the folder to which the file is relative.

    Raises:
        VotesError: naming file, line, column and value.
    """
    path = base / table.file
    key = secrets.token_bytes(32)
    votes: list[dict[str, Any]] = []
    rejected: list[RejectedRow] = []
    for line, row in _rows(path, table):
        if not (row["AssignmentId"] or "").strip():
            rejected.append(RejectedRow(line, "no assignment"))
            continue
        found = _votes(f"{path}, line {line}", row, table, study, key)
        answered = {vote["question"] for vote in found}
        rejected += [
            RejectedRow(line, f"no answer to {question}")
            for question in table.questions
            if question not in answered
        ]
        votes += [vote | {ROW: line} for vote in found]
    if not votes:
        raise VotesError(f"{path} holds no votes.")
    frame, again = without_second_answers(pd.DataFrame(votes))
    return FileVotes(
        checked(frame, where=str(path)),
        tuple(sorted((*rejected, *again), key=lambda each: each.row)),
    )


def read_time(text: str) -> datetime | None:
    """A time as the requester site wrote it, such as `Mon Nov 23 12:34:56 PST 2020`.

    Raises:
        ValueError: it is another form, or another zone.
    """
    parts = text.split()
    if not parts:
        return None
    if len(parts) != 6 or parts[4] not in ZONES:
        raise ValueError(f"{text!r} is no time such as 'Mon Nov 23 12:34:56 PST 2020'")
    zone = timezone(timedelta(hours=ZONES[parts[4]]))
    plain = " ".join([*parts[1:4], parts[5]])
    return datetime.strptime(plain, "%b %d %H:%M:%S %Y").replace(tzinfo=zone).astimezone(UTC)


def _rows(path: Path, table: BatchResults) -> list[tuple[int, dict[str, str]]]:
    """Lines of the file, by their number."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            names = list(reader.fieldnames or [])
            wanted = [*NEEDED, table.prompt, *table.places, *table.questions.values()]
            wanted += [name for name in (table.category, table.seed) if name]
            for name in wanted:
                if name not in names:
                    raise VotesError(f"{path}: no column {name!r}.{nearest(name, names)}")
            found = [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise VotesError(f"{path} cannot be read: {error}") from None
    seen: set[str] = set()
    for line, row in found:
        name = row["AssignmentId"]
        if name and name in seen:
            raise VotesError(f"{path}, line {line}: assignment {name} comes twice.")
        seen.add(name)
    return found


def _votes(
    where: str, row: Mapping[str, str], table: BatchResults, study: str, key: bytes
) -> list[dict[str, Any]]:
    places = [row[column].strip() for column in table.places]
    prompt = row[table.prompt]
    try:
        submitted = read_time(row["SubmitTime"])
    except ValueError as error:
        raise VotesError(f"{where}: SubmitTime: {error}.") from None
    common = {
        "study": study,
        "comparison": _comparison(row, table, places),
        "prompt_id": hashlib.sha256(prompt.encode()).hexdigest()[:16],
        "prompt": prompt,
        "category": row[table.category] if table.category else "",
        "seed": row[table.seed] if table.seed else 0,
        "methods": JOIN.join(sorted(places)),
        "places": JOIN.join(places),
        "worker": pseudonym(key, row["WorkerId"]),
        "assignment": pseudonym(key, row["AssignmentId"]),
        "milliseconds": None,
        "status": row["AssignmentStatus"],
        "submitted_at": submitted,
    }
    found = []
    for question, column in table.questions.items():
        answer = (row[column] or "").strip()
        if answer:
            choice = _choice(f"{where}: {column}", answer, table, places)
            found.append(common | {"question": question, "choice": choice})
    return found


def _comparison(row: Mapping[str, str], table: BatchResults, places: Sequence[str]) -> str:
    """Equal prompts, seeds and methods are one comparison, in whichever HITs they were shown."""
    seed = row[table.seed] if table.seed else ""
    text = "\x1f".join([row[table.prompt], seed, *sorted(places)])
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def _choice(where: str, answer: str, table: BatchResults, places: Sequence[str]) -> str:
    meaning = table.choices.get(answer)
    if meaning is None:
        raise VotesError(f"{where} = {answer[:60]!r}.{nearest(answer, list(table.choices))}")
    if meaning == NONE:
        return NONE
    if int(meaning) > len(places):
        raise VotesError(f"{where} = {answer[:60]!r} means place {meaning} of {len(places)}.")
    return places[int(meaning) - 1]
