"""Collecting: brings submitted assignments in, each once, with the raw answer as it came."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import Session

from hit_server.hits import Hits
from hit_server.records import Hit, StudyRecord
from hit_server.store import Submission, VoteAnswer, hits_of, placement_for, record_assignment
from mturk.answers import BadAnswer, decode_answers
from mturk.client import Endpoint, explained

if TYPE_CHECKING:
    from mypy_boto3_mturk import MTurkClient

NONE = "none"
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
    questions = [question.key for question in Hits.model_validate(study.hits).questions]
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
                submission = read_submission(session, hit, item, questions)
                if record_assignment(session, hit, submission):
                    new += 1
                    if submission.problem:
                        problems.append(f"{submission.assignment_id}: {submission.problem}")
                else:
                    seen += 1
            if progress:
                progress(number, len(hits))
    return Collected(new, seen, tuple(problems))


def read_submission(
    session: Session, hit: Hit, item: Mapping[str, Any], questions: Sequence[str]
) -> Submission:
    """What the crowd says of an assignment, and the votes or the reason why there are none."""
    places: list[str] = []
    votes: dict[str, VoteAnswer] = {}
    problem: str | None = None
    try:
        fields = decode_answers(item["Answer"])
        if fields.get("comparison") != hit.comparison.public_id:
            raise BadAnswer(f"it answers comparison {fields.get('comparison')!r}, not this HIT's")
        placement = placement_for(session, hit.comparison, item["AssignmentId"], item["WorkerId"])
        if placement is None:
            raise BadAnswer("this worker's page was never opened here, so its places are unknown")
        places = placement.methods
        votes = {question: _vote(fields, question, places) for question in questions}
    except BadAnswer as error:
        problem, votes = str(error), {}
    return Submission(
        assignment_id=item["AssignmentId"],
        worker_id=item["WorkerId"],
        status=item["AssignmentStatus"],
        accepted_at=item.get("AcceptTime"),
        submitted_at=item.get("SubmitTime"),
        answer=item["Answer"],
        places=places,
        votes=votes,
        problem=problem,
    )


def _vote(fields: Mapping[str, str], question: str, places: Sequence[str]) -> VoteAnswer:
    """The method that stood in the place chosen. An unknown label is an error, never a tie."""
    label = fields.get(question)
    choices = {str(number): method for number, method in enumerate(places, 1)} | {NONE: NONE}
    if label not in choices:
        raise BadAnswer(f"{question} = {label!r} is none of {', '.join(choices)}")
    time = fields.get(f"milliseconds.{question}", "")
    # Without JavaScript there is no time. A longer number than ten digits is not one.
    return VoteAnswer(choices[label], int(time) if time.isdecimal() and len(time) < 10 else None)
