"""Extending and closing: lost votes are asked for again, and HITs ended when all is done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from hit_server.hits import hits_of_record
from hit_server.intents import intend, settle
from hit_server.records import Assignment, Hit, Intent, StudyRecord, now
from hit_server.store import hits_of, votes_given
from mturk.batches import pool_sizes
from mturk.client import Endpoint, explained
from mturk.costs import MANY, Cost, assignment_fee, cost, cost_of
from mturk.crowd import Crowd
from mturk.launch import LaunchError, Publisher, balance, launch_more

if TYPE_CHECKING:
    from mypy_boto3_mturk import MTurkClient

INVALID_STATE = "AWS.MechanicalTurk.InvalidHITState"
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Lack:
    """A HIT that is over and lacks readable votes."""

    hit: Hit
    hit_id: str
    missing: int
    most: int
    """MaxAssignments that it has now."""
    expired: bool


@dataclass(frozen=True)
class Lacking:
    """Assignments that a study lacks, and what they cost at most."""

    assignments: int
    cost: Decimal


@dataclass(frozen=True)
class Extended:
    """What a run asked for."""

    hits: int
    assignments: int


@dataclass(frozen=True)
class Closed:
    """What a run ended."""

    expired: int
    deleted: int
    kept: int
    """HITs that still have work under way or not reviewed."""


def lacks(
    session: Session, study: StudyRecord, crowd: Crowd, client: MTurkClient, endpoint: Endpoint
) -> list[Lack]:
    """HITs with fewer readable assignments than wanted, and none on the way.

    Assignments that are open, being worked on or not collected yet count as on the way. Pooled
    HITs are looked at together: see `pool_lacks`.
    """
    found = []
    for state in _states(session, study, client, endpoint):
        if not state.hit.pooled:
            missing = crowd.assignments - state.good - state.on_the_way
            if missing > 0:
                found.append(Lack(state.hit, state.hit_id, missing, state.most, state.expired))
    return found


def pool_lacks(
    session: Session, study: StudyRecord, crowd: Crowd, client: MTurkClient, endpoint: Endpoint
) -> int:
    """Assignments that a pooled study lacks: for votes not given and not on the way."""
    on_the_way = sum(
        state.on_the_way for state in _states(session, study, client, endpoint) if state.hit.pooled
    )
    on_the_way += sum(hit.assignments for hit in hits_of(session, study, settled=False))
    given = votes_given(session, study)
    session.commit()
    lacking = sum(max(0, crowd.assignments - count) for count in given.values())
    per_hit = hits_of_record(study.hits).per_hit
    return max(0, -(-lacking // per_hit) - on_the_way)


def lacking(
    session: Session, study: StudyRecord, crowd: Crowd, client: MTurkClient, endpoint: Endpoint
) -> Lacking:
    """What topping up would ask for."""
    if crowd.pooled:
        number = pool_lacks(session, study, crowd, client, endpoint)
        price = cost_of(pool_sizes(number), crowd.reward_usd, masters=crowd.masters)
        return Lacking(number, price.total)
    wanted = lacks(session, study, crowd, client, endpoint)
    return Lacking(sum(lack.missing for lack in wanted), extend_cost(crowd, wanted).total)


@dataclass(frozen=True)
class _State:
    """What the records and the crowd say of a HIT."""

    hit: Hit
    hit_id: str
    good: int
    on_the_way: int
    most: int
    expired: bool


def _states(
    session: Session, study: StudyRecord, client: MTurkClient, endpoint: Endpoint
) -> Iterator[_State]:
    for hit in hits_of(session, study, settled=True):
        good = sum(a.problem is None and a.status != "Rejected" for a in hit.given)
        bad = len(hit.given) - good
        hit_id = hit.hit_id or ""
        session.commit()  # a slow crowd must not hold the database
        with explained(endpoint):
            shown: Any = client.get_hit(HITId=hit_id)["HIT"]
        if shown["HITStatus"] == "Disposed":
            continue
        expired = shown["Expiration"] <= now()
        most = shown["MaxAssignments"]
        free, pending = shown["NumberOfAssignmentsAvailable"], shown["NumberOfAssignmentsPending"]
        uncollected = max(0, most - free - pending - good - bad)
        on_the_way = pending + uncollected + (0 if expired else free)
        yield _State(hit, hit_id, good, on_the_way, most, expired)


def extend_cost(crowd: Crowd, wanted: list[Lack]) -> Cost:
    """What topping up costs at most: places that expired HITs still have are paid for already."""
    number = sum(lack.missing for lack in wanted)
    each = cost(1, crowd.assignments, crowd.reward_usd, masters=crowd.masters)
    return Cost(number * each.reward / crowd.assignments, number * each.fees / crowd.assignments)


def extend(
    session: Session,
    study: StudyRecord,
    publisher: Publisher,
    *,
    progress: Progress | None = None,
) -> Extended:
    """Ask for the assignments that comparisons lack: on the HITs that they have, or a new pool's.

    Raises:
        LaunchError: a HIT made with fewer than ten assignments would grow to ten or more, or the
            study's budget or the account holds too little; nothing is asked for then.
        CrowdError: the endpoint cannot be reached or refuses; run it again and it goes on.
    """
    crowd, client, endpoint = publisher.crowd, publisher.client, publisher.endpoint
    if crowd.pooled:
        pool = pool_lacks(session, study, crowd, client, endpoint)
        price = cost_of(pool_sizes(pool), crowd.reward_usd, masters=crowd.masters)
        _affordable(session, study, publisher, price.total)
        launched = launch_more(session, study, publisher, pool)
        return Extended(launched.published + launched.found, pool)
    wanted = lacks(session, study, crowd, client, endpoint)
    for lack in wanted:
        if lack.most < MANY <= lack.most + _more(lack, client, endpoint):
            raise LaunchError(
                f"HIT {lack.hit_id} was made with {lack.most} assignments and cannot be extended "
                f"to {MANY} or more. Nothing was extended. Launch the study anew under another "
                "name for the comparisons that lack votes."
            )
    total = extend_cost(crowd, wanted).total
    _affordable(session, study, publisher, total)
    with explained(endpoint):
        for number, lack in enumerate(wanted, 1):
            _extend_one(session, study, crowd, client, endpoint, lack)
            if progress:
                progress(number, len(wanted))
    return Extended(len(wanted), sum(lack.missing for lack in wanted))


def _affordable(session: Session, study: StudyRecord, publisher: Publisher, total: Decimal) -> None:
    """Refuse to top up beyond the study's budget or the account's balance."""
    _within_budget(session, study, publisher.crowd, total)
    held = balance(session, publisher)
    if total > held:
        raise LaunchError(
            f"topping up costs at most ${total}, but the account holds ${held}. Nothing was "
            "extended. Add money to the account."
        )


def _within_budget(session: Session, study: StudyRecord, crowd: Crowd, more: Decimal) -> None:
    """Refuse to top up beyond the study's budget: what was collected is spent."""
    if crowd.budget_usd is None or more == 0:
        return
    done = session.scalar(
        select(func.count(Assignment.id))
        .join(Hit)
        .where(Hit.study_id == study.id, Assignment.status != "Rejected")
    )
    session.commit()
    fee = assignment_fee(crowd.reward_usd, crowd.hit_assignments, masters=crowd.masters)
    spent = (done or 0) * (crowd.reward_usd + fee)
    if spent + more > crowd.budget_usd:
        raise LaunchError(
            f"topping up costs at most ${more}, and ${spent} is spent: more than "
            f"crowd.budget_usd = {crowd.budget_usd}. Nothing was asked for. Raise the budget."
        )


