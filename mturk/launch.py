"""Publishing: every comparison gets its HIT, once, whatever fails in between.

A HIT is written down with its token before it is asked for, and settled with its id after.
When the answer was lost, the same token finds the HIT again for 24 hours, and the same
annotation for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import chain
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from generation.study import UserError
from hit_server.hits import Hits, hits_of_record
from hit_server.intents import token_of
from hit_server.records import Comparison, Hit, StudyRecord, now
from hit_server.self_contained import self_contained_page
from hit_server.settings import Settings
from hit_server.store import hits_of, intend_hit, settle_hit, unpublished
from mturk.batches import chunks, hit_sizes, pool_sizes
from mturk.client import Endpoint, existing_hit, explained
from mturk.costs import Cost, assignment_fee, cost_of
from mturk.crowd import Crowd
from mturk.exclusions import exclude, excludes, exclusion_type, workers_to_exclude
from mturk.in_flight import in_flight
from mturk.qualifications import requirements
from mturk.questions import external_question, html_question

if TYPE_CHECKING:
    from mypy_boto3_mturk import MTurkClient

Progress = Callable[[int, int], None]


class LaunchError(UserError):
    """Publishing would overspend, or there is nothing to publish."""


@dataclass(frozen=True)
class LaunchPlan:
    """What publishing would ask for, and what it costs."""

    comparisons: int
    hits: int
    """Published and to publish."""
    published: int
    to_publish: int
    assignments: int
    """Of the HITs to publish."""
    cost: Cost
    """Of the HITs to publish."""
    spent: Cost
    """Of the HITs published before, when every assignment is approved."""


@dataclass(frozen=True)
class Launched:
    """What a run published."""

    published: int
    found: int
    """HITs that an earlier run had asked for without hearing the answer."""


@dataclass(frozen=True)
class Wanted:
    """A HIT to ask for: what a thread needs of its record."""

    hit: Hit
    token: str
    question: str
    assignments: int


@dataclass(frozen=True)
class Publisher:
    """What every HIT of a launch shares."""

    client: MTurkClient
    endpoint: Endpoint
    crowd: Crowd
    public_url: str
    settings: Settings = field(default_factory=Settings)

    def wanted(self, session: Session, hit: Hit) -> Wanted:
        """What a HIT asks the crowd for.

        Raises:
            UserError: its page has no images to show, or is too long.
        """
        if hits_of_record(hit.study.hits).question == "html":
            question = html_question(self_contained_page(session, hit, self.settings))
        else:
            question = external_question(f"{self.public_url.rstrip('/')}/hit/{hit.public_id}")
        session.commit()
        return Wanted(hit, hit.token, question, hit.assignments)

    def publish(self, wanted: Wanted, hit_type: str) -> tuple[str, bool]:
        """Ask for a HIT; its id, and whether an earlier request had already made it."""
        token = wanted.token
        try:
            answer = self.client.create_hit_with_hit_type(
                HITTypeId=hit_type,
                MaxAssignments=wanted.assignments,
                LifetimeInSeconds=self.crowd.lifetime_s,
                Question=wanted.question,
                RequesterAnnotation=token,
                UniqueRequestToken=token,
            )
        except ClientError as error:
            known = existing_hit(error)
            if known is None:
                raise
            return known, True
        return answer["HIT"]["HITId"], False

    def hit_type(self, hits: Hits, excluded: str | None = None) -> str:
        """The HIT type of the study; asking again with equal values gives the same one."""
        answer = self.client.create_hit_type(
            Title=hits.title,
            Description=hits.description,
            Keywords=hits.keywords,
            Reward=str(self.crowd.reward_usd),
            AssignmentDurationInSeconds=self.crowd.duration_s,
            AutoApprovalDelayInSeconds=self.crowd.auto_approval_s,
            QualificationRequirements=requirements(
                self.crowd, sandbox=self.endpoint.kind == "sandbox", excluded=excluded
            ),
        )
        return answer["HITTypeId"]


def plan_launch(session: Session, study: StudyRecord, crowd: Crowd) -> LaunchPlan:
    """Count what is missing and what it costs. HITs that were only intended count as missing."""
    total = session.scalar(
        select(func.count()).select_from(Comparison).where(Comparison.study_id == study.id)
    )
    published = [hit.assignments for hit in hits_of(session, study, settled=True)]
    missing = [hit.assignments for hit in hits_of(session, study, settled=False)]
    missing += _new_sizes(session, study, crowd)

    def price(sizes: list[int]) -> Cost:
        return cost_of(sizes, crowd.reward_usd, masters=crowd.masters)

    return LaunchPlan(
        comparisons=total or 0,
        hits=len(published) + len(missing),
        published=len(published),
        to_publish=len(missing),
        assignments=sum(missing),
        cost=price(missing),
        spent=price(published),
    )


def _new_sizes(session: Session, study: StudyRecord, crowd: Crowd) -> list[int]:
    """Assignments of the HITs that nobody has intended yet."""
    per_hit = hits_of_record(study.hits).per_hit
    if not crowd.pooled:
        return hit_sizes(len(unpublished(session, study)), per_hit, crowd)
    count = select(func.count()).select_from(Comparison).where(Comparison.study_id == study.id)
    there = select(func.sum(Hit.assignments)).where(Hit.study_id == study.id, Hit.pooled)
    return hit_sizes(session.scalar(count) or 0, per_hit, crowd, there=session.scalar(there) or 0)


def check_money(plan: LaunchPlan, crowd: Crowd, balance: Decimal) -> None:
    """Refuse to overspend.

    Raises:
        LaunchError: the study's budget or the account's balance is too small.
    """
    total = plan.cost.total + plan.spent.total
    if crowd.budget_usd is not None and total > crowd.budget_usd:
        raise LaunchError(
            f"the study would cost ${total} (${plan.spent.total} of it is published), more than "
            f"crowd.budget_usd = {crowd.budget_usd}. Nothing was published. Raise the budget, or "
            "ask for fewer comparisons or assignments."
        )
    if plan.cost.total > balance:
        raise LaunchError(
            f"publishing costs ${plan.cost.total}, but the account holds ${balance}. Nothing was "
            "published. Add money to the account, or ask for less."
        )


def launch(
    session: Session,
    study: StudyRecord,
    publisher: Publisher,
    *,
    progress: Progress | None = None,
) -> Launched:
    """Publish the HITs that the study's comparisons lack.

    Raises:
        LaunchError: it would overspend; nothing is published then.
        CrowdError: the endpoint cannot be reached or refuses; run it again and it goes on.
    """
    crowd = publisher.crowd
    if crowd.pooled and hits_of_record(study.hits).question == "html":
        raise LaunchError(
            'crowd.save_fees lets the server decide what a worker judges: hits.question = "html" '
            "has no server. Choose one of the two."
        )
    study.votes_wanted, study.closed_at = crowd.assignments, None
    session.commit()
    plan = plan_launch(session, study, crowd)
    if plan.to_publish == 0:
        session.commit()
        return Launched(0, 0)
    check_money(plan, crowd, balance(session, publisher))
    return _publish(session, study, publisher, _new(session, study, publisher), progress)


def launch_more(
    session: Session, study: StudyRecord, publisher: Publisher, assignments: int
) -> Launched:
    """Publish further places of a pooled study, for votes that were lost.

    Raises:
        CrowdError: the endpoint cannot be reached or refuses; run it again and it goes on.
    """
    sizes = pool_sizes(assignments)
    return _publish(session, study, publisher, _pool(session, study, publisher, sizes), None)


def balance(session: Session, publisher: Publisher) -> Decimal:
    """What the account holds."""
    session.commit()  # a slow crowd must not hold the database
    with explained(publisher.endpoint):
        return Decimal(publisher.client.get_account_balance()["AvailableBalance"])


def _publish(
    session: Session,
    study: StudyRecord,
    publisher: Publisher,
    new: Iterator[Hit],
    progress: Progress | None,
) -> Launched:
    """Publish what an earlier run had intended, then what is new."""
    client = publisher.client
    with explained(publisher.endpoint):
        excluded = _excluded(session, study, publisher)
        hit_type = publisher.hit_type(hits_of_record(study.hits), excluded)
        intended = hits_of(session, study, settled=False)
        total = len(intended) + len(_new_sizes(session, study, publisher.crowd))
        session.commit()
        lost = _by_annotation(client) if intended else {}
        made = _Made(session, publisher, hit_type, lost, total, progress)
        in_flight(made.wanted(chain(intended, new)), made.ask, made.settle)
    return Launched(made.done - made.found, made.found)


def _new(session: Session, study: StudyRecord, publisher: Publisher) -> Iterator[Hit]:
    """The HITs that nobody has asked for, each written down when its turn comes."""
    crowd = publisher.crowd
    if crowd.pooled:
        sizes = _new_sizes(session, study, crowd)
        yield from _pool(session, study, publisher, sizes)
        return
    yield from bound_hits(session, study, publisher, crowd.assignments)


def bound_hits(
    session: Session, study: StudyRecord, publisher: Publisher, assignments: int
) -> Iterator[Hit]:
    """HITs of the comparisons that none shows, each written down when its turn comes."""
    crowd = publisher.crowd
    per_hit = hits_of_record(study.hits).per_hit
    waiting = unpublished(session, study)
    if per_hit > 1:
        # A page of one prompt's comparisons would show the same image twice. Keys are hashes.
        waiting.sort(key=lambda comparison: comparison.key)
    for group in chunks(waiting, per_hit):
        yield intend_hit(
            session,
            study,
            publisher.endpoint.url,
            request_token(study, group, publisher.endpoint),
            comparisons=group,
            assignments=assignments,
            duration_s=crowd.duration_s,
            unit_cost=_unit_cost(crowd, assignments),
        )


def _pool(
    session: Session, study: StudyRecord, publisher: Publisher, sizes: list[int]
) -> Iterator[Hit]:
    """HITs that leave it to the server what they show."""
    count = select(func.count()).select_from(Hit).where(Hit.study_id == study.id, Hit.pooled)
    first = session.scalar(count) or 0
    for number, size in enumerate(sizes, first):
        yield intend_hit(
            session,
            study,
            publisher.endpoint.url,
            token_of(study.name, f"pool {number}", publisher.endpoint.url),
            comparisons=[],
            assignments=size,
            duration_s=publisher.crowd.duration_s,
            unit_cost=_unit_cost(publisher.crowd, size),
        )


def _unit_cost(crowd: Crowd, assignments: int) -> Decimal:
    fee = assignment_fee(crowd.reward_usd, assignments, masters=crowd.masters)
    return crowd.reward_usd + fee


def _excluded(session: Session, study: StudyRecord, publisher: Publisher) -> str | None:
    """The study's exclusion qualification, given to those whom it keeps out; none if nobody."""
    crowd, client = publisher.crowd, publisher.client
    if not excludes(study, crowd):
        return None
    workers = workers_to_exclude(session, study, crowd)
    session.commit()
    type_id = exclusion_type(client, study)
    exclude(session, study, client, publisher.endpoint, type_id, workers)
    return type_id


