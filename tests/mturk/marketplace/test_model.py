"""Random sequences of operations and worker actions against a small model of the rules."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from tests.mturk.conftest import hit_values, running

WORKERS = ("Ada", "Ben", "Cem")
LONG = 31_536_000
UNIT = Decimal("0.12")
"""Ten cents and the fee of two."""


@dataclass
class Work:
    """An assignment as the model knows it."""

    worker: str
    hit: str
    status: str = "Accepted"


@dataclass
class Job:
    """A HIT as the model knows it."""

    most: int
    expired: bool = False
    disposed: bool = False
    works: dict[str, Work] = field(default_factory=dict)

    def count(self, *statuses: str) -> int:
        return sum(work.status in statuses for work in self.works.values())

    @property
    def status(self) -> str:
        if self.disposed:
            return "Disposed"
        finished = self.expired or len(self.works) >= self.most
        if not finished:
            return "Assignable"
        return "Unassignable" if self.count("Accepted") else "Reviewable"

    @property
    def set_aside(self) -> Decimal:
        """Money that is not in the account because of this HIT."""
        spent = self.count("Approved")
        if self.disposed:
            return spent * UNIT
        return (self.most - self.count("Rejected")) * UNIT


class MarketplaceModel(RuleBasedStateMachine):
    """The marketplace over HTTP beside the model; both must agree after every step."""

    hits = Bundle("hits")
    works = Bundle("works")

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.context = running(Path(self.folder.name))
        self.market = self.context.__enter__()
        self.client = self.market.client()
        self.people = {name: self.market.worker(name) for name in WORKERS}
        self.jobs: dict[str, Job] = {}
        self.bonuses = Decimal(0)

    def teardown(self) -> None:
        if hasattr(self, "context"):
            self.context.__exit__(None, None, None)
            self.folder.cleanup()

    def attempt(self, allowed: bool, call: Any, **values: Any) -> None:
        """Call; it must succeed exactly when the model allows it."""
        try:
            call(**values)
        except ClientError as error:
            assert not allowed, error
        else:
            assert allowed, f"{call} with {values} should have been refused"

    @rule(target=hits, most=st.integers(1, 3))
    def create(self, most: int) -> str:
        hit = self.client.create_hit(**hit_values(MaxAssignments=most, LifetimeInSeconds=LONG))[
            "HIT"
        ]
        self.jobs[hit["HITId"]] = Job(most)
        return str(hit["HITId"])

    @rule(target=works, hit=hits, name=st.sampled_from(WORKERS))
    def accept(self, hit: str, name: str) -> tuple[str, str]:
        job = self.jobs[hit]
        own = next((i for i, work in job.works.items() if work.worker == name), None)
        answer = self.people[name].accept(hit)
        if own is not None:
            assert job.disposed or answer.status_code == (
                302 if job.works[own].status == "Accepted" else 409
            )
            return hit, own
        expected = 404 if job.disposed else 302 if job.status == "Assignable" else 409
        assert answer.status_code == expected
        if expected != 302:
            return hit, ""
        assignment = answer.headers["Location"].rpartition("/")[2]
        job.works[assignment] = Work(name, hit)
        return hit, assignment

    @rule(work=works, again=st.booleans())
    def submit(self, work: tuple[str, str], again: bool) -> None:
        job, known = self.jobs[work[0]], self.jobs[work[0]].works.get(work[1])
        for _ in range(1 + again):
            fields = {"assignmentId": work[1], "answer": "yes"}
            answer = self.people["Ada"].http.post("/mturk/externalSubmit", data=fields)
            allowed = known is not None and known.status == "Accepted"
            assert answer.status_code == (200 if allowed else 400)
            if allowed and known is not None:
                known.status = "Submitted"
        assert job.count("Accepted") >= 0

    @rule(work=works)
    def give_back(self, work: tuple[str, str]) -> None:
        known = self.jobs[work[0]].works.get(work[1])
        person = self.people[known.worker if known else "Ada"]
        answer = person.http.post(f"/worker/assignments/{work[1] or 'none'}/return")
        allowed = known is not None and known.status == "Accepted"
        assert answer.status_code == (302 if allowed else 404)
        if allowed:
            del self.jobs[work[0]].works[work[1]]

    @rule(work=works, verb=st.sampled_from(["approve", "reject", "override", "bonus"]))
    def review(self, work: tuple[str, str], verb: str) -> None:
        job, known = self.jobs[work[0]], self.jobs[work[0]].works.get(work[1])
        status = known.status if known else "none"
        identifier = {"AssignmentId": work[1] or "3NONE"}
        allowed = status == "Submitted"
        if verb == "approve":
            self.attempt(allowed, self.client.approve_assignment, **identifier)
        elif verb == "override":
            allowed = allowed or (status == "Rejected" and not job.disposed)
            values = {**identifier, "OverrideRejection": True}
            self.attempt(allowed, self.client.approve_assignment, **values)
        elif verb == "reject":
            values = {**identifier, "RequesterFeedback": "no"}
            self.attempt(allowed, self.client.reject_assignment, **values)
        else:
            self.bonus(status, identifier)
            return
        if known is not None and allowed:
            known.status = "Rejected" if verb == "reject" else "Approved"

    def bonus(self, status: str, identifier: dict[str, str]) -> None:
        worker = "A0NOBODY"
        if status in ("Submitted", "Approved", "Rejected"):
            worker = self.client.get_assignment(**identifier)["Assignment"]["WorkerId"]
        values = {**identifier, "WorkerId": worker, "BonusAmount": "0.10", "Reason": "fine"}
        allowed = status in ("Submitted", "Approved", "Rejected")
        self.attempt(allowed, self.client.send_bonus, **values)
        self.bonuses += UNIT * allowed

    @rule(hit=hits, more=st.integers(1, 8))
    def extend(self, hit: str, more: int) -> None:
        job = self.jobs[hit]
        allowed = not job.disposed and job.most + more < 10
        self.attempt(
            allowed,
            self.client.create_additional_assignments_for_hit,
            HITId=hit,
            NumberOfAdditionalAssignments=more,
        )
        job.most += more * allowed

    @rule(hit=hits)
    def expire(self, hit: str) -> None:
        job = self.jobs[hit]
        update = self.client.update_expiration_for_hit
        self.attempt(not job.disposed, update, HITId=hit, ExpireAt=0)
        job.expired = True

    @rule(hit=consumes(hits))
    def delete(self, hit: str) -> None:
        job = self.jobs[hit]
        allowed = job.status == "Reviewable" and not job.count("Submitted")
        self.attempt(allowed, self.client.delete_hit, HITId=hit)
        job.disposed = job.disposed or allowed

    @rule()
    def abandon(self) -> None:
        """Ten minutes pass: what was accepted is given back."""
        self.market.clock.advance(seconds=601)
        for job in self.jobs.values():
            job.works = {i: work for i, work in job.works.items() if work.status != "Accepted"}

    @invariant()
    def the_books_agree(self) -> None:
        if not hasattr(self, "client"):
            return
        balance = Decimal(self.client.get_account_balance()["AvailableBalance"])
        held = sum((job.set_aside for job in self.jobs.values()), Decimal(0))
        assert balance == Decimal("10000") - held - self.bonuses
        for hit_id, job in self.jobs.items():
            hit = self.client.get_hit(HITId=hit_id)["HIT"]
            assert (hit["HITStatus"], hit["MaxAssignments"]) == (job.status, job.most)
            assert hit["NumberOfAssignmentsPending"] == job.count("Accepted")
            assert hit["NumberOfAssignmentsCompleted"] == job.count("Approved", "Rejected")
            found = self.client.list_assignments_for_hit(HITId=hit_id, MaxResults=100)
            assert {a["AssignmentId"]: a["AssignmentStatus"] for a in found["Assignments"]} == {
                i: work.status for i, work in job.works.items() if work.status != "Accepted"
            }


@pytest.mark.slow
def test_the_marketplace_keeps_the_rules() -> None:
    from hypothesis.stateful import run_state_machine_as_test

    run_state_machine_as_test(
        MarketplaceModel,
        settings=settings(
            max_examples=25,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
