"""What the command line prints: rich tables and progress bars, plain where it is no terminal."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

if TYPE_CHECKING:
    from clearwinner.plan import StudyPlan
    from generation.estimate import Estimate
    from mturk.launch import LaunchPlan
    from mturk.review import Flag
    from mturk.status import StudyStatus

Advance = Callable[[int, int], None]


def print_plan(plan: StudyPlan) -> None:
    """Print a study's plan as a two-column table."""
    table = _facts(plan.title)
    table.add_row(
        "prompts × seeds × methods", f"{plan.prompts} × {plan.seeds} × {len(plan.methods)}"
    )
    table.add_row("images", f"{plan.images:,}")
    table.add_row("comparisons", f"{plan.comparisons:,} ({_groups(plan)})")
    table.add_row("questions", ", ".join(plan.questions))
    table.add_row("HITs", f"{plan.hits:,}")
    table.add_row("assignments", f"{plan.assignments:,}")
    table.add_row("votes", f"{plan.votes:,}")
    table.add_row("reward", f"${plan.cost.reward:,}")
    table.add_row("fees, at most", f"${plan.cost.fees:,}")
    table.add_row("cost, at most", f"${plan.cost.total:,}")
    if plan.budget is not None:
        table.add_row("budget", f"${plan.budget:,}")
    for name, count in plan.evaluations.items():
        shown = "told by drawing" if count is None else f"{count:,}"
        table.add_row(f"network evaluations, {name}", shown)
    known = sum(count for count in plan.evaluations.values() if count is not None)
    more = "" if all(count is not None for count in plan.evaluations.values()) else " and more"
    table.add_row("network evaluations, all", f"{known:,}{more}")
    Console().print(table)


def print_estimate(estimate: Estimate) -> None:
    """Print what is missing and about how long it takes."""
    if not estimate.methods:
        Console().print("Nothing is missing.")
        return
    table = Table("method", "images", "network evaluations", "about")
    for method in estimate.methods:
        evaluations = "told by drawing" if method.evaluations is None else f"{method.evaluations:,}"
        time = "" if method.seconds is None else str(timedelta(seconds=round(method.seconds)))
        table.add_row(method.method, f"{method.images:,}", evaluations, time)
    Console().print(table)
    total = timedelta(seconds=round(estimate.seconds))
    Console().print(f"In all about {total} on one {estimate.device}, after loading the model.")


def print_launch_plan(plan: LaunchPlan) -> None:
    """Print what publishing would ask for and cost."""
    table = _facts("To publish")
    table.add_row("comparisons", f"{plan.comparisons:,}")
    table.add_row("HITs to publish", f"{plan.to_publish:,}")
    table.add_row("assignments", f"{plan.assignments:,}")
    table.add_row("reward", f"${plan.cost.reward:,}")
    table.add_row("fees, at most", f"${plan.cost.fees:,}")
    table.add_row("cost, at most", f"${plan.cost.total:,}")
    Console().print(table)


def print_status(status: StudyStatus) -> None:
    """Print how far a study is: the fields of its status, one a row."""
    Console().print(_status_table(status))


def watch_status(look: Callable[[], StudyStatus], every: float) -> None:
    """Show a study's status until Ctrl-C, with the time that the votes so far foretell."""
    from rich.live import Live

    first = look()
    began = time.monotonic()
    with Live(_status_table(first), console=Console(), auto_refresh=False) as live:
        while True:
            try:
                time.sleep(every)
                status = look()
            except KeyboardInterrupt:
                return
            table = _status_table(status)
            table.add_row("time left", _time_left(first, status, time.monotonic() - began))
            live.update(table, refresh=True)


def _status_table(status: StudyStatus) -> Table:
    from dataclasses import asdict

    table = _facts("Status")
    for name, value in asdict(status).items():
        if name == "votes_given":
            value = ", ".join(f"{workers} × {count}" for workers, count in value) or "none"
            table.add_row("workers × comparisons", value)
            continue
        table.add_row(name.replace("_usd", ", $").replace("_", " "), f"{value}")
    return table


def _time_left(first: StudyStatus, status: StudyStatus, seconds: float) -> str:
    """From the pace at which open places were taken since the first look."""
    left = status.crowd_available + status.crowd_pending
    taken = first.crowd_available + first.crowd_pending - left
    if not left:
        return "none: everything was submitted"
    if taken <= 0:
        return "unknown: nothing was submitted since the first look"
    return f"about {timedelta(seconds=round(left * seconds / taken))}"


def print_flags(flags: Sequence[Flag]) -> None:
    """Print assignments that look careless."""
    if not flags:
        Console().print("Nothing looks careless.")
        return
    table = Table("assignment", "worker", "status", "why")
    for flag in flags:
        table.add_row(flag.assignment_id, flag.worker_id, flag.status, "; ".join(flag.reasons))
    Console().print(table)
    Console().print("Disagreement is no fault. To reject: --reject ASSIGNMENT --reason TEXT")


@contextmanager
def generation_progress() -> Iterator[Advance]:
    """A progress bar for images with images/s and time left; calls take (done, total)."""
    with counting("images", speed=True) as advance:
        yield advance


@contextmanager
def counting(what: str, *, speed: bool = False) -> Iterator[Advance]:
    """A progress bar that counts something up; calls take (done, total)."""
    columns = [
        TextColumn(f"{what:<22}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[speed]}"),
        TimeRemainingColumn(),
    ]
    with Progress(*columns, console=Console(stderr=True), refresh_per_second=4) as progress:
        task = progress.add_task(what, total=None, speed="")
        first: list[int] = []

        def advance(done: int, total: int) -> None:
            if not first:
                first.append(done)
            elapsed = progress.tasks[0].elapsed or 0.0
            rate = (done - first[0]) / elapsed if elapsed > 0 else 0.0
            text = f"{rate:.2f} {what}/s" if speed and rate else ""
            progress.update(task, completed=done, total=total, speed=text)

        yield advance


def _facts(title: str) -> Table:
    table = Table(title=title, show_header=False, title_justify="left")
    table.add_column(style="dim")
    table.add_column(justify="right")
    return table


def _groups(plan: StudyPlan) -> str:
    return "; ".join(" | ".join(group) for group in plan.groups)
