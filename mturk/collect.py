"""Collecting: brings submitted assignments in, each once, with the raw answer as it came."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import Session

from hit_server.hits import hits_of_record
from hit_server.reading import Answer, Unreadable, read_answers
from hit_server.records import Hit, StudyRecord
from hit_server.reserving import placements_of
from hit_server.self_contained import placements_as_shown
from hit_server.store import Submission, hits_of, record_assignment
from mturk.answers import BadAnswer, decode_answers
from mturk.client import Endpoint, explained

if TYPE_CHECKING:
    from mypy_boto3_mturk import MTurkClient

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Collected:
    """What a run brought in."""

    new: int
    seen: int
    problems: tuple[str, ...]
    """Assignments of this run whose answer gave no votes, with the reason."""


def collect(
    session: Session,
    study: StudyRecord,
    client: MTurkClient,
    endpoint: Endpoint,
    *,
    progress: Progress | None = None,
) -> Collected:
    """Bring in what was submitted to the study's HITs; as often as one likes.

    Raises:
        CrowdError: the endpoint cannot be reached or refuses.
    """
    hits = hits_of(session, study, settled=True)
    new = seen = 0
    problems: list[str] = []
    with explained(endpoint):
        paginator = client.get_paginator("list_assignments_for_hit")
        for number, hit in enumerate(hits, 1):
            pages: Any = paginator.paginate(
                HITId=hit.hit_id or "", PaginationConfig={"PageSize": 100}
            )
            session.commit()  # a slow crowd must not hold the database
            for item in [item for page in pages for item in page["Assignments"]]:
                submission = read_submission(session, hit, item)
                if record_assignment(session, hit, submission):
                    new += 1
                    if submission.problem:
                        problems.append(f"{submission.assignment_id}: {submission.problem}")
                else:
                    seen += 1
            if progress:
                progress(number, len(hits))
    return Collected(new, seen, tuple(problems))


def read_submission(session: Session, hit: Hit, item: Mapping[str, Any]) -> Submission:
    """What the crowd says of an assignment, and its answers or the reason why there are none."""
    answers: list[Answer] = []
    problem: str | None = None
    try:
        fields = decode_answers(item["Answer"])
        names = item["AssignmentId"], item["WorkerId"]
        placements = placements_of(session, *names)
        if not placements and hits_of_record(hit.study.hits).question == "html":
            placements = placements_as_shown(session, hit, *names)
        if not placements:
            raise Unreadable("this worker's page was never opened here, so its places are unknown")
        answers = read_answers(placements, fields)
    except (BadAnswer, Unreadable) as error:
        problem = str(error)
    return Submission(
        assignment_id=item["AssignmentId"],
        worker_id=item["WorkerId"],
        status=item["AssignmentStatus"],
        accepted_at=item.get("AcceptTime"),
        submitted_at=item.get("SubmitTime"),
        answer=item["Answer"],
        answers=answers,
        problem=problem,
    )
