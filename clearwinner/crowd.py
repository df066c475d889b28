"""A study and its crowd, open together: what every step with the crowd begins with."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from sqlalchemy.orm import Session

from clearwinner.services import database_url
from generation.manifest import read_manifest
from generation.study import StudyFile, UserError, read_study_file
from hit_server.database import explained, open_database, session_factory
from hit_server.records import StudyRecord
from hit_server.registering import register_study
from hit_server.settings import Settings
from hit_server.store import study_named
from mturk.bonuses import BonusRow, Paid, pay_bonuses, unpaid
from mturk.client import AMAZON, Endpoint, Kind, connect
from mturk.client import explained as crowd_explained
from mturk.collect import Collected, collect
from mturk.crowd import Crowd
from mturk.exclusions import exclude, excludes, exclusion_type, workers_to_exclude
from mturk.launch import Launched, LaunchPlan, Progress, Publisher, launch, plan_launch
from mturk.marketplace.accounts import Credentials
from mturk.marketplace.app import read_keys
from mturk.messages import Sent, message
from mturk.review import Approved, Flag, approve, flags, reject
from mturk.status import StudyStatus, status
from mturk.topup import Closed, Extended, Lacking, close, extend, lacking

if TYPE_CHECKING:
    from mypy_boto3_mturk import MTurkClient

MARKETPLACE_FOLDER = Path("runs/marketplace")
MARKETPLACE_URL = "http://127.0.0.1:8010"


@dataclass(frozen=True)
class OpenCrowd:
    """A study's records, its table `[crowd]` and a client, ready to work."""

    file: StudyFile
    crowd: Crowd
    session: Session
    client: MTurkClient
    endpoint: Endpoint
    public_url: str

    @property
    def study(self) -> StudyRecord:
        """The study as registered.

        Raises:
            UnknownStudy: it was never launched.
        """
        return study_named(self.session, self.file.study.name)

    @contextmanager
    def _released(self) -> Iterator[None]:
        """End the transaction after a step: on SQLite an open one keeps everybody else out."""
        try:
            yield
        finally:
            self.session.rollback()

    def register(self) -> StudyRecord:
        """Register the study with the images that are there."""
        folder = self.file.study.place
        rows = read_manifest(folder)
        if not rows:
            raise UserError(
                f"{folder} has no images yet. Run `clearwinner generate {self.file.path}` first."
            )
        return register_study(self.session, self.file, rows, folder)

    def plan(self) -> LaunchPlan:
        """What publishing would ask for."""
        with self._released():
            return plan_launch(self.session, self.register(), self.crowd)

    def launch(self, progress: Progress | None = None) -> Launched:
        """Publish what is missing."""
        with self._released():
            return launch(self.session, self.register(), self.publisher, progress=progress)

    @property
    def publisher(self) -> Publisher:
        """What publishes HITs."""
        return Publisher(self.client, self.endpoint, self.crowd, self.public_url)

    def status(self) -> StudyStatus:
        """How far the study is."""
        with self._released():
            return status(self.session, self.study, self.crowd, self.client, self.endpoint)

    def collect(self, progress: Progress | None = None) -> Collected:
        """Bring in what was submitted; who did the most that one person may is kept out."""
        session, client, endpoint = self.session, self.client, self.endpoint
        with self._released():
            collected = collect(session, self.study, client, endpoint, progress=progress)
            if self.study_keeps_out:
                workers = workers_to_exclude(session, self.study, self.crowd)
                with crowd_explained(endpoint):
                    type_id = exclusion_type(client, self.study)
                exclude(session, self.study, client, endpoint, type_id, workers)
            return collected

    @property
    def study_keeps_out(self) -> bool:
        """Whether the study keeps any worker from its HITs."""
        return excludes(self.study, self.crowd)

    def approve(self, progress: Progress | None = None, *, only: str | None = None) -> Approved:
        """Approve what was collected, or one assignment of it."""
        with self._released():
            return approve(
                self.session,
                self.study,
                self.client,
                self.endpoint,
                only=only,
                progress=progress,
            )

    def flags(self) -> list[Flag]:
        """What the review rules point at."""
        with self._released():
            return flags(self.session, self.study, self.crowd.review)

    def reject(self, assignments: Sequence[str], reason: str) -> int:
        """Reject named assignments."""
        with self._released():
            return reject(
                self.session,
                self.study,
                self.client,
                self.endpoint,
                assignments=assignments,
                reason=reason,
            )

    def unpaid(self, rows: Sequence[BonusRow]) -> list[BonusRow]:
        """Bonuses that were not paid yet."""
        with self._released():
            return unpaid(self.session, self.study, self.endpoint, rows)

    def pay_bonuses(self, rows: Sequence[BonusRow], progress: Progress | None = None) -> Paid:
        """Pay bonuses, each once."""
        with self._released():
            return pay_bonuses(
                self.session, self.study, self.client, self.endpoint, rows, progress=progress
            )

    def lack(self) -> Lacking:
        """The votes that nobody is giving, and what asking for them costs."""
        with self._released():
            return lacking(self.session, self.study, self.crowd, self.client, self.endpoint)

    def extend(self, progress: Progress | None = None) -> Extended:
        """Ask for the votes that are lacking."""
        with self._released():
            return extend(self.session, self.study, self.publisher, progress=progress)

    def close(self, progress: Progress | None = None) -> Closed:
        """End the HITs; delete those that are reviewed."""
        with self._released():
            return close(self.session, self.study, self.client, self.endpoint, progress=progress)

    def message(self, subject: str, text: str, workers: Sequence[str]) -> Sent:
        """Write to workers, once each."""
        with self._released():
            return message(
                self.session,
                self.study,
                self.client,
                self.endpoint,
                subject=subject,
                text=text,
                workers=workers,
            )