@dataclass
class _Made:
    """The HITs of a launch: asked for in threads, written down in one."""

    session: Session
    publisher: Publisher
    hit_type: str
    lost: Mapping[str, str]
    """HITs that the crowd has, by annotation."""
    total: int
    progress: Progress | None
    done: int = 0
    found: int = 0

    def wanted(self, hits: Iterable[Hit]) -> Iterator[Wanted]:
        """What is asked for, each written down before."""
        for hit in hits:
            yield self.publisher.wanted(self.session, hit)

    def ask(self, wanted: Wanted) -> tuple[str, bool]:
        """Ask the crowd, unless it is known to have made the HIT."""
        if wanted.token in self.lost:
            return self.lost[wanted.token], True
        return self.publisher.publish(wanted, self.hit_type)

    def settle(self, wanted: Wanted, answer: tuple[str, bool]) -> None:
        """Give an intended HIT its id."""
        hit_id, existed = answer
        settle_hit(self.session, wanted.hit, hit_id, now())
        self.found += existed
        self.done += 1
        if self.progress:
            self.progress(self.done, self.total)


def request_token(study: StudyRecord, comparisons: Sequence[Comparison], endpoint: Endpoint) -> str:
    """The token of a HIT: the same at every try, at most 64 characters."""
    names = ",".join(comparison.public_id for comparison in comparisons)
    return token_of(study.name, names, endpoint.url)


def _by_annotation(client: MTurkClient) -> dict[str, str]:
    """HIT ids by annotation. Tokens are forgotten after 24 hours, annotations never."""
    found: dict[str, str] = {}
    pages: Any = client.get_paginator("list_hits").paginate(PaginationConfig={"PageSize": 100})
    for page in pages:
        for hit in page["HITs"]:
            if "RequesterAnnotation" in hit:
                found[hit["RequesterAnnotation"]] = hit["HITId"]
    return found
