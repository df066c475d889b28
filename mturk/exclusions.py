"""Keeping workers from a study's HITs: those of earlier studies, and those who did enough.

An exclusion qualification does it: HITs ask that a worker does not have it. Blocking would do too,
but blocks count against a worker's account.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from generation.study import UserError, nearest
from hit_server.hits import hits_of_record
from hit_server.intents import intend, intents_of, settle
from hit_server.records import StudyRecord
from mturk.client import Endpoint, explained
from mturk.crowd import Crowd
from mturk.in_flight import in_flight
from mturk.review import assignments_of

if TYPE_CHECKING:
    from mypy_boto3_mturk import MTurkClient

EXCLUDED = "excluded"


class ExclusionError(UserError):
    """A study whose workers are to be left out is not known."""


def excludes(study: StudyRecord, crowd: Crowd) -> bool:
    """Whether a study keeps anybody out."""
    most = hits_of_record(study.hits).most_per_worker
    return bool(crowd.exclude_studies) or most is not None


def exclusion_type(client: MTurkClient, study: StudyRecord) -> str:
    """The id of the study's exclusion qualification, which is made when there is none."""
    name = f"Not for study {study.name}"
    pages: Any = client.get_paginator("list_qualification_types").paginate(
        Query=name, MustBeRequestable=False, MustBeOwnedByCaller=True
    )
    for page in pages:
        for kind in page["QualificationTypes"]:
            if kind["Name"] == name:
                return str(kind["QualificationTypeId"])
    made = client.create_qualification_type(
        Name=name,
        Description="Given to workers who have done what this study asks of one person.",
        QualificationTypeStatus="Active",
    )
    return made["QualificationType"]["QualificationTypeId"]


def workers_to_exclude(session: Session, study: StudyRecord, crowd: Crowd) -> list[str]:
    """Workers of the named earlier studies, and those who did the most that one person may do.

    Raises:
        ExclusionError: an earlier study is not in this database.
    """
    found: dict[str, None] = {}
    for name in crowd.exclude_studies:
        earlier = session.scalar(select(StudyRecord).where(StudyRecord.name == name))
        if earlier is None:
            known = list(session.scalars(select(StudyRecord.name)))
            raise ExclusionError(
                f"crowd.exclude_studies: no study {name!r} in this database.{nearest(name, known)} "
                "Its votes must be in the same one: see CLEARWINNER_DATABASE_URL."
            )
        found |= dict.fromkeys(each.worker_id for each in assignments_of(session, earlier))
    most = hits_of_record(study.hits).most_per_worker
    if most is not None:
        done = Counter(each.worker_id for each in assignments_of(session, study))
        found |= dict.fromkeys(worker for worker, number in done.items() if number >= most)
    return list(found)


def exclude(
    session: Session,
    study: StudyRecord,
    client: MTurkClient,
    endpoint: Endpoint,
    type_id: str,
    workers: Sequence[str],
) -> int:
    """Give workers the exclusion qualification; how many got it now.

    Raises:
        CrowdError: the endpoint cannot be reached or refuses; run it again and it goes on.
    """
    there = {
        intent.subject
        for intent in intents_of(session, study, "exclude")
        if intent.outcome and intent.endpoint == endpoint.url
    }
    session.commit()
    waiting = [worker for worker in workers if worker not in there]

    def intended() -> Iterable[tuple[Any, str]]:
        for worker in waiting:
            yield intend(session, study, endpoint.url, "exclude", worker, {"type": type_id}), worker

    def ask(item: tuple[Any, str]) -> str:
        # Giving it twice changes nothing.
        client.associate_qualification_with_worker(
            QualificationTypeId=type_id,
            WorkerId=item[1],
            IntegerValue=1,
            SendNotification=False,
        )
        return EXCLUDED

    with explained(endpoint):
        in_flight(intended(), ask, lambda item, outcome: settle(session, item[0], outcome))
    return len(waiting)