@contextmanager
def open_crowd(
    path: Path,
    *,
    endpoint: str | None = None,
    kind: str | None = None,
    public_url: str | None = None,
    keys: Credentials | None = None,
) -> Iterator[OpenCrowd]:
    """Open a study's records and a client for its crowd.

    Args:
        path: the study file.
        endpoint: address of a marketplace; from the settings when not given.
        kind: "sandbox" or "production" for Amazon's; the marketplace when not given.
        public_url: where workers' browsers reach the hit server; from the settings.
        keys: to sign with; from boto3's own chain, or the marketplace on this machine.

    Raises:
        UserError: for the study file, the database, credentials or the endpoint.
    """
    file = read_study_file(path)
    crowd = file.table("crowd", Crowd)
    settings = Settings()
    where = choose_endpoint(settings, endpoint, kind)
    if keys is None and where.kind == "marketplace" and not _aws_configured():
        keys = read_keys(MARKETPLACE_FOLDER)
    client = connect(
        where,
        access_key=keys.access_key if keys else None,
        secret_key=keys.secret_key if keys else None,
    )
    if where.kind != "marketplace":
        # Amazon closed these: say so before anything else is done.
        with crowd_explained(where):
            client.get_account_balance()
    url = database_url(file, settings)
    engine = open_database(url)
    try:
        with explained(url), session_factory(engine)() as session:
            yield OpenCrowd(file, crowd, session, client, where, public_url or settings.public_url)
    finally:
        engine.dispose()


@contextmanager
def registered(path: Path) -> Iterator[tuple[Session, StudyRecord]]:
    """A study's records, registered with the images that are there; no crowd is asked.

    Raises:
        UserError: for the study file, the images or the database.
    """
    file = read_study_file(path)
    folder = file.study.place
    rows = read_manifest(folder)
    if not rows:
        raise UserError(f"{folder} has no images yet. Run `clearwinner generate {path}` first.")
    url = database_url(file, Settings())
    engine = open_database(url)
    try:
        with explained(url), session_factory(engine)() as session:
            yield session, register_study(session, file, rows, folder)
    finally:
        engine.dispose()


def choose_endpoint(settings: Settings, endpoint: str | None, kind: str | None) -> Endpoint:
    """Amazon's endpoint when asked for by name, else a marketplace's.

    Raises:
        UserError: both are asked for.
    """
    if kind is not None:
        if endpoint is not None:
            raise UserError(f"--endpoint {endpoint} and --{kind} exclude each other.")
        return Endpoint(cast("Kind", kind), AMAZON[kind])
    url = endpoint or settings.endpoint or os.environ.get("AWS_ENDPOINT_URL_MTURK")
    return Endpoint("marketplace", (url or MARKETPLACE_URL).rstrip("/"))


def _aws_configured() -> bool:
    return any(name in os.environ for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE"))
