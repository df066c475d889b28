"""`rehearse`: the whole study on this machine, step by step, with simulated workers.

Every step is the one that a real study takes. What was done before is not done again, so an
interrupted rehearsal goes on, and a finished one ends in seconds.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import click

from clearwinner.crowd import OpenCrowd, open_crowd
from clearwinner.output import counting, generation_progress, print_launch_plan, print_plan
from clearwinner.plan import StudyPlan, study_plan
from clearwinner.rehearsal.taste import Eyes
from clearwinner.rehearsal.truth import plant, write_truth
from clearwinner.rehearsal.voting import SimulatedWorker, hire
from clearwinner.rehearsal.workers import Shift
from clearwinner.services import hit_server
from generation.manifest import read_manifest
from generation.study import StudyFile, UserError
from hit_server.comparisons import judged, scenes
from hit_server.hits import checked_hits
from hit_server.serve import Server
from hit_server.settings import Settings
from mturk.marketplace.app import Marketplace, create_app, open_marketplace

HANDS = 4
"""Simulated workers at work at the same time."""
NOTICE = "The workers of this study are SIMULATED. No person votes, and nobody is paid."


@dataclass
class Ports:
    """Where the services listen: chosen free once, then kept, because HITs hold the address."""

    hit_server: int = 0
    marketplace: int = 0

    @classmethod
    def kept(cls, folder: Path) -> Ports:
        """The ports of an earlier run, or 0 for free ones."""
        try:
            return cls(**json.loads((folder / "ports.json").read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return cls()

    def keep(self, folder: Path) -> None:
        """Write them down, whole or not at all."""
        part = folder / "ports.part"
        part.write_text(json.dumps(asdict(self)), encoding="utf-8")
        part.replace(folder / "ports.json")


@dataclass(frozen=True)
class Services:
    """Both services of a rehearsal, running."""

    marketplace: Marketplace
    market_url: str
    public_url: str


def rehearse(file: StudyFile, *, n_workers: int) -> Path:
    """Run a study to its report; returns the report's page.

    Raises:
        UserError: for whatever a user can mend.
    """
    from analysis.report import run as report

    began = time.monotonic()
    click.echo(NOTICE)
    plan = study_plan(file)
    print_plan(plan)
    workers = _hire_enough(file, plan, n_workers)
    folder = file.study.place
    _generate(file)
    shown = judged(scenes(read_manifest(folder)), checked_hits(file).pairs, seed=file.study.seed)
    truth = plant(
        [row for by_method in shown.values() for row in by_method.values()],
        plan.groups,
        plan.questions,
        workers,
        folder=folder,
        seed=file.study.seed,
    )
    write_truth(truth, folder)
    if (folder / "finished").exists() and (folder / "finished").read_text() == file.digest:
        click.echo("All votes are in and approved: nothing is left to ask the crowd.")
    else:
        with _services(file) as services:
            _with_crowd(file, services, workers)
        (folder / "finished").write_text(file.digest, encoding="utf-8")
    report(file.path)
    page = folder / "report" / "index.html"
    click.echo(f"{NOTICE}\nThe report: {page}   ({time.monotonic() - began:.0f} s)")
    return page


def _hire_enough(file: StudyFile, plan: StudyPlan, n_workers: int) -> list[SimulatedWorker]:
    wanted = plan.assignments // plan.comparisons if plan.comparisons else 0
    if n_workers < wanted:
        raise UserError(
            f"--workers {n_workers}: crowd.assignments = {wanted} asks for that many different "
            "workers a comparison. Give at least as many."
        )
    return hire(n_workers, seed=file.study.seed)


def _generate(file: StudyFile) -> None:
    """Make the images; torch is loaded only when some are missing."""
    from generation.jobs import missing_images
    from generation.plan import Generation, settled
    from generation.prompts import read_prompts

    base = file.path.parent
    table = settled(file.table("generation", Generation), base)
    prompts = read_prompts(table.prompts, file.study.seed, base=base)
    if not missing_images(table, prompts, file.study.place):
        click.echo("All images are there.")
        return
    from generation.run import generate

    with generation_progress() as progress:
        made = generate(file, progress=progress, tell=click.echo)
    click.echo(f"{made.made} images made, {made.kept} were there.")


@contextmanager
def _services(file: StudyFile) -> Iterator[Services]:
    """The marketplace and the hit server, on ports of their own, stopped at the end."""
    folder = file.study.place
    ports = Ports.kept(folder)
    marketplace = open_marketplace(folder / "marketplace")
    market = Server(create_app(marketplace), port=ports.marketplace)
    # Another host name than the marketplace's, as with Amazon: third-party rules are real.
    settings = Settings(worker_sites=[market.url])
    pages = hit_server(file, host="127.0.0.1", port=ports.hit_server, settings=settings)
    Ports(pages.port, market.port).keep(folder)
    with market, pages:
        yield Services(marketplace, market.url, f"http://localhost:{pages.port}")
    marketplace.engine.dispose()


def _with_crowd(file: StudyFile, services: Services, workers: Sequence[SimulatedWorker]) -> None:
    """Launch, let the simulated workers work, collect and approve."""
    with open_crowd(
        file.path,
        endpoint=services.market_url,
        public_url=services.public_url,
        keys=services.marketplace.credentials,
    ) as crowd:
        plan = crowd.plan()
        if plan.to_publish:
            print_launch_plan(plan)
            with counting("HITs published") as progress:
                crowd.launch(progress)
        _work(file, services, workers, crowd)
        with counting("HITs collected") as progress:
            collected = crowd.collect(progress)
        with counting("assignments approved") as progress:
            approved = crowd.approve(progress)
        click.echo(
            f"{collected.new} assignments collected, {collected.seen} were before; "
            f"{approved.approved} approved, {approved.already} were before."
        )
        _complete(crowd)


def _work(
    file: StudyFile,
    services: Services,
    workers: Sequence[SimulatedWorker],
    crowd: OpenCrowd,
) -> None:
    """Send the simulated workers to the worker site until no HIT is open."""
    status = crowd.status()
    waiting = status.crowd_available + status.crowd_pending
    total = waiting + status.collected
    eyes, done = Eyes(), [total - waiting]
    if not waiting:
        return
    with counting("simulated assignments") as progress, ThreadPoolExecutor(HANDS) as pool:
        progress(done[0], total)

        def tell() -> None:
            done[0] += 1
            progress(done[0], total)

        shifts = []
        for worker in workers:
            link = services.market_url + services.marketplace.invite(worker.name)
            shifts.append(Shift(worker, link, file.study.seed, eyes, tell))
        # An even share for everybody first; what returned work leaves over goes to whoever can.
        for most in (math.ceil(waiting / len(shifts)), waiting):
            for future in [pool.submit(shift.work, most) for shift in shifts]:
                future.result()


def _complete(crowd: OpenCrowd) -> None:
    status = crowd.status()
    if status.complete_comparisons < status.comparisons or status.unread:
        raise UserError(
            f"{status.complete_comparisons} of {status.comparisons} comparisons have all their "
            f"votes and {status.unread} answers could not be read. Run the same command again; "
            "`clearwinner status` tells more."
        )
