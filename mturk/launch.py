"""Publishing: every comparison gets one HIT, whatever fails in between.

A HIT is written down with its token before it is asked for, and settled with its id after.
When the answer was lost, the same token finds the HIT again for 24 hours, and the same
annotation for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from generation.study import UserError
from hit_server.hits import Hits
from hit_server.intents import token_of
from hit_server.records import Comparison, Hit, StudyRecord, now
from hit_server.store import hits_of, intend_hit, settle_hit, unpublished
from mturk.client import Endpoint, existing_hit, explained
from mturk.costs import Cost, cost
from mturk.crowd import Crowd
from mturk.exclusions import exclude, excludes, exclusion_type, workers_to_exclude
from mturk.in_flight import in_flight
from mturk.qualifications import requirements
from mturk.questions import external_question

if TYPE_CHECKING:
    from mypy_boto3_mturk import MTurkClient

Progress = Callable[[int, int], None]


class LaunchError(UserError):
    """Publishing would overspend, or there is nothing to publish."""


@dataclass(frozen=True)
class LaunchPlan:
    """What publishing would ask for, and what it costs."""

    comparisons: int
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
class Publisher:
    """What every HIT of a launch shares."""

    client: MTurkClient
    endpoint: Endpoint
    crowd: Crowd
    public_url: str

    def publish(self, token: str, public_id: str, hit_type: str) -> tuple[str, bool]:
        """Ask for a HIT; its id, and whether an earlier request had already made it."""
        url = f"{self.public_url.rstrip('/')}/hit/{public_id}"
        try:
            answer = self.client.create_hit_with_hit_type(
                HITTypeId=hit_type,
                MaxAssignments=self.crowd.assignments,
                LifetimeInSeconds=self.crowd.lifetime_s,
                Question=external_question(url),
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
    published = len(hits_of(session, study, settled=True))
    missing = (total or 0) - published

    def price(count: int) -> Cost:
        return cost(count, crowd.assignments, crowd.reward_usd, masters=crowd.masters)

    assignments = missing * crowd.assignments
    return LaunchPlan(total or 0, published, missing, assignments, price(missing), price(published))


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
    """Publish a HIT for each comparison that has none.

    Raises:
        LaunchError: it would overspend; nothing is published then.
        CrowdError: the endpoint cannot be reached or refuses; run it again and it goes on.
    """
    # Before every request the transaction ends: a slow crowd must not hold the database.
    client = publisher.client
    with explained(publisher.endpoint):
        plan = plan_launch(session, study, publisher.crowd)
        session.commit()
        if plan.to_publish == 0:
            return Launched(0, 0)
        balance = Decimal(client.get_account_balance()["AvailableBalance"])
        check_money(plan, publisher.crowd, balance)
        excluded = _excluded(session, study, publisher)
        hit_type = publisher.hit_type(Hits.model_validate(study.hits), excluded)
        open_intents = hits_of(session, study, settled=False)
        session.commit()
        lost = _by_annotation(client) if open_intents else {}
        made = _Made(session, publisher, hit_type, lost, plan.to_publish, progress)
        in_flight(made.wanted(study, open_intents), made.ask, made.settle)
    return Launched(plan.to_publish - made.found, made.found)


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

    def wanted(self, study: StudyRecord, intended: list[Hit]) -> Iterator[_Wanted]:
        """What an earlier run had asked for, then the rest, each written down before."""
        for hit in intended:
            yield _Wanted(hit, hit.token, hit.comparison.public_id)
        endpoint = self.publisher.endpoint
        for comparison in unpublished(self.session, study):
            token = request_token(study, comparison, endpoint)
            hit = intend_hit(self.session, comparison, endpoint.url, token)
            yield _Wanted(hit, token, comparison.public_id)

    def ask(self, wanted: _Wanted) -> tuple[str, bool]:
        """Ask the crowd, unless it is known to have made the HIT."""
        if wanted.token in self.lost:
            return self.lost[wanted.token], True
        return self.publisher.publish(wanted.token, wanted.public_id, self.hit_type)

    def settle(self, wanted: _Wanted, answer: tuple[str, bool]) -> None:
        """Give an intended HIT its id."""
        hit_id, existed = answer
        settle_hit(self.session, wanted.hit, hit_id, now())
        self.found += existed
        self.done += 1
        if self.progress:
            self.progress(self.done, self.total)


@dataclass(frozen=True)
class _Wanted:
    hit: Hit
    token: str
    public_id: str


def request_token(study: StudyRecord, comparison: Comparison, endpoint: Endpoint) -> str:
    """The token of a comparison's HIT: the same at every try, at most 64 characters."""
    return token_of(study.name, comparison.public_id, endpoint.url)


def _by_annotation(client: MTurkClient) -> dict[str, str]:
    """HIT ids by annotation. Tokens are forgotten after 24 hours, annotations never."""
    found: dict[str, str] = {}
    pages: Any = client.get_paginator("list_hits").paginate(PaginationConfig={"PageSize": 100})
    for page in pages:
        for hit in page["HITs"]:
            if "RequesterAnnotation" in hit:
                found[hit["RequesterAnnotation"]] = hit["HITId"]
    return found