def close(
    session: Session,
    study: StudyRecord,
    client: MTurkClient,
    endpoint: Endpoint,
    *,
    progress: Progress | None = None,
) -> Closed:
    """End every HIT of a study, and delete those whose work is all reviewed.

    Accepted work may still be finished; run it again to delete those HITs later.

    Raises:
        CrowdError: the endpoint cannot be reached or refuses; run it again and it goes on.
    """
    hits = [hit.hit_id or "" for hit in hits_of(session, study, settled=True)]
    study.closed_at = study.closed_at or now()
    session.commit()
    expired = deleted = kept = 0
    with explained(endpoint):
        for number, hit_id in enumerate(hits, 1):
            shown: Any = client.get_hit(HITId=hit_id)["HIT"]
            if shown["HITStatus"] == "Disposed":
                continue
            if shown["Expiration"] > now():
                client.update_expiration_for_hit(
                    HITId=hit_id, ExpireAt=datetime.fromtimestamp(0, UTC)
                )
                expired += 1
            try:
                client.delete_hit(HITId=hit_id)
                deleted += 1
            except ClientError as error:
                if error.response.get("TurkErrorCode") != INVALID_STATE:
                    raise
                kept += 1
            if progress:
                progress(number, len(hits))
    return Closed(expired, deleted, kept)


def _more(lack: Lack, client: MTurkClient, endpoint: Endpoint) -> int:
    """Assignments to add: an expired HIT still has the places that nobody took."""
    if not lack.expired:
        return lack.missing
    with explained(endpoint):
        free = client.get_hit(HITId=lack.hit_id)["HIT"]["NumberOfAssignmentsAvailable"]
    return max(0, lack.missing - free)


def _extend_one(
    session: Session,
    study: StudyRecord,
    crowd: Crowd,
    client: MTurkClient,
    endpoint: Endpoint,
    lack: Lack,
) -> None:
    """Add places and time to one HIT.

    The token is of the number of places that the HIT shall have: a lost answer is found by
    asking how many it has, and asking twice adds nothing.
    """
    more = _more(lack, client, endpoint)
    if more:
        target = lack.most + more
        intent = intend(
            session, study, endpoint.url, "extend", lack.hit_id, {"most": target}, str(target)
        )
        _add(client, intent, more)
        settle(session, intent, f"{target} assignments")
    if lack.expired:
        until = now() + timedelta(seconds=crowd.lifetime_s)
        client.update_expiration_for_hit(HITId=lack.hit_id, ExpireAt=until)


def _add(client: MTurkClient, intent: Intent, more: int) -> None:
    try:
        client.create_additional_assignments_for_hit(
            HITId=intent.subject,
            NumberOfAdditionalAssignments=more,
            UniqueRequestToken=intent.token,
        )
    except ClientError:
        # The token may have been used by a request whose answer was lost.
        shown = client.get_hit(HITId=intent.subject)["HIT"]
        if shown["MaxAssignments"] < intent.detail["most"]:
            raise
